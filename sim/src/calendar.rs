//! Dates and times of day, as the names and logs of backups have them.
//!
//! The simulated nodes live in UTC. Deliberately not here: time zones, and the time itself (`clock`).

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// A point in time as clocks and calendars show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(DateTime);

impl Moment {
    /// Takes seconds since the epoch apart; what lies beyond the year 9999 or before -9999 is shown as the epoch.
    pub(crate) fn of(seconds: i64) -> Self {
        let time = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
        Self(TimeZone::UTC.to_datetime(time))
    }

    /// The day.
    pub(crate) fn date(self) -> Date {
        self.0.date()
    }

    /// The hour of the day, 0 to 23.
    pub(crate) fn hour(self) -> i8 {
        self.0.hour()
    }

    /// `2026_08_20-03_00_01`, as in the names of dump files.
    pub(crate) fn in_file_name(self) -> String {
        self.0.strftime("%Y_%m_%d-%H_%M_%S").to_string()
    }

    /// `2026-08-20T03:00:01Z`, as in the names of snapshots on a backup server.
    pub(crate) fn rfc3339(self) -> String {
        self.0.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// `2026-08-20 03:00:01`, as in task logs.
    pub(crate) fn in_log(self) -> String {
        self.0.strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// `Thu, 20 Aug 2026 03:00:01 GMT`, as in headers of HTTP.
    pub(crate) fn in_http(self) -> String {
        self.0.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    /// `Thu Aug 20 03:00:01 2026`, as `vma` prints it.
    pub(crate) fn in_words(self) -> String {
        self.0.strftime("%a %b %e %H:%M:%S %Y").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_dates_and_times() {
        let moment = Moment::of(1_787_194_801);
        assert_eq!(moment.in_log(), "2026-08-20 03:00:01");
        assert_eq!(moment.rfc3339(), "2026-08-20T03:00:01Z");
        assert_eq!(moment.in_http(), "Thu, 20 Aug 2026 03:00:01 GMT");
        assert_eq!(moment.in_file_name(), "2026_08_20-03_00_01");
        assert_eq!(moment.in_words(), "Thu Aug 20 03:00:01 2026");
        assert_eq!(Moment::of(951_782_400).in_log(), "2000-02-29 00:00:00");
        assert_eq!(Moment::of(1_785_551_400).in_words(), "Sat Aug  1 02:30:00 2026");
        assert_eq!(Moment::of(-1).in_log(), "1969-12-31 23:59:59");
    }

    #[test]
    fn a_time_beyond_all_calendars_is_shown_as_the_epoch() {
        assert_eq!(Moment::of(i64::MAX).in_log(), "1970-01-01 00:00:00");
    }
}
