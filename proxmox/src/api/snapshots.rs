//! Snapshots of a VM.
//!
//! PVE has no limit on their number and no lifetime for them: whoever wants that counts and removes. Each
//! change is a task; name clashes, locks and missing support show as its end, not as an error of the call.

use http::Method;
use serde::Deserialize;

use crate::client::Vm;
use crate::entries::Entries;
use crate::error::Error;
use crate::id::{NodeName, SnapshotName};
use crate::lenient;
use crate::route::Params;
use crate::transport::Class;
use crate::upid::Upid;

/// What PVE is doing with a snapshot, or was when it was broken off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotState {
    /// It is being taken.
    Preparing,
    /// It is being removed.
    Deleting,
    /// A state that this crate does not know.
    Other(String),
}

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its name.
    pub name: SnapshotName,
    /// When it was taken, epoch seconds by the node's clock.
    pub created: Option<u64>,
    /// The text given with it; empty if none.
    pub description: String,
    /// Whether the memory is in it.
    pub with_memory: bool,
    /// The snapshot it was taken after.
    pub parent: Option<SnapshotName>,
    /// What is being done with it; `None` once it is complete.
    pub state: Option<SnapshotState>,
}

/// The snapshots of a VM and where the VM stands among them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshots {
    /// Oldest first; those without a time last, each group by name.
    pub list: Vec<Snapshot>,
    /// The snapshot that the present state descends from.
    pub current_parent: Option<SnapshotName>,
    /// The digest of the VM's config.
    pub digest: Option<String>,
    /// Whether the VM runs.
    pub running: bool,
}

/// A snapshot to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSnapshot {
    /// Its name, unused so far.
    pub name: SnapshotName,
    /// A text for people.
    pub description: Option<String>,
    /// Whether to save the memory of a running VM too. Costs twice the memory and more on the storage.
    pub with_memory: bool,
}

/// What `feature` can be asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// Taking snapshots.
    Snapshot,
    /// Making linked clones.
    Clone,
    /// Making full copies.
    Copy,
}

impl Feature {
    fn as_str(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Clone => "clone",
            Self::Copy => "copy",
        }
    }
}

/// Whether the storages of a VM's disks can do something.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct FeatureAnswer {
    /// Whether they can.
    #[serde(default, rename = "hasFeature", deserialize_with = "lenient::bool")]
    pub available: bool,
    /// The nodes where that is so.
    #[serde(default)]
    pub nodes: Vec<NodeName>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    #[serde(default, deserialize_with = "lenient::counted")]
    snaptime: Option<u64>,
    #[serde(default, deserialize_with = "lenient::text")]
    description: Option<String>,
    #[serde(default, deserialize_with = "lenient::bool")]
    vmstate: bool,
    #[serde(default)]
    parent: Option<String>,
    #[serde(default)]
    snapstate: Option<String>,
    #[serde(default, deserialize_with = "lenient::bool")]
    running: bool,
    #[serde(default)]
    digest: Option<String>,
}

impl Vm {
    /// `GET snapshot`: all snapshots, sorted, with the pseudo-entry `current` taken out.
    pub async fn snapshots(&self) -> Result<Snapshots, Error> {
        let entries = self
            .call(Class::Read, Method::GET, |vm| vm.word("/snapshot"), Params::new())
            .await?;
        Ok(read(entries))
    }

    /// `POST snapshot`: takes one. The task is `qmsnapshot`; what was begun of a snapshot that fails is undone.
    ///
    /// In the task: [`Reason::SnapshotNameUsed`](crate::Reason::SnapshotNameUsed),
    /// [`Reason::SnapshotsUnsupported`](crate::Reason::SnapshotsUnsupported),
    /// [`Reason::Locked`](crate::Reason::Locked), [`Reason::Template`](crate::Reason::Template),
    /// [`Reason::StorageFull`](crate::Reason::StorageFull); [`Reason::LockTimeout`](crate::Reason::LockTimeout)
    /// when the storage for the memory is busy.
    ///
    /// # Errors
    /// [`Reason::StateUnsupported`](crate::Reason::StateUnsupported) with the memory of a VM that has devices passed through.
    pub async fn create_snapshot(&self, new: &NewSnapshot) -> Result<Upid, Error> {
        let params = Params::new()
            .set("snapname", &new.name)
            .opt("description", new.description.as_ref())
            .flag("vmstate", new.with_memory);
        self.call(Class::Write, Method::POST, |vm| vm.word("/snapshot"), params)
            .await
    }

