//! Writing to the provider's log (`wit/log.wit`).

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Effect, Function, bounds};
use crate::bindings::log::{Host, Level};
use crate::error::Fault;
use crate::state::CallState;

const WRITE: Function = Function::new("log", "log.write", &[], Effect::Read);

/// The functions of the interface.
pub const FUNCTIONS: &[Function] = &[WRITE];

/// A line that a plugin wrote, within the limits.
///
/// Hostile text: control characters other than tab and line feed are replaced, nothing else is.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLine {
    /// How grave it is.
    pub level: Level,
    /// The text. With the fields at most 2 KiB, unless the limits say otherwise.
    pub message: String,
    /// Names and values.
    pub fields: Vec<(String, String)>,
}

/// Takes the lines a plugin writes. The implementation adds plugin, version, service and request id.
///
/// Called from the thread that runs the plugin: it must neither block nor fail.
pub trait LogPort: Send + Sync {
    /// Takes a line.
    fn write(&self, line: LogLine);
}

impl Host for CallState {
    async fn write(
        &mut self,
        level: Level,
        message: String,
        fields: Vec<(String, String)>,
    ) -> wasmtime::Result<()> {
        self.write_log(level, message, fields)
    }
}

impl CallState {
    /// Passes a line on, cut at the limit of a line and dropped over the limit of a call.
    pub(crate) fn write_log(
        &mut self,
        level: Level,
        mut message: String,
        mut fields: Vec<(String, String)>,
    ) -> wasmtime::Result<()> {
        let mut room = self.limits.log_line_bytes;
        let mut fit = |text: &mut String| {
            bounds::cut(text, room);
            room -= text.len();
            bounds::neutralise(text);
        };
        fit(&mut message);
        for (name, value) in &mut fields {
            fit(name);
            fit(value);
        }
        fields.retain(|(name, _)| !name.is_empty());
        let size = message.len()
            + fields
                .iter()
                .map(|(name, value)| name.len() + value.len())
                .sum::<usize>();
        if !self.tally.take_log(size, self.limits.log_bytes) {
            return Ok(());
        }
        self.pass_log(LogLine {
            level,
            message,
            fields,
        })
    }

    /// Ends the log of a call: passes on what WASI's streams hold and tells how many lines were dropped.
    pub(crate) fn finish_log(&mut self) {
        let lines = self.wasi.as_ref().map(|wasi| wasi.lines()).unwrap_or_default();
        for (level, line) in lines {
            // A port that panics here has nothing left to spoil: the call is over.
            let _ = self.write_log(level, line, Vec::new());
        }
        let dropped = self.tally.dropped_log_lines();
        if dropped > 0 {
            let message = format!("{dropped} more lines were over the limit of a call and dropped");
            let _ = self.pass_log(LogLine {
                level: Level::Warn,
                message,
                fields: Vec::new(),
            });
        }
    }

    fn pass_log(&self, line: LogLine) -> wasmtime::Result<()> {
        catch_unwind(AssertUnwindSafe(|| self.ports.log.write(line)))
            .map_err(|panic| Fault::panicked(WRITE.path, &*panic).into())
    }
}
