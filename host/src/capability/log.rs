//! The provider's log.

use portico_runtime::bindings::log::Level;
use portico_runtime::capability::{LogLine, LogPort};

use super::Binding;

impl LogPort for Binding {
    fn write(&self, line: LogLine) {
        let LogLine {
            level,
            message,
            fields,
            ..
        } = line;
        let fields = serde_json::to_string(&fields).unwrap_or_default();
        let (plugin, service, request_id) = (&self.plugin, self.service.id, &self.request_id);
        // The level of a tracing event is fixed where it is written.
        match level {
            Level::Debug => {
                tracing::debug!(target: "plugin", %plugin, %service, request_id, fields, "{message}");
            }
            Level::Info => {
                tracing::info!(target: "plugin", %plugin, %service, request_id, fields, "{message}");
            }
            Level::Warn => {
                tracing::warn!(target: "plugin", %plugin, %service, request_id, fields, "{message}");
            }
            Level::Error => {
                tracing::error!(target: "plugin", %plugin, %service, request_id, fields, "{message}");
            }
        }
    }
}