    /// `POST snapshot/{name}/rollback`: returns to it, config included. A running VM is stopped hard. With
    /// `start` it runs afterwards; from a snapshot with memory it does so by itself. The task is
    /// `qmrollback`.
    ///
    /// In the task: [`Reason::SnapshotNotFound`](crate::Reason::SnapshotNotFound),
    /// [`Reason::SnapshotNotMostRecent`](crate::Reason::SnapshotNotMostRecent) (ZFS),
    /// [`Reason::SnapshotIncomplete`](crate::Reason::SnapshotIncomplete),
    /// [`Reason::Locked`](crate::Reason::Locked). One that is broken off leaves the VM locked.
    pub async fn rollback_snapshot(&self, name: &SnapshotName, start: bool) -> Result<Upid, Error> {
        let path = |vm: crate::route::Route| vm.word("/snapshot").snapshot(name).word("/rollback");
        self.call(
            Class::Write,
            Method::POST,
            path,
            Params::new().flag("start", start),
        )
        .await
    }

    /// `DELETE snapshot/{name}`: removes it. The task is `qmdelsnapshot`.
    ///
    /// In the task: [`Reason::SnapshotNotFound`](crate::Reason::SnapshotNotFound),
    /// [`Reason::Locked`](crate::Reason::Locked),
    /// [`Reason::ReplicationRunning`](crate::Reason::ReplicationRunning). One that is broken off leaves the VM
    /// locked.
    pub async fn remove_snapshot(&self, name: &SnapshotName) -> Result<Upid, Error> {
        let path = |vm: crate::route::Route| vm.word("/snapshot").snapshot(name);
        self.call(Class::Write, Method::DELETE, path, Params::new()).await
    }

    /// `DELETE snapshot/{name}?force=1`: as [`Self::remove_snapshot`], and takes it out of the config although a storage
    /// does not remove its part of it, which then stays behind there. It does not get past a lock.
    pub async fn forget_snapshot(&self, name: &SnapshotName) -> Result<Upid, Error> {
        let path = |vm: crate::route::Route| vm.word("/snapshot").snapshot(name);
        let params = Params::new().flag("force", true);
        self.call(Class::Write, Method::DELETE, path, params).await
    }

    /// `PUT snapshot/{name}/config`: gives it another description.
    pub async fn describe_snapshot(&self, name: &SnapshotName, description: &str) -> Result<(), Error> {
        let path = |vm: crate::route::Route| vm.word("/snapshot").snapshot(name).word("/config");
        let params = Params::new().set("description", description);
        self.change(Method::PUT, path, params).await
    }

    /// `GET feature`: whether the storages of the VM's disks can do this, now or from a snapshot.
    pub async fn feature(&self, feature: Feature, of: Option<&SnapshotName>) -> Result<FeatureAnswer, Error> {
        let params = Params::new().set("feature", feature.as_str()).opt("snapname", of);
        self.call(Class::Read, Method::GET, |vm| vm.word("/feature"), params)
            .await
    }
}

fn read(entries: Entries<Entry>) -> Snapshots {
    let mut snapshots = Snapshots::default();
    let name_of = |text: Option<String>| text.and_then(|text| SnapshotName::new(text).ok());
    for entry in entries.kept("snapshots") {
        if entry.name == "current" {
            snapshots.current_parent = name_of(entry.parent);
            snapshots.digest = entry.digest;
            snapshots.running = entry.running;
        } else if let Ok(name) = SnapshotName::new(entry.name) {
            snapshots.list.push(Snapshot {
                name,
                created: entry.snaptime,
                description: entry.description.unwrap_or_default().trim_end().to_owned(),
                with_memory: entry.vmstate,
                parent: name_of(entry.parent),
                state: entry
                    .snapstate
                    .filter(|state| !state.is_empty())
                    .map(|state| match state.as_str() {
                        "prepare" => SnapshotState::Preparing,
                        "delete" => SnapshotState::Deleting,
                        _ => SnapshotState::Other(state),
                    }),
            });
        }
    }
    snapshots.list.sort_by(|a, b| {
        let key = |s: &Snapshot| (s.created.is_none(), s.created);
        key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name))
    });
    snapshots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_are_sorted_by_time_and_current_is_no_snapshot() {
        let snapshots = read(
            serde_json::from_str(
                r#"[{"name":"current","description":"You are here!","running":1,"digest":"ab","parent":"second"},
                {"name":"second","snaptime":"1700000100","vmstate":1,"description":"two\n","parent":"first"},
                {"name":"making","snaptime":1700000200,"vmstate":0,"description":"","parent":"second","snapstate":"prepare"},
                {"name":"first","snaptime":1700000000,"description":"","vmstate":0},
                {"name":"odd","snaptime":"long ago"},
                {"name":"../x","snaptime":1}]"#,
            )
            .unwrap(),
        );
        let names: Vec<&str> = snapshots.list.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["first", "second", "making", "odd"]);
        assert_eq!(snapshots.current_parent.unwrap().as_str(), "second");
        assert!(snapshots.running);
        let [first, second, making, _] = &snapshots.list[..] else {
            panic!()
        };
        assert_eq!((second.with_memory, second.description.as_str()), (true, "two"));
        assert_eq!((&first.parent, &first.state), (&None, &None));
        assert_eq!(making.state, Some(SnapshotState::Preparing));
    }
}
