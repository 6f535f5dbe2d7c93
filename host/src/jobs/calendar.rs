//! When a weekly calendar is due next.
//!
//! A calendar names at most one minute a weekday in a time zone. Changes of the clocks neither skip nor double a run: a
//! time that does not exist on a day is moved later by the length of the gap, one that comes twice is its first.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

/// A weekly calendar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calendar {
    /// The IANA name of the zone.
    pub time_zone: String,
    /// Day of the week (0 is Monday) and minute of the day (0…1439), sorted, at most one a day.
    pub entries: Vec<(u8, u16)>,
}

/// Why a calendar is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// The zone is unknown.
    #[error("`{0}` is not the name of a time zone")]
    Zone(String),
    /// No entry, more than seven, or two for one day.
    #[error("one to seven entries are needed, at most one a day")]
    Entries,
    /// A day over 6 or a minute over 1439.
    #[error("a day is 0 to 6 and a minute 0 to 1439")]
    Range,
}

impl Calendar {
    /// Checks and sorts.
    pub fn new(time_zone: String, mut entries: Vec<(u8, u16)>) -> Result<Self, CalendarError> {
        if TimeZone::get(&time_zone).is_err() {
            return Err(CalendarError::Zone(time_zone));
        }
        if entries.iter().any(|(day, minute)| *day > 6 || *minute > 1439) {
            return Err(CalendarError::Range);
        }
        entries.sort_unstable();
        if entries.is_empty()
            || entries
                .windows(2)
                .any(|pair| matches!(pair, [a, b] if a.0 == b.0))
        {
            return Err(CalendarError::Entries);
        }
        Ok(Self { time_zone, entries })
    }

    /// The first run after `after`; none only when time itself ends.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let zone = self.zone();
        let mut day = after.to_zoned_datetime(zone.clone()).date();
        // A day back for runs that a gap pushed over midnight, eight forward for a calendar of one day a week.
        day = day.checked_sub(1.day()).ok()?;
        for _ in 0..10 {
            if let Some(at) = self.on(day, &zone).filter(|at| *at > after) {
                return Some(at);
            }
            day = day.tomorrow().ok()?;
        }
        None
    }

    /// Whether `now` is still on the day, in the calendar's zone, on which a run was due.
    pub fn same_day(&self, due: Timestamp, now: Timestamp) -> bool {
        let zone = self.zone();
        due.to_zoned_datetime(zone.clone()).date() == now.to_zoned_datetime(zone).date()
    }

    fn zone(&self) -> TimeZone {
        // The name was checked when the calendar was made; a zone that left the database since counts as UTC.
        TimeZone::get(&self.time_zone).unwrap_or(TimeZone::UTC)
    }

    fn on(&self, day: Date, zone: &TimeZone) -> Option<Timestamp> {
        let number = u8::try_from(weekday_number(day.weekday())).ok()?;
        let (_, minute) = self.entries.iter().find(|(entry, _)| *entry == number)?;
        let hour = i8::try_from(minute / 60).ok()?;
        let minute = i8::try_from(minute % 60).ok()?;
        zone.to_ambiguous_timestamp(day.at(hour, minute, 0, 0))
            .compatible()
            .ok()
    }
}

fn weekday_number(day: Weekday) -> i8 {
    day.to_monday_zero_offset()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn berlin(entries: &[(u8, u16)]) -> Calendar {
        Calendar::new("Europe/Berlin".to_owned(), entries.to_vec()).unwrap()
    }

    fn runs(calendar: &Calendar, from: &str, count: usize) -> Vec<String> {
        let mut after = at(from);
        (0..count)
            .map(|_| {
                after = calendar.next(after).unwrap();
                after.to_string()
            })
            .collect()
    }

    const DAILY_0230: [(u8, u16); 7] = [
        (0, 150),
        (1, 150),
        (2, 150),
        (3, 150),
        (4, 150),
        (5, 150),
        (6, 150),
    ];

    #[test]
    fn a_time_that_does_not_exist_is_run_once_on_its_day() {
        // 29 March 2026, 02:00 → 03:00.
        assert_eq!(
            runs(&berlin(&DAILY_0230), "2026-03-27T12:00:00Z", 3),
            [
                "2026-03-28T01:30:00Z",
                "2026-03-29T01:30:00Z",
                "2026-03-30T00:30:00Z"
            ]
        );
    }

    #[test]
    fn a_time_that_comes_twice_is_run_once() {
        // 25 October 2026, 03:00 → 02:00.
        assert_eq!(
            runs(&berlin(&DAILY_0230), "2026-10-24T12:00:00Z", 2),
            ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
        );
    }

    #[test]
    fn a_calendar_of_one_day_comes_once_a_week() {
        assert_eq!(
            runs(&berlin(&[(6, 0)]), "2026-11-24T00:00:00Z", 2),
            ["2026-11-28T23:00:00Z", "2026-12-05T23:00:00Z"]
        );
    }

    #[test]
    fn a_missed_run_is_of_the_same_day_in_the_calendar_zone() {
        let calendar = berlin(&DAILY_0230);
        assert!(calendar.same_day(at("2026-11-24T01:30:00Z"), at("2026-11-24T22:59:00Z")));
        assert!(!calendar.same_day(at("2026-11-24T01:30:00Z"), at("2026-11-24T23:00:00Z")));
    }

    #[test]
    fn bad_calendars_are_refused() {
        assert_eq!(
            Calendar::new("Mars/Base".into(), vec![(0, 0)]),
            Err(CalendarError::Zone("Mars/Base".into()))
        );
        assert_eq!(
            Calendar::new("Etc/UTC".into(), vec![]),
            Err(CalendarError::Entries)
        );
        assert_eq!(
            Calendar::new("Etc/UTC".into(), vec![(0, 0), (0, 5)]),
            Err(CalendarError::Entries)
        );
        assert_eq!(
            Calendar::new("Etc/UTC".into(), vec![(7, 0)]),
            Err(CalendarError::Range)
        );
    }
}
