//! Names of snapshots.
//!
//! The name says who made a snapshot, and that is all the panel needs to remember about it: `p20261124T112300` was taken
//! by hand, `s20261124T112300` by the schedule, any other name was made outside the panel and is not touched unless the
//! customer asks.

use portico_sdk::snapshots::Snapshot;

/// The name for a snapshot that is taken at a moment (seconds since the epoch), free among those that exist.
pub(crate) fn new(scheduled: bool, moment: i64, existing: &[Snapshot]) -> String {
    let base = format!("{}{}", if scheduled { 's' } else { 'p' }, stamp(moment));
    let taken = |name: &str| existing.iter().any(|snapshot| snapshot.name == name);
    if !taken(&base) {
        return base;
    }
    // The bound is the number of snapshots: one of so many names is free.
    (2..existing.len() + 3)
        .map(|number| format!("{base}-{number}"))
        .find(|name| !taken(name))
        .unwrap_or(base)
}

/// Taken by hand in the panel.
pub(crate) fn is_manual(name: &str) -> bool {
    has_form(name, 'p')
}

/// Taken by the panel's schedule.
pub(crate) fn is_scheduled(name: &str) -> bool {
    has_form(name, 's')
}

/// Taken by the panel.
pub(crate) fn is_ours(name: &str) -> bool {
    is_manual(name) || is_scheduled(name)
}

/// The initial, eight digits, `T`, six digits, and for a second one of the same moment `-` and a number.
fn has_form(name: &str, initial: char) -> bool {
    let Some(rest) = name.strip_prefix(initial) else {
        return false;
    };
    let Some((stamp, suffix)) = rest.split_at_checked(15) else {
        return false;
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some((day, time)) = stamp.split_once('T') else {
        return false;
    };
    let is_stamp = day.len() == 8 && digits(day) && digits(time);
    is_stamp && (suffix.is_empty() || suffix.strip_prefix('-').is_some_and(digits))
}

/// `20261124T112300`, in UTC.
fn stamp(moment: i64) -> String {
    // The largest day that still has four digits in its year.
    let moment = moment.clamp(0, 253_402_300_799);
    let (year, month, day) = civil(moment.div_euclid(86_400));
    let second = moment.rem_euclid(86_400);
    format!(
        "{year:04}{month:02}{day:02}T{:02}{:02}{:02}",
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}

/// Year, month and day of a number of days since 1970-01-01 (Howard Hinnant's `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use portico_sdk::snapshots::Phase;

    use super::*;

    fn named(name: &str) -> Snapshot {
        Snapshot {
            name: name.into(),
            description: String::new(),
            time: 0,
            with_memory: false,
            parent: None,
            phase: Phase::Ready,
            current: false,
        }
    }

    #[test]
    fn moments_are_written_in_utc() {
        assert_eq!(stamp(0), "19700101T000000");
        assert_eq!(stamp(951_827_696), "20000229T123456");
        assert_eq!(stamp(1_795_519_380), "20261124T112300");
        assert_eq!(stamp(4_107_542_399), "21000228T235959");
        assert_eq!(stamp(i64::MAX), "99991231T235959");
    }

    #[test]
    fn a_name_that_is_taken_gets_a_number() {
        assert_eq!(new(false, 0, &[]), "p19700101T000000");
        let taken = [named("p19700101T000000"), named("p19700101T000000-2")];
        assert_eq!(new(false, 0, &taken), "p19700101T000000-3");
        assert_eq!(new(true, 0, &taken), "s19700101T000000");
    }

    #[test]
    fn only_names_of_the_exact_form_are_ours() {
        assert!(is_manual("p20261124T112300") && is_manual("p20261124T112300-12"));
        assert!(is_scheduled("s20261124T112300") && !is_manual("s20261124T112300"));
        for name in [
            "before-upgrade",
            "p",
            "p20261124",
            "p20261124T11230",
            "p20261124T1123000",
            "p20261124T112300-",
            "P20261124T112300",
            "p20261124T112300x",
            "pé0261124T112300",
            "current",
        ] {
            assert!(!is_ours(name), "{name}");
        }
    }
}
