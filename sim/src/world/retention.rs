//! Retention: which backups of a VM are kept.
//!
//! [`Keep`] is PVE's `prune-backups` property, [`marks`] says what it does with each backup. Removing is the
//! affair of `work::volumes`.

use std::collections::BTreeSet;

use super::backup::{backups_on, has_standard_name};
use super::storage::{Storage, StorageKind};
use crate::calendar::Moment;
use crate::schema::Property;
use crate::schema::property_string::Layout;

const fn count(name: &'static str) -> Property {
    Property::integer(name).optional().at_least(0)
}

const KEEP: Layout = Layout {
    default_key: None,
    parts: &[
        Property::boolean("keep-all").optional(),
        count("keep-daily"),
        count("keep-hourly"),
        count("keep-last"),
        count("keep-monthly"),
        count("keep-weekly"),
        count("keep-yearly"),
    ],
    aliases: &[],
};

/// Retention: how many backups of each period are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Keep {
    /// In PVE's order of evaluation: last, hourly, daily, weekly, monthly, yearly. All zero keeps everything.
    counts: [u64; 6],
    /// As it was written, sorted by name.
    parts: Vec<(String, String)>,
}

const PERIODS: [&str; 6] = [
    "keep-last",
    "keep-hourly",
    "keep-daily",
    "keep-weekly",
    "keep-monthly",
    "keep-yearly",
];

/// What retention does with a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    Keep,
    Remove,
    Protected,
    /// Its name is not one that vzdump gives.
    Renamed,
}

impl Mark {
    /// PVE's word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Remove => "remove",
            Self::Protected => "protected",
            Self::Renamed => "renamed",
        }
    }
}

impl Keep {
    /// Reads `keep-last=3,keep-daily=7`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let parts = KEEP.parse("prune-backups", text)?;
        let number = |name: &str| {
            parts
                .get(name)
                .and_then(|text| text.parse::<u64>().ok())
                .unwrap_or(0)
        };
        let counts = PERIODS.map(number);
        if counts.iter().any(|n| *n > 0) && parts.get("keep-all").is_some_and(|all| all == "1") {
            return Err("keep-all cannot be set together with other options.".to_owned());
        }
        let parts = if counts.iter().all(|n| *n == 0) {
            vec![("keep-all".to_owned(), "1".to_owned())]
        } else {
            parts.into_iter().collect()
        };
        Ok(Self { counts, parts })
    }

    /// Everything is kept.
    pub(crate) fn all() -> Self {
        Self {
            counts: [0; 6],
            parts: vec![("keep-all".to_owned(), "1".to_owned())],
        }
    }

    /// Whether everything is kept.
    pub(crate) fn is_all(&self) -> bool {
        self.counts.iter().all(|n| *n == 0)
    }

    /// How many backups there can be at most; 0 for no limit.
    pub(crate) fn limit(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// As task logs print it: `keep-daily=7, keep-last=3`.
    pub(crate) fn in_log(&self) -> String {
        let parts = self.parts.iter().map(|(name, value)| format!("{name}={value}"));
        parts.collect::<Vec<_>>().join(", ")
    }

    /// As a property string.
    pub(crate) fn print(&self) -> String {
        self.in_log().replace(", ", ",")
    }

    /// Marks the backups of one VM: given time, protection and name of each, in any order.
    fn mark(&self, backups: &[(i64, bool, bool)]) -> Vec<Mark> {
        let mut marks = backups
            .iter()
            .map(|(_, protected, standard)| match (protected, standard) {
                (true, _) => Some(Mark::Protected),
                (false, false) => Some(Mark::Renamed),
                (false, true) => None,
            })
            .collect::<Vec<_>>();
        let mut order = (0..backups.len())
            .filter(|at| backups.get(*at).is_some_and(|(_, _, standard)| *standard))
            .collect::<Vec<_>>();
        order.sort_by_key(|at| std::cmp::Reverse(backups.get(*at).map_or(0, |(time, _, _)| *time)));
        for (period, wanted) in self.counts.iter().enumerate().filter(|(_, wanted)| **wanted > 0) {
            let id = |at: usize| period_of(period, backups.get(at).map_or(0, |(time, _, _)| *time));
            let mark_of = |marks: &[Option<Mark>], at: usize| marks.get(at).copied().flatten();
            let covered = order
                .iter()
                .filter(|at| mark_of(&marks, **at) == Some(Mark::Keep))
                .map(|at| id(*at))
                .collect::<BTreeSet<_>>();
            let mut newly = BTreeSet::new();
            for at in &order {
                if mark_of(&marks, *at).is_some() || covered.contains(&id(*at)) {
                    continue;
                }
                let mark = if newly.contains(&id(*at)) {
                    Mark::Remove
                } else if newly.len() as u64 >= *wanted {
                    break;
                } else {
                    newly.insert(id(*at));
                    Mark::Keep
                };
                if let Some(place) = marks.get_mut(*at) {
                    *place = Some(mark);
                }
            }
        }
        let rest = if self.is_all() { Mark::Keep } else { Mark::Remove };
        marks.into_iter().map(|mark| mark.unwrap_or(rest)).collect()
    }
}

