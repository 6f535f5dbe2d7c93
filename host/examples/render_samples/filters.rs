//! Stand-ins for the filters that the runtime gives to templates: enough to look at pages and to test their markup.

use minijinja::Environment;

/// Registers the filters under the names templates use. Times are shown in UTC.
pub(crate) fn register(environment: &mut Environment<'static>) {
    let timestamp = |seconds: i64| jiff::Timestamp::from_second(seconds).unwrap_or_default();
    environment.add_filter("iso", move |seconds: i64| timestamp(seconds).to_string());
    environment.add_filter("datetime", move |seconds: i64| {
        timestamp(seconds).strftime("%d %b %Y, %H:%M:%S").to_string()
    });
    environment.add_filter("duration", |seconds: i64| {
        let (days, rest) = (seconds / 86_400, seconds % 86_400);
        format!("{days} days {:02}:{:02}:{:02}", rest / 3600, rest % 3600 / 60, rest % 60)
    });
    environment.add_filter("gib", |bytes: f64| format!("{:.1} GiB", bytes / 1_073_741_824.0));
    environment.add_filter("rate", |bytes: f64| format!("{:.1} MB/s", bytes / 1e6));
    environment.add_filter("percent", |fraction: f64| format!("{:.1} %", fraction * 100.0));
}
