//! The panel's own filters: times in the customer's time zone, sizes, rates.
//!
//! | filter | of | makes |
//! |---|---|---|
//! | `datetime` | epoch seconds | `24 Nov 2026, 11:23` in the customer's time zone |
//! | `iso` | epoch seconds | `2026-11-24T10:23:00Z` (RFC 3339, UTC) |
//! | `duration` | seconds | `0 days 23:59:54` |
//! | `gib` | bytes | `1.5 GiB`; MiB and KiB below, TiB from 10 TiB |
//! | `rate` | bytes per second | `1.2 MB/s`, where 1 MB is 2²⁰ bytes, as PVE limits and shows rates |
//! | `percent` | fraction | `12.3 %` |
//!
//! `none` and numbers out of range make a dash, for values that PVE does not report at a moment; anything but a number is
//! an error of the template.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use minijinja::value::{Enumerator, Object};
use minijinja::{Environment, Error, ErrorKind, State, Value};

use crate::template::RenderContext;

/// The names of the filters.
pub(super) const NAMES: [&str; 6] = ["datetime", "duration", "gib", "iso", "percent", "rate"];

const KIB: f64 = 1024.0;
const MIB: f64 = KIB * 1024.0;
const GIB: f64 = MIB * 1024.0;
/// Shown where there is no value.
const DASH: &str = "–";

/// The variable that holds the context. A template cannot name it, as there is a space in it, nor set it.
const CONTEXT: &str = "portico context";

/// Registers the panel's filters in an environment: a plugin's or the panel's own.
///
/// `datetime` needs the data to be wrapped by [`with_context`]; without it, it shows UTC.
pub fn register(environment: &mut Environment<'_>) {
    environment.add_filter("datetime", datetime);
    environment.add_filter("duration", duration);
    environment.add_filter("gib", gib);
    environment.add_filter("iso", iso);
    environment.add_filter("percent", percent);
    environment.add_filter("rate", rate);
}

/// Wraps the data of a template so that the filters know for whom it is rendered.
///
/// The template sees `data` and nothing else; it cannot see, replace or shadow the context.
pub fn with_context(data: Value, context: &RenderContext) -> Value {
    Value::from_object(Root {
        data,
        zone: Value::from_object(Zone(context.time_zone.clone())),
    })
}

#[derive(Debug)]
struct Zone(TimeZone);

impl Object for Zone {}

#[derive(Debug)]
struct Root {
    data: Value,
    zone: Value,
}

impl Object for Root {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        if key == CONTEXT {
            return Some(self.zone.clone());
        }
        self.data.get_attr(key).ok().filter(|value| !value.is_undefined())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match self.data.try_iter() {
            Ok(keys) => Enumerator::Values(keys.collect()),
            Err(_) => Enumerator::Empty,
        }
    }
}

/// The number that a filter was given; none for `none` and for what is not finite.
fn number(filter: &'static str, value: &Value) -> Result<Option<f64>, Error> {
    if value.is_none() {
        return Ok(None);
    }
    if !value.is_number() {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("`{filter}` takes a number or none"),
        ));
    }
    Ok(f64::try_from(value.clone())
        .ok()
        .filter(|number| number.is_finite()))
}

fn timestamp(filter: &'static str, value: &Value) -> Result<Option<Timestamp>, Error> {
    let seconds = number(filter, value)?.and_then(super::number::whole);
    Ok(seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()))
}

fn datetime(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    let Some(timestamp) = timestamp("datetime", value)? else {
        return Ok(DASH.to_owned());
    };
    let context = state.lookup(CONTEXT);
    let zone = context
        .as_ref()
        .and_then(|value| value.downcast_object_ref::<Zone>());
    let zoned = timestamp.to_zoned_datetime(zone.map_or(TimeZone::UTC, |zone| zone.0.clone()));
    Ok(zoned.strftime("%-d %b %Y, %H:%M").to_string())
}

fn iso(value: &Value) -> Result<String, Error> {
    Ok(timestamp("iso", value)?.map_or_else(|| DASH.to_owned(), |timestamp| timestamp.to_string()))
}

fn duration(value: &Value) -> Result<String, Error> {
    let seconds = number("duration", value)?
        .and_then(super::number::whole)
        .filter(|seconds| *seconds >= 0);
    Ok(match seconds {
        Some(seconds) => {
            let (days, rest) = (seconds / 86_400, seconds % 86_400);
            let plural = if days == 1 { "" } else { "s" };
            format!(
                "{days} day{plural} {:02}:{:02}:{:02}",
                rest / 3600,
                rest % 3600 / 60,
                rest % 60
            )
        }
        None => DASH.to_owned(),
    })
}

/// A number with one decimal, none where it is zero or the number is large.
fn short(number: f64) -> String {
    let text = if number < 99.95 {
        format!("{number:.1}")
    } else {
        format!("{number:.0}")
    };
    text.strip_suffix(".0").map(ToOwned::to_owned).unwrap_or(text)
}

fn gib(value: &Value) -> Result<String, Error> {
    const TIB: f64 = GIB * 1024.0;
    let bytes = number("gib", value)?.filter(|bytes| *bytes >= 0.0);
    Ok(match bytes {
        None => DASH.to_owned(),
        Some(0.0) => "0 GiB".to_owned(),
        Some(bytes) if bytes < KIB => format!("{bytes:.0} B"),
        Some(bytes) if bytes < MIB => format!("{} KiB", short(bytes / KIB)),
        // What rounds to 1024 MiB is a GiB.
        Some(bytes) if bytes < GIB - MIB / 2.0 => format!("{} MiB", short(bytes / MIB)),
        Some(bytes) if bytes < 10.0 * TIB => format!("{} GiB", short(bytes / GIB)),
        Some(bytes) => format!("{} TiB", short(bytes / TIB)),
    })
}

