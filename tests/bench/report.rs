//! What is printed.

use std::fmt::Write as _;

use crate::calls::Calls;
use crate::compare::Comparison;
use crate::load::Load;
use crate::process::Process;
use crate::way::Way;

/// Everything that was measured.
pub(crate) struct Report {
    /// The machine and the page, a line each.
    pub(crate) about: Vec<String>,
    /// By number of connections.
    pub(crate) comparisons: Vec<Comparison>,
    /// In the fast mode.
    pub(crate) way: Way,
    /// In the fast and in the safe mode.
    pub(crate) calls: [(&'static str, Calls); 2],
    /// A plugin each.
    pub(crate) loads: Vec<Load>,
    /// The program by itself.
    pub(crate) process: Process,
    /// Whether the fast mode could be had.
    pub(crate) fast: bool,
}

/// The targets: what, what it must be, what it is, whether that will do.
type Target = (String, String, String, bool);

impl Report {
    /// The whole report.
    pub(crate) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut out = String::new();
        for line in &self.about {
            writeln!(out, "{line}")?;
        }
        for comparison in &self.comparisons {
            pages(&mut out, comparison)?;
        }
        way(&mut out, &self.way)?;
        calls(&mut out, &self.calls)?;
        loads(&mut out, &self.loads)?;
        process(&mut out, &self.process)?;
        writeln!(out, "\nTargets")?;
        for (what, wanted, is, met) in self.targets() {
            let verdict = if met { "met" } else { "NOT MET" };
            writeln!(out, "  {what:<58} {wanted:>10} {is:>10}   {verdict}")?;
        }
        Ok(out)
    }

    fn targets(&self) -> Vec<Target> {
        let mut targets = Vec::new();
        let mut at_least = |what: String, wanted: f64, is: f64| {
            targets.push((what, format!("≥ {wanted:.2}"), format!("{is:.2}"), is >= wanted));
        };
        for comparison in &self.comparisons {
            let connections = comparison.connections;
            if self.fast {
                let what = format!("plugin's part of native throughput, fast, {connections} connections");
                at_least(what, 0.8, comparison.fast.rate.median);
            }
            let what = format!("plugin's part of native throughput, safe, {connections} connections");
            at_least(what, 0.6, comparison.safe.rate.median);
        }
        let process = &self.process;
        let mut below = |what: &str, unit: &str, wanted: f64, is: f64| {
            let (text, limit) = (format!("{is:.0} {unit}"), format!("< {wanted:.0} {unit}"));
            targets.push((what.to_owned(), limit, text, is < wanted));
        };
        below("start with a warm cache", "ms", 1000.0, process.warm.median);
        below(
            "resident, all plugins loaded, idle",
            "MiB",
            120.0,
            process.idle.resident,
        );
        targets
    }
}

fn pages(out: &mut String, comparison: &Comparison) -> std::fmt::Result {
    writeln!(
        out,
        "\nThe page over HTTP, {} connections: median (lowest…highest round)",
        comparison.connections
    )?;
    writeln!(
        out,
        "  {:<28} {:>22} {:>9} {:>9}  {:>20}",
        "", "requests/s", "p50 ms", "p99 ms", "panel CPU µs/page"
    )?;
    for variant in &comparison.variants {
        writeln!(
            out,
            "  {:<28} {:>22} {:>9.2} {:>9.2}  {:>20}",
            variant.name,
            variant.rate.show(0),
            milliseconds(variant.latency.value_at_quantile(0.5)),
            milliseconds(variant.latency.value_at_quantile(0.99)),
            variant.cpu.show(0),
        )?;
    }
    for (mode, ratio) in [("fast", &comparison.fast), ("safe", &comparison.safe)] {
        writeln!(
            out,
            "  plugin / native, {mode} reset: throughput {}, by CPU time {}",
            ratio.rate.show(2),
            ratio.cpu.show(2)
        )?;
    }
    Ok(())
}

fn way(out: &mut String, way: &Way) -> std::fmt::Result {
    writeln!(
        out,
        "\nWhere the time goes, one connection, fast reset: means in µs"
    )?;
    for (name, micros) in &way.native {
        writeln!(out, "  {name:<46} {micros:>7.0}")?;
    }
    writeln!(
        out,
        "  {:<46} {:>7.0}",
        "native page in all, with HTTP and session", way.native_total
    )?;
    writeln!(out, "  {:<46} {:>7.1}", "plugin: waiting for a slot", way.queue)?;
    writeln!(
        out,
        "  {:<46} {:>7.0}",
        "plugin: instance, guest, host functions", way.call
    )?;
    writeln!(
        out,
        "  {:<46} {:>7.0}",
        "plugin's page in all, with HTTP and session", way.plugin_total
    )
}

fn calls(out: &mut String, calls: &[(&str, Calls)]) -> std::fmt::Result {
    writeln!(out, "\nOne call at a time, without HTTP, template and layout: µs")?;
    writeln!(out, "  {:<52} {:>8} {:>8}", "", "p50", "p99")?;
    for (mode, calls) in calls {
        for (what, times) in [
            ("instantiate + call + drop, guest answers at once", &calls.bare),
            ("the page's call with its host functions", &calls.page),
        ] {
            let (p50, p99) = (times.value_at_quantile(0.5), times.value_at_quantile(0.99));
            writeln!(
                out,
                "  {:<52} {:>8.0} {:>8.0}",
                format!("{mode}: {what}"),
                hundredths(p50),
                hundredths(p99)
            )?;
        }
    }
    Ok(())
}

fn loads(out: &mut String, loads: &[Load]) -> std::fmt::Result {
    writeln!(out, "\nLoading a plugin: ms, median (lowest…highest)")?;
    for load in loads {
        writeln!(
            out,
            "  {:<16} {:>5} KiB   compiled anew {}   from the cache {}",
            load.name,
            load.size / 1024,
            load.cold.show(0),
            load.warm.show(1)
        )?;
    }
    Ok(())
}

fn process(out: &mut String, process: &Process) -> std::fmt::Result {
    writeln!(out, "\n`portico serve` by itself")?;
    writeln!(
        out,
        "  start to first 200 of /readyz: warm cache {} ms, cold {} ms",
        process.warm.show(0),
        process.cold.as_millis()
    )?;
    for (when, memory) in [
        ("idle after the start", process.idle),
        ("idle again after load", process.after_load),
    ] {
        writeln!(
            out,
            "  resident, {when}: {:.0} MiB, of it its own {:.0} MiB",
            memory.resident, memory.own
        )?;
    }
    Ok(())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "times here have far less than 15 digits"
)]
fn milliseconds(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

/// Microseconds of what was recorded in hundredths of one.
#[expect(
    clippy::cast_precision_loss,
    reason = "times here have far less than 15 digits"
)]
fn hundredths(recorded: u64) -> f64 {
    recorded as f64 / 100.0
}
