//! The numbers of a running backup, as PVE prints them.

use crate::units::{float, whole};

const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

fn rendered(value: u64, digits: usize) -> String {
    let mut number = float(value);
    let mut units = UNITS.iter();
    let mut unit = units.next().copied().unwrap_or_default();
    for larger in units {
        if number < 1024.0 {
            break;
        }
        number /= 1024.0;
        unit = larger;
    }
    format!("{number:.digits$} {unit}")
}

/// `3.9 GiB`.
pub(super) fn bytes(value: u64) -> String {
    rendered(value, 1)
}

/// `3.91 GiB`.
pub(super) fn bytes_exactly(value: u64) -> String {
    rendered(value, 2)
}

/// `1.23GB`, of a dump file.
pub(super) fn file_size(value: u64) -> String {
    let megabytes = float(value) / 1_048_576.0;
    if megabytes < 1.0 {
        format!("{}KB", value / 1024)
    } else if megabytes < 1024.0 {
        format!("{}MB", whole(megabytes))
    } else if megabytes < 1_048_576.0 {
        format!("{:.2}GB", megabytes / 1024.0)
    } else {
        format!("{:.2}TB", megabytes / 1_048_576.0)
    }
}

/// `1h 2m 3s`.
pub(super) fn duration(seconds: f64) -> String {
    let total = whole(seconds.round());
    let parts = [(total / 3600, "h"), (total / 60 % 60, "m"), (total % 60, "s")];
    let text = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect::<Vec<_>>()
        .join(" ");
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// `01:02:03`.
pub(super) fn clock(seconds: f64) -> String {
    let total = whole(seconds);
    format!("{:02}:{:02}:{:02}", total / 3600, total / 60 % 60, total % 60)
}

fn rate(amount: u64, seconds: f64) -> String {
    if amount == 0 {
        return "0 B/s".to_owned();
    }
    format!("{}/s", bytes(whole(float(amount) / seconds.max(1.0))))
}

/// `INFO:  12% (3.9 GiB of 32.0 GiB) in 9s, read: 440.0 MiB/s, write: 300.1 MiB/s`.
pub(super) fn line(fraction: f64, total: u64, seconds: f64, step: (f64, u64, u64)) -> String {
    let done = whole(float(total) * fraction);
    let percent = (done * 100).checked_div(total).unwrap_or(100);
    let (step_seconds, read, written) = step;
    format!(
        "INFO: {percent:3}% ({} of {}) in {}, read: {}, write: {}",
        bytes(done),
        bytes(total),
        duration(seconds),
        rate(read, step_seconds),
        rate(written, step_seconds)
    )
}

/// `INFO: transferred 32.00 GiB in 9 seconds (3.5 GiB/s)`.
pub(super) fn transferred(total: u64, seconds: f64) -> String {
    let amount = bytes_exactly(total);
    if seconds < 1.0 {
        return format!("INFO: transferred {amount} in <1 seconds");
    }
    format!(
        "INFO: transferred {amount} in {} seconds ({})",
        whole(seconds),
        rate(total, seconds)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_progress_looks_like_qemus() {
        let text = line(0.125, 32 << 30, 9.0, (3.0, 1_321_205_760, 0));
        assert_eq!(
            text,
            "INFO:  12% (4.0 GiB of 32.0 GiB) in 9s, read: 420.0 MiB/s, write: 0 B/s"
        );
    }

    #[test]
    fn durations_and_sizes_take_the_units_that_fit() {
        assert_eq!(duration(3_723.0), "1h 2m 3s");
        assert_eq!(duration(0.2), "0s");
        assert_eq!(clock(3_723.9), "01:02:03");
        assert_eq!(file_size(500_000), "488KB");
        assert_eq!(file_size(5 << 20), "5MB");
        assert_eq!(file_size(5 << 29), "2.50GB");
        assert_eq!(bytes(1023), "1023.0 B");
        assert_eq!(bytes_exactly(1 << 40), "1.00 TiB");
    }
}