fn rate(value: &Value) -> Result<String, Error> {
    let bytes = number("rate", value)?.filter(|bytes| *bytes >= 0.0);
    Ok(match bytes {
        None => DASH.to_owned(),
        Some(bytes) if bytes < KIB - 0.5 => format!("{bytes:.0} B/s"),
        // PVE multiplies `mbps` and `rate` by 1024 · 1024 and calls them MB/s: a limit reads here as it was set there.
        Some(bytes) if bytes < MIB - KIB / 2.0 => format!("{} kB/s", short(bytes / KIB)),
        Some(bytes) if bytes < GIB - MIB / 2.0 => format!("{} MB/s", short(bytes / MIB)),
        Some(bytes) => format!("{} GB/s", short(bytes / GIB)),
    })
}

fn percent(value: &Value) -> Result<String, Error> {
    let fraction = number("percent", value)?.filter(|fraction| (0.0..1e6).contains(fraction));
    Ok(fraction.map_or_else(
        || DASH.to_owned(),
        |fraction| format!("{} %", short(fraction * 100.0)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment<'static> {
        let mut environment = Environment::new();
        register(&mut environment);
        environment
    }

    fn print(expression: &str, zone: &str) -> String {
        let context = RenderContext::new(zone, "en");
        environment()
            .render_str(
                &format!("{{{{ {expression} }}}}"),
                with_context(Value::from(()), &context),
            )
            .unwrap()
    }

    #[test]
    fn times_are_shown_in_the_customers_time_zone() {
        assert_eq!(print("1795519380|datetime", "Etc/UTC"), "24 Nov 2026, 11:23");
        assert_eq!(
            print("1795519380|datetime", "Europe/Berlin"),
            "24 Nov 2026, 12:23"
        );
        assert_eq!(
            print("1795519380|datetime", "Asia/Kathmandu"),
            "24 Nov 2026, 17:08"
        );
        assert_eq!(print("1795519380.9|datetime", "No/Such"), "24 Nov 2026, 11:23");
        assert_eq!(print("1795519380|iso", "Europe/Berlin"), "2026-11-24T11:23:00Z");
    }

    #[test]
    fn figures_are_short() {
        for (expression, shown) in [
            ("86394|duration", "0 days 23:59:54"),
            ("125|duration", "0 days 00:02:05"),
            ("90061|duration", "1 day 01:01:01"),
            ("0|duration", "0 days 00:00:00"),
            ("0|gib", "0 GiB"),
            ("512|gib", "512 B"),
            ("1536|gib", "1.5 KiB"),
            ("536870912|gib", "512 MiB"),
            ("1073741823|gib", "1 GiB"),
            ("1610612736|gib", "1.5 GiB"),
            ("2147483648|gib", "2 GiB"),
            ("107374182400|gib", "100 GiB"),
            ("2199023255552|gib", "2048 GiB"),
            ("21990232555520|gib", "20 TiB"),
            ("0|rate", "0 B/s"),
            ("999|rate", "999 B/s"),
            ("1536|rate", "1.5 kB/s"),
            ("1048575|rate", "1 MB/s"),
            ("13107200|rate", "12.5 MB/s"),
            ("209715200|rate", "200 MB/s"),
            ("2684354560|rate", "2.5 GB/s"),
            ("0.123|percent", "12.3 %"),
            ("1|percent", "100 %"),
            ("0|percent", "0 %"),
            ("1.5|percent", "150 %"),
        ] {
            assert_eq!(print(expression, "Etc/UTC"), shown, "{expression}");
        }
    }

    #[test]
    fn what_is_not_known_or_out_of_range_is_a_dash() {
        for filter in NAMES {
            assert_eq!(print(&format!("none|{filter}"), "Etc/UTC"), DASH, "{filter}");
            assert_eq!(
                print(&format!("(1e308 * 10)|{filter}"), "Etc/UTC"),
                DASH,
                "{filter}"
            );
        }
        for filter in ["datetime", "iso"] {
            assert_eq!(
                print(&format!("99999999999999999999|{filter}"), "Etc/UTC"),
                DASH,
                "{filter}"
            );
            assert_eq!(
                print(&format!("(-99999999999999)|{filter}"), "Etc/UTC"),
                DASH,
                "{filter}"
            );
        }
        for filter in ["duration", "gib", "rate", "percent"] {
            assert_eq!(print(&format!("(-1)|{filter}"), "Etc/UTC"), DASH, "{filter}");
        }
    }

    #[test]
    fn what_is_not_a_number_is_an_error() {
        for filter in NAMES {
            for value in ["'x'", "[]", "{}", "true and 'y'"] {
                let source = format!("{{{{ {value}|{filter} }}}}");
                assert!(environment().render_str(&source, ()).is_err(), "{source}");
            }
        }
    }

    #[test]
    fn a_template_cannot_replace_the_time_zone() {
        let context = RenderContext::new("Europe/Berlin", "en");
        let source = "{% set context = 1 %}{% set portico = 2 %}{% macro m(x) %}{{ x|datetime }}{% endmacro %}\
                      {{ m(1795519380) }}{% with %}{{ 1795519380|datetime }}{% endwith %}";
        let data = Value::from_iter([("portico context", Value::from(1))]);
        let text = environment()
            .render_str(source, with_context(data, &context))
            .unwrap();
        assert_eq!(text, "24 Nov 2026, 12:2324 Nov 2026, 12:23");
    }
}