/// Which period a time falls into: [`PERIODS`] by index. Weeks begin on Mondays and belong to years of their own.
fn period_of(period: usize, time: i64) -> (i64, i8, i8, i8) {
    let moment = Moment::of(time);
    let (date, hour) = (moment.date(), moment.hour());
    let (year, month, day) = (i64::from(date.year()), date.month(), date.day());
    match period {
        0 => (time, 0, 0, 0),
        1 => (year, month, day, hour),
        2 => (year, month, day, 0),
        3 => {
            let week = date.iso_week_date();
            (i64::from(week.year()), week.week(), 0, 0)
        }
        4 => (year, month, 0, 0),
        _ => (year, 0, 0, 0),
    }
}

/// A backup with what retention does with it.
#[derive(Debug, Clone)]
pub(crate) struct Marked {
    pub(crate) volid: String,
    pub(crate) ctime: i64,
    pub(crate) vmid: Option<u32>,
    pub(crate) mark: Mark,
}

/// What retention does with the backups that a node sees on a storage, of one VM or of all.
pub(crate) fn marks(storage: &Storage, node: &str, vmid: Option<u32>, keep: &Keep) -> Vec<Marked> {
    let backups = backups_on(storage, node, vmid);
    let owners = backups.iter().map(|volume| volume.vmid).collect::<BTreeSet<_>>();
    let mut out = Vec::new();
    for owner in owners {
        let group = backups
            .iter()
            .filter(|volume| volume.vmid == owner)
            .collect::<Vec<_>>();
        let facts = group
            .iter()
            .map(|volume| {
                let standard = storage.kind == StorageKind::Pbs || has_standard_name(&volume.volid);
                (volume.ctime, volume.protected, standard)
            })
            .collect::<Vec<_>>();
        let marked = group.iter().zip(keep.mark(&facts)).map(|(volume, mark)| Marked {
            volid: volume.volid.clone(),
            ctime: volume.ctime,
            vmid: volume.vmid,
            mark,
        });
        out.extend(marked);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;
    const START: i64 = 1_787_194_801;

    fn marked(keep: &str, days: &[(i64, bool)]) -> Vec<Mark> {
        let facts = days
            .iter()
            .map(|(day, protected)| (START - day * DAY, *protected, true))
            .collect::<Vec<_>>();
        Keep::parse(keep).unwrap().mark(&facts)
    }

    #[test]
    fn the_newest_are_kept_and_protected_ones_do_not_count() {
        use Mark::{Keep, Protected, Remove};
        let marks = marked("keep-last=2", &[(0, false), (1, true), (2, false), (3, false)]);
        assert_eq!(marks, [Keep, Protected, Keep, Remove]);
    }

    #[test]
    fn longer_periods_look_only_at_what_shorter_ones_left() {
        use Mark::{Keep, Remove};
        // Thursday, Wednesday, and the Thursdays of the two weeks before.
        let marks = marked(
            "keep-last=1,keep-weekly=1",
            &[(0, false), (1, false), (7, false), (14, false)],
        );
        assert_eq!(marks, [Keep, Remove, Keep, Remove]);
        let marks = marked("keep-daily=2", &[(0, false), (0, false), (1, false)]);
        assert_eq!(marks, [Keep, Remove, Keep]);
    }

    #[test]
    fn a_week_begins_on_monday_also_where_the_year_ends_in_it() {
        let week = |day: i64| period_of(3, 1_787_194_801 + day * 86_400); // a Thursday
        assert_eq!(week(0), week(3));
        assert_ne!(week(3), week(4));
        assert_eq!(week(0), week(-3));
        assert_ne!(week(-3), week(-4));
        // Monday 28 December 2026 and Sunday 3 January 2027.
        assert_eq!(period_of(3, 1_798_416_000), period_of(3, 1_798_934_400));
    }

    #[test]
    fn keep_all_excludes_the_others_and_is_what_nothing_means() {
        assert!(Keep::parse("keep-all=1,keep-last=1").is_err());
        assert!(Keep::parse("keep-last=x").is_err());
        assert!(Keep::parse("keep-last=0").unwrap().is_all());
        assert_eq!(
            Keep::parse("keep-last=3,keep-daily=7").unwrap().in_log(),
            "keep-daily=7, keep-last=3"
        );
    }
}
