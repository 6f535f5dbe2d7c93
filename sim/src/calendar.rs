//! Dates and times of day, as the names and logs of backups have them.
//!
//! The simulated nodes live in UTC. Deliberately not here: time zones, and the time itself (`clock`).

/// A point in time, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) year: i64,
    /// 1 to 12.
    pub(crate) month: i64,
    /// 1 to 31.
    pub(crate) day: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
    /// Days since 1970-01-01.
    days: i64,
}

impl Moment {
    /// Takes seconds since the epoch apart (days to dates after Howard Hinnant's public algorithm).
    pub(crate) fn of(seconds: i64) -> Self {
        let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let month = if march_month < 10 {
            march_month + 3
        } else {
            march_month - 9
        };
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * march_month + 2) / 5 + 1,
            hour: rest / 3_600,
            minute: rest / 60 % 60,
            second: rest % 60,
            days,
        }
    }

    /// `2026_08_20-03_00_01`, as in the names of dump files.
    pub(crate) fn in_file_name(self) -> String {
        let Self {
            year,
            month,
            day,
            hour,
            minute,
            second,
            ..
        } = self;
        format!("{year:04}_{month:02}_{day:02}-{hour:02}_{minute:02}_{second:02}")
    }

    /// `2026-08-20T03:00:01Z`, as in the names of snapshots on a backup server.
    pub(crate) fn rfc3339(self) -> String {
        format!("{}Z", self.in_log().replace(' ', "T"))
    }

    /// `2026-08-20 03:00:01`, as in task logs.
    pub(crate) fn in_log(self) -> String {
        let Self {
            year,
            month,
            day,
            hour,
            minute,
            second,
            ..
        } = self;
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
    }

    /// `Thu Aug 20 03:00:01 2026`, as `vma` prints it.
    pub(crate) fn in_words(self) -> String {
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        let named = |names: &[&'static str], index: i64| {
            usize::try_from(index)
                .ok()
                .and_then(|index| names.get(index).copied())
                .unwrap_or_default()
        };
        format!(
            "{} {} {:2} {:02}:{:02}:{:02} {}",
            named(&DAYS, self.days.rem_euclid(7)),
            named(&MONTHS, self.month - 1),
            self.day,
            self.hour,
            self.minute,
            self.second,
            self.year
        )
    }

    /// Counts the weeks, which begin on Mondays, so that two moments of the same ISO week have the same number.
    pub(crate) fn week(self) -> i64 {
        (self.days + 3).div_euclid(7)
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
        assert_eq!(moment.in_file_name(), "2026_08_20-03_00_01");
        assert_eq!(moment.in_words(), "Thu Aug 20 03:00:01 2026");
        assert_eq!(Moment::of(951_782_400).in_log(), "2000-02-29 00:00:00");
        assert_eq!(Moment::of(-1).in_log(), "1969-12-31 23:59:59");
    }

    #[test]
    fn a_week_begins_on_monday() {
        let day = |n: i64| Moment::of(1_787_194_801 + n * 86_400).week(); // a Thursday
        assert_eq!(day(0), day(3));
        assert_eq!(day(0) + 1, day(4));
        assert_eq!(day(0), day(-3));
        assert_eq!(day(0) - 1, day(-4));
    }
}
