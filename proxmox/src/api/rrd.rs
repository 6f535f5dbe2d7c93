//! Time series of a VM.
//!
//! PVE 8 answers 70 points for any timeframe, PVE 9 more and at other steps; after an upgrade a series begins
//! with points at the old steps. So a point is placed by its time, never by its place in the list. What is not
//! known is absent: all but the sizes while the VM is off, everything before it was made.

use http::Method;
use serde::{Deserialize, Deserializer};

use crate::client::Vm;
use crate::entries::Entries;
use crate::error::Error;
use crate::lenient;
use crate::reason::Reason;
use crate::route::Params;
use crate::transport::Class;

/// How far a series goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timeframe {
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A week.
    Week,
    /// A month.
    Month,
    /// A year (PVE 8: somewhat more).
    Year,
}

impl Timeframe {
    /// The word PVE uses for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

/// What a point says of the time it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Consolidation {
    /// The mean.
    #[default]
    Average,
    /// The highest value.
    Max,
}

impl Consolidation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Average => "AVERAGE",
            Self::Max => "MAX",
        }
    }
}

/// One point of a series. A field is `None` where PVE knows nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
pub struct SeriesPoint {
    /// Epoch seconds.
    #[serde(deserialize_with = "time")]
    pub time: u64,
    /// Used fraction of all its CPUs, 0 to 1.
    #[serde(default, deserialize_with = "lenient::measured")]
    pub cpu: Option<f64>,
    /// Number of CPUs.
    #[serde(default, deserialize_with = "lenient::measured")]
    pub maxcpu: Option<f64>,
    /// Used memory, bytes.
    #[serde(default, deserialize_with = "lenient::measured")]
    pub mem: Option<f64>,
    /// Configured memory, bytes.
    #[serde(default, deserialize_with = "lenient::measured")]
    pub maxmem: Option<f64>,
    /// Memory that the VM takes from its host, bytes; PVE 9.
    #[serde(default, deserialize_with = "lenient::measured")]
    pub memhost: Option<f64>,
    /// Size of the boot disk, bytes.
    #[serde(default, deserialize_with = "lenient::measured")]
    pub maxdisk: Option<f64>,
    /// Bytes a second received by the guest.
    #[serde(default, deserialize_with = "lenient::measured")]
    pub netin: Option<f64>,
    /// Bytes a second sent by the guest.
    #[serde(default, deserialize_with = "lenient::measured")]
    pub netout: Option<f64>,
    /// Bytes a second read from disks.
    #[serde(default, deserialize_with = "lenient::measured")]
    pub diskread: Option<f64>,
    /// Bytes a second written to disks.
    #[serde(default, deserialize_with = "lenient::measured")]
    pub diskwrite: Option<f64>,
}

impl SeriesPoint {
    /// How many of its values are known.
    fn known(&self) -> usize {
        [
            self.cpu,
            self.maxcpu,
            self.mem,
            self.maxmem,
            self.memhost,
            self.maxdisk,
            self.netin,
            self.netout,
            self.diskread,
            self.diskwrite,
        ]
        .iter()
        .flatten()
        .count()
    }
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    lenient::u64(deserializer)?.ok_or_else(|| serde::de::Error::custom("a point without time"))
}

impl Vm {
    /// `GET rrddata`: points by time, the oldest first, each time once. Any node answers, also for a VM whose node
    /// is away. A VM that is quite new has none yet.
    pub async fn series(
        &self,
        timeframe: Timeframe,
        consolidation: Consolidation,
    ) -> Result<Vec<SeriesPoint>, Error> {
        let params = Params::new()
            .set("timeframe", timeframe.as_str())
            .set("cf", consolidation.as_str());
        let rows: Result<Entries<SeriesPoint>, Error> = self
            .call(Class::Read, Method::GET, |vm| vm.word("/rrddata"), params)
            .await;
        match rows {
            Err(error) if error.reason() == Some(&Reason::NoSeries) => Ok(Vec::new()),
            rows => Ok(ordered(rows?.kept("points of a series"))),
        }
    }
}

/// By time; of two points of one time the one that knows more.
fn ordered(mut points: Vec<SeriesPoint>) -> Vec<SeriesPoint> {
    points.sort_by_key(|point| (point.time, std::cmp::Reverse(point.known())));
    points.dedup_by_key(|point| point.time);
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(json: &str) -> Vec<SeriesPoint> {
        ordered(serde_json::from_str::<Entries<_>>(json).unwrap().kept("points"))
    }

    #[test]
    fn unknown_values_are_none_and_never_zero() {
        let points = points(
            r#"[{"time":60},{"time":120,"maxcpu":2,"maxmem":2147483648,"maxdisk":1e10,"disk":0},
                {"time":"180","cpu":0.25,"mem":"1.5e9","netin":null,"netout":"NaN","diskread":-1,"diskwrite":[1],
                 "memhost":7,"pressurecpusome":0.1}]"#,
        );
        let [empty, off, on] = &points[..] else { panic!() };
        assert_eq!((empty.time, empty.known()), (60, 0));
        assert_eq!((off.maxcpu, off.cpu, off.netin), (Some(2.0), None, None));
        assert_eq!((on.time, on.cpu, on.mem), (180, Some(0.25), Some(1.5e9)));
        assert_eq!(
            (on.netin, on.netout, on.diskread, on.diskwrite, on.memhost),
            (None, None, None, None, Some(7.0))
        );
    }

    #[test]
    fn mixed_steps_and_overlaps_come_out_by_time_and_once_each() {
        let points = points(
            r#"[{"time":1800,"cpu":0.1},{"time":3600},{"time":3600,"cpu":0.3},{"time":3540,"cpu":0.2},
                {"cpu":0.9},{"time":-5},7]"#,
        );
        let seen: Vec<_> = points.iter().map(|point| (point.time, point.cpu)).collect();
        assert_eq!(seen, [(1800, Some(0.1)), (3540, Some(0.2)), (3600, Some(0.3))]);
    }
}
