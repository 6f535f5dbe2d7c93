//! For whom a template is rendered.

use jiff::tz::TimeZone;

/// For whom a template is rendered. Set by the host; a template cannot change it.
#[derive(Debug, Clone)]
pub struct RenderContext {
    /// The customer's time zone, in which the filter `datetime` shows times.
    pub time_zone: TimeZone,
    /// The customer's language as a BCP 47 tag. Not used by the filters yet: they write English months.
    pub locale: String,
}

impl RenderContext {
    /// A context for a time zone by its IANA name. An unknown name is UTC: a page with times in UTC is better than none.
    pub fn new(time_zone: &str, locale: impl Into<String>) -> Self {
        Self {
            time_zone: TimeZone::get(time_zone).unwrap_or(TimeZone::UTC),
            locale: locale.into(),
        }
    }
}

impl Default for RenderContext {
    fn default() -> Self {
        Self::new("Etc/UTC", "en")
    }
}
