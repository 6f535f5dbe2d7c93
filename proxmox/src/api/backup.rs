//! Making backups: `vzdump`.
//!
//! One backup job runs on a node at a time; the task of the next one waits, up to three hours, before it does
//! anything. A job whose VM could not be backed up ends with `job errors`, and only its log tells why: see
//! [`BackupFailure`](crate::BackupFailure).

use std::fmt;
use std::time::Instant;

use http::Method;
use serde::Deserialize;

use crate::answer::malformed;
use crate::client::{Client, Vm};
use crate::error::Error;
use crate::id::{InvalidId, NodeName, StorageId};
use crate::lenient;
use crate::notes::{InvalidNotes, Notes};
use crate::reason::Reason;
use crate::route::{Params, Route};
use crate::transport::Class;
use crate::upid::Upid;

/// How the guest is treated while it is backed up. A VM that is off is backed up as it lies there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BackupMode {
    /// It runs on. With the guest agent its file systems are frozen for a moment.
    #[default]
    Snapshot,
    /// It is paused until the backup has begun.
    Suspend,
    /// It is shut down and started again when the backup has begun: the guest notices, the data are at rest.
    Stop,
}

impl BackupMode {
    fn as_str(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Suspend => "suspend",
            Self::Stop => "stop",
        }
    }
}

/// How a backup file is compressed; a backup server does as it wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// Fast and good.
    #[default]
    Zstd,
    /// Slow.
    Gzip,
    /// Very fast, weak.
    Lzo,
}

impl Compression {
    fn as_str(self) -> &'static str {
        match self {
            Self::None => "0",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::Lzo => "lzo",
        }
    }
}

/// A backup to be made of one VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBackup {
    storage: StorageId,
    mode: BackupMode,
    compression: Compression,
    template: Option<String>,
    protected: bool,
    prune: bool,
}

impl NewBackup {
    /// A backup on that storage: in mode snapshot, with zstd, without notes, unprotected, and without removing
    /// older ones.
    pub fn on(storage: StorageId) -> Self {
        Self {
            storage,
            mode: BackupMode::default(),
            compression: Compression::default(),
            template: None,
            protected: false,
            prune: false,
        }
    }

    /// How the guest is treated.
    #[must_use]
    pub fn mode(mut self, mode: BackupMode) -> Self {
        self.mode = mode;
        self
    }

    /// How a backup file is compressed.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Gives it notes, exactly as they are; only double opening braces get a blank between them, because PVE would
    /// take them for variables.
    ///
    /// # Errors
    /// [`InvalidNotes::TooLong`] when the escapes make them too long.
    pub fn notes(mut self, notes: &Notes) -> Result<Self, InvalidNotes> {
        self.template = Some(notes.template()?).filter(|text| !text.is_empty());
        Ok(self)
    }

    /// Protects it against removal from the start.
    #[must_use]
    pub fn protected(mut self, protected: bool) -> Self {
        self.protected = protected;
        self
    }

    /// Lets the retention of the storage remove older backups of the VM afterwards, also those that were made
    /// outside the panel. Without it a storage whose retention is full refuses the backup
    /// ([`Reason::BackupLimit`]).
    #[must_use]
    pub fn prune(mut self, prune: bool) -> Self {
        self.prune = prune;
        self
    }

    fn params(&self) -> Params {
        Params::new()
            .set("storage", &self.storage)
            .set("mode", self.mode.as_str())
            .set("compress", self.compression.as_str())
            .opt("notes-template", self.template.as_ref())
            .flag("protected", self.protected)
            .set("remove", u8::from(self.prune))
    }
}

/// How many backups a storage keeps, by period; 0 where nothing is said of a period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// The newest.
    pub last: u64,
    /// One an hour.
    pub hourly: u64,
    /// One a day.
    pub daily: u64,
    /// One a week.
    pub weekly: u64,
    /// One a month.
    pub monthly: u64,
    /// One a year.
    pub yearly: u64,
}

impl Retention {
    /// Reads `keep-last=3,keep-weekly=4`; parts it does not know are passed over. `None` when the count of one that it
    /// knows cannot be read: to take that for 0 could mean that all backups are kept.
    pub fn parse(text: &str) -> Option<Self> {
        let mut out = Self::default();
        for part in text.split(',') {
            let Some((name, count)) = part.split_once('=') else {
                continue;
            };
            let place = match name.trim() {
                "keep-last" => &mut out.last,
                "keep-hourly" => &mut out.hourly,
                "keep-daily" => &mut out.daily,
                "keep-weekly" => &mut out.weekly,
                "keep-monthly" => &mut out.monthly,
                "keep-yearly" => &mut out.yearly,
                _ => continue,
            };
            *place = count.trim().parse().ok()?;
        }
        Some(out)
    }

    /// The most backups of a VM that can be kept; `None` if all are.
    pub fn limit(&self) -> Option<u64> {
        let counts = [
            self.last,
            self.hourly,
            self.daily,
            self.weekly,
            self.monthly,
            self.yearly,
        ];
        Some(counts.iter().fold(0_u64, |sum, n| sum.saturating_add(*n))).filter(|sum| *sum > 0)
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("last", self.last),
            ("hourly", self.hourly),
            ("daily", self.daily),
            ("weekly", self.weekly),
            ("monthly", self.monthly),
            ("yearly", self.yearly),
        ];
        let mut joint = "";
        for (name, count) in parts.iter().filter(|(_, count)| *count > 0) {
            write!(f, "{joint}keep-{name}={count}")?;
            joint = ",";
        }
        if joint.is_empty() {
            f.write_str("keep-all=1")?;
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Defaults {
    #[serde(default, rename = "prune-backups", deserialize_with = "lenient::text")]
    prune: Option<String>,
}

/// What `vzdump` answers: a task, or `OK` when the VM is not on the node that was asked.
enum Begun {
    Task(Upid),
    NotHere,
}

impl<'de> Deserialize<'de> for Begun {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "OK" {
            return Ok(Self::NotHere);
        }
        text.parse().map(Self::Task).map_err(InvalidId::in_answer)
    }
}

impl Vm {
    /// `POST /nodes/{node}/vzdump`: backs the VM up. The task is `vzdump`.
    ///
    /// A VM that moved meanwhile is looked up anew and backed up where it is: PVE says `OK` without a task then
    /// and has done nothing.
    ///
    /// # Errors
    /// [`Reason::VmNotFound`] when the cluster and the node disagree on where the VM is, as in the middle of a
    /// migration.
    pub async fn create_backup(&self, new: &NewBackup) -> Result<Upid, Error> {
        let node = self.node().await?;
        let sent = Instant::now();
        if let Begun::Task(upid) = self.vzdump(&node, new).await? {
            return Ok(upid);
        }
        let elsewhere = self.client().resolve(self.vmid(), Some(sent)).await?;
        if elsewhere != node
            && let Begun::Task(upid) = self.vzdump(&elsewhere, new).await?
        {
            return Ok(upid);
        }
        Err(Error::Refused {
            target: self.vzdump_route(&elsewhere, new).target(self.client().name()),
            reason: Reason::VmNotFound,
            status: 200,
            text: "OK".to_owned(),
        })
    }

    async fn vzdump(&self, node: &NodeName, new: &NewBackup) -> Result<Begun, Error> {
        let params = new.params().set("vmid", self.vmid());
        let route = self.vzdump_route(node, new);
        let result = self.client().call(Class::Write, &route, &params).await;
        if matches!(result, Err(Error::NodeUnreachable { .. })) {
            self.client().nodes().doubt();
        }
        Ok(result?.data)
    }

    fn vzdump_route(&self, node: &NodeName, new: &NewBackup) -> Route {
        let route = Route::new(Method::POST).word("/nodes").node(node).word("/vzdump");
        route.about(self.vmid()).about_storage(&new.storage)
    }
}

impl Client {
    /// `GET /nodes/{node}/vzdump/defaults`: the retention that backups on a storage are held to.
    ///
    /// # Errors
    /// [`Reason::WrongContent`] when the storage takes no backups, [`Error::Malformed`] when a count cannot be read.
    pub async fn backup_retention(&self, node: &NodeName, storage: &StorageId) -> Result<Retention, Error> {
        let route = Route::get("/nodes").node(node).word("/vzdump/defaults");
        let params = Params::new().set("storage", storage);
        let defaults: Defaults = self.call(Class::Read, &route, &params).await?.data;
        Retention::parse(&defaults.prune.unwrap_or_default())
            .ok_or_else(|| malformed(route.target(self.name()), &"a count of the retention is none"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_is_read_and_printed_in_pves_words() {
        let parse = |text: &str| Retention::parse(text).unwrap();
        let retention = parse("keep-daily=7, keep-last=3,keep-all=0,keep-moons=2");
        assert_eq!(
            (retention.last, retention.daily, retention.limit()),
            (3, 7, Some(10))
        );
        assert_eq!(retention.to_string(), "keep-last=3,keep-daily=7");
        for all in ["", "keep-all=1", "keep-last=0", "nonsense"] {
            assert_eq!(parse(all).limit(), None, "{all}");
            assert_eq!(parse(all).to_string(), "keep-all=1");
        }
        for odd in ["keep-last=-1", "keep-daily=7,keep-last=many", "keep-last="] {
            assert_eq!(Retention::parse(odd), None, "{odd}");
        }
    }
}
