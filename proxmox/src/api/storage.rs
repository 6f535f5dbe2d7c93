//! Storages of a node: which there are, what they may hold, how much room they have, what is on them.
//!
//! A dead storage can hold every call here for the whole read time-out: ask for one storage where one is meant.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::client::Client;
use crate::entries::Entries;
use crate::error::Error;
use crate::foreign;
use crate::id::{NodeName, StorageId, VmId, VolumeId};
use crate::lenient;
use crate::route::{Params, Route};
use crate::transport::Class;

/// A kind of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentKind {
    /// Backup archives.
    Backup,
    /// Disks of VMs.
    Images,
    /// Installation media.
    Iso,
    /// Images to create disks from.
    Import,
}

impl ContentKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Images => "images",
            Self::Iso => "iso",
            Self::Import => "import",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Backup, Self::Images, Self::Iso, Self::Import]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

/// A storage as a node sees it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct NodeStorage {
    /// Its name.
    pub storage: StorageId,
    /// Its type, such as `dir`, `nfs`, `lvmthin`, `zfspool`, `pbs`.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// What it may hold; kinds that this crate has no use for are left out.
    #[serde(default, rename = "content", deserialize_with = "kinds")]
    pub content: Vec<ContentKind>,
    /// Whether it is switched on in the cluster's configuration.
    #[serde(default, deserialize_with = "lenient::bool")]
    pub enabled: bool,
    /// Whether the node can reach it now. If not, the numbers are 0 or missing.
    #[serde(default, deserialize_with = "lenient::bool")]
    pub active: bool,
    /// Whether all its nodes see the same volumes.
    #[serde(default, deserialize_with = "lenient::bool")]
    pub shared: bool,
    /// Size, bytes.
    #[serde(default, deserialize_with = "lenient::counted")]
    pub total: Option<u64>,
    /// Bytes in use.
    #[serde(default, deserialize_with = "lenient::counted")]
    pub used: Option<u64>,
    /// Bytes that are free. Of a thinly provisioned storage what is left of the pool, not of promises.
    #[serde(default, rename = "avail", deserialize_with = "lenient::counted")]
    pub available: Option<u64>,
}

impl NodeStorage {
    /// Whether something of that kind can be put on it now.
    pub fn can_take(&self, kind: ContentKind) -> bool {
        self.enabled && self.active && self.content.contains(&kind)
    }

    /// Whether backups on it are snapshots on a Proxmox Backup Server, which stores equal data once.
    pub fn is_backup_server(&self) -> bool {
        self.kind == "pbs"
    }
}

pub(crate) fn kinds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ContentKind>, D::Error> {
    let text = lenient::text(deserializer)?.unwrap_or_default();
    Ok(text
        .split(|c: char| matches!(c, ',' | ';') || c.is_whitespace())
        .filter_map(ContentKind::from_word)
        .collect())
}

/// What a Proxmox Backup Server found when it last looked whether a backup can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    /// All of it is there.
    Ok,
    /// Parts are missing or broken: a restore will fail or give broken data.
    Failed,
    /// A state that this crate does not know.
    Other(String),
}

/// A volume on a storage.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Volume {
    /// Its id.
    pub volid: VolumeId,
    /// The kind of content, such as `iso`.
    #[serde(default)]
    pub content: String,
    /// Its format, such as `iso`, `vma.zst`, `pbs-vm`, `qcow2`.
    #[serde(default)]
    pub format: String,
    /// Of a backup: what was backed up, `qemu` or `lxc`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub subtype: Option<String>,
    /// Size, bytes; of some storages only about. On a backup server the sum of the disks, not what is stored.
    #[serde(default, alias = "approximate-size", deserialize_with = "lenient::counted")]
    pub size: Option<u64>,
    /// When it was made, epoch seconds. The time in a backup's name is the node's local one; use this.
    #[serde(default, deserialize_with = "lenient::counted")]
    pub ctime: Option<u64>,
    /// The VM it belongs to.
    #[serde(default)]
    pub vmid: Option<VmId>,
    /// The first line of its notes.
    #[serde(default, deserialize_with = "lenient::text")]
    pub notes: Option<String>,
    /// Whether it is protected against removal.
    #[serde(default, deserialize_with = "lenient::bool")]
    pub protected: bool,
    /// Whether a backup server could read it back; `None` if it was never looked at.
    #[serde(default, deserialize_with = "verification")]
    pub verification: Option<Verification>,
    /// Whether a backup is encrypted: the key's fingerprint, or `1`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub encrypted: Option<String>,
}

impl Volume {
    /// Whether it is a backup of that VM (and of a VM, not of a container that had the number).
    pub fn is_backup_of(&self, vmid: VmId) -> bool {
        let of_vm = self.subtype.as_deref().is_none_or(|kind| kind == "qemu");
        self.content == "backup" && of_vm && self.vmid == Some(vmid)
    }

    /// The last part of its name, such as `debian-13.iso`.
    pub fn file_name(&self) -> &str {
        let name = self.volid.volume_name();
        name.rsplit_once('/').map_or(name, |(_, file)| file)
    }
}

fn verification<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Verification>, D::Error> {
    // Its form has changed between versions and only one word in it matters: what is odd counts as unknown.
    let value = Option::<Value>::deserialize(deserializer)?;
    let state = value.as_ref().and_then(|value| value.get("state")?.as_str());
    Ok(state.map(|word| match word {
        "ok" => Verification::Ok,
        "failed" => Verification::Failed,
        other => Verification::Other(foreign::word(other)),
    }))
}

impl Client {
    /// `GET /nodes/{node}/storage`: the storages that a node has, of those which may hold that kind if one is given.
    ///
    /// PVE leaves out storages on which the token has neither `Datastore.Audit` nor `Datastore.AllocateSpace`.
    pub async fn storages(
        &self,
        node: &NodeName,
        kind: Option<ContentKind>,
    ) -> Result<Vec<NodeStorage>, Error> {
        let route = Route::get("/nodes").node(node).word("/storage");
        let params = Params::new().opt("content", kind.map(ContentKind::as_str));
        let entries: Entries<_> = self.call(Class::Read, &route, &params).await?.data;
        Ok(entries.kept("storages"))
    }

    /// One storage of a node, without waiting for others that may be dead; `None` if the node has none of that
    /// name or the token may not see it.
    pub async fn storage(&self, node: &NodeName, storage: &StorageId) -> Result<Option<NodeStorage>, Error> {
        let route = Route::get("/nodes").node(node).word("/storage");
        let params = Params::new().set("storage", storage);
        let entries: Entries<NodeStorage> = self.call(Class::Read, &route, &params).await?.data;
        let list = entries.kept("storages");
        Ok(list.into_iter().find(|entry| entry.storage == *storage))
    }

    /// `GET /nodes/{node}/storage/{storage}/content`, of one kind and for one VM if wanted.
    ///
    /// Backups whose VM the token has no `VM.Backup` on are left out by PVE without a word.
    pub async fn storage_content(
        &self,
        node: &NodeName,
        storage: &StorageId,
        kind: Option<ContentKind>,
        vmid: Option<VmId>,
    ) -> Result<Vec<Volume>, Error> {
        let route = Route::get("/nodes")
            .node(node)
            .word("/storage")
            .storage(storage)
            .word("/content");
        let params = Params::new()
            .opt("content", kind.map(ContentKind::as_str))
            .opt("vmid", vmid);
        let entries: Entries<_> = self.call(Class::Read, &route, &params).await?.data;
        Ok(entries.kept("storage content"))
    }

    /// The backups of a VM on a storage, newest first.
    ///
    /// A backup that is being made is not among them: it appears when its task has ended well.
    pub async fn backups(
        &self,
        node: &NodeName,
        storage: &StorageId,
        vmid: VmId,
    ) -> Result<Vec<Volume>, Error> {
        let mut list = self
            .storage_content(node, storage, Some(ContentKind::Backup), Some(vmid))
            .await?;
        list.retain(|volume| volume.is_backup_of(vmid));
        list.sort_by(|a, b| (b.ctime, &b.volid).cmp(&(a.ctime, &a.volid)));
        Ok(list)
    }

    /// The installation media on a storage, by name.
    pub async fn isos(&self, node: &NodeName, storage: &StorageId) -> Result<Vec<Volume>, Error> {
        let mut list = self
            .storage_content(node, storage, Some(ContentKind::Iso), None)
            .await?;
        list.retain(|volume| volume.content == "iso");
        list.sort_by_cached_key(|volume| (volume.file_name().to_lowercase(), volume.volid.clone()));
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backups_of_directories_and_of_backup_servers_are_read() {
        let volumes = serde_json::from_str::<Entries<Volume>>(
                r#"[{"volid":"dir1:backup/vzdump-qemu-100-2026_08_20-03_00_01.vma.zst","content":"backup",
                     "format":"vma.zst","size":"1.5e+9","ctime":1787194801,"vmid":"100","subtype":"qemu","protected":1},
                    {"volid":"pbs:backup/vm/100/2026-08-20T03:00:01Z","content":"backup","format":"pbs-vm",
                     "size":1073741824,"ctime":1787194801,"vmid":100,"notes":"weekly","encrypted":"1",
                     "verification":{"state":"ok","upid":"UPID:x"}},
                    {"volid":"/etc/passwd","content":"iso"}]"#,
            )
            .unwrap()
            .kept("volumes");
        let [dir, pbs] = &volumes[..] else {
            panic!("{volumes:?}")
        };
        assert_eq!(
            (dir.size, dir.protected, dir.vmid.unwrap().get()),
            (Some(1_500_000_000), true, 100)
        );
        assert_eq!(pbs.volid.volume_name(), "backup/vm/100/2026-08-20T03:00:01Z");
        assert_eq!(pbs.notes.as_deref(), Some("weekly"));
        assert_eq!(pbs.verification, Some(Verification::Ok));
        assert_eq!(pbs.encrypted.as_deref(), Some("1"));
        assert_eq!(dir.verification, None);
        assert!(dir.is_backup_of(VmId::new(100).unwrap()) && !dir.is_backup_of(VmId::new(101).unwrap()));
        assert_eq!(dir.file_name(), "vzdump-qemu-100-2026_08_20-03_00_01.vma.zst");
    }

    #[test]
    fn odd_forms_of_volumes_are_read_as_far_as_they_can_be() {
        let volume = |rest: &str| {
            let json = format!(r#"{{"volid":"pbs:backup/vm/100/2026-08-20T03:00:01Z",{rest}}}"#);
            serde_json::from_str::<Volume>(&json).unwrap()
        };
        assert_eq!(volume(r#""approximate-size":"4096""#).size, Some(4096));
        let sizeless = volume(r#""size":-1,"ctime":"yesterday","protected":1"#);
        assert_eq!(
            (sizeless.size, sizeless.ctime, sizeless.protected),
            (None, None, true)
        );
        let failed = volume(r#""verification":{"state":"failed"}"#);
        assert_eq!(failed.verification, Some(Verification::Failed));
        for odd in [
            r#""verification":"none""#,
            r#""verification":null"#,
            r#""verification":{}"#,
        ] {
            assert_eq!(volume(odd).verification, None, "{odd}");
        }
        let container = volume(r#""content":"backup","subtype":"lxc","vmid":100"#);
        assert!(!container.is_backup_of(VmId::new(100).unwrap()));
    }

    #[test]
    fn a_storage_out_of_reach_can_take_nothing() {
        let storage = |json: &str| serde_json::from_str::<NodeStorage>(json).unwrap();
        let good = storage(
            r#"{"storage":"pbs","type":"pbs","content":"backup,images rootdir;iso","enabled":1,"active":"1",
                "shared":1,"total":"1e12","used":5,"avail":"100","used_fraction":0.1}"#,
        );
        assert!(good.can_take(ContentKind::Backup) && good.is_backup_server());
        assert!(!good.can_take(ContentKind::Import));
        assert_eq!((good.total, good.available), (Some(1_000_000_000_000), Some(100)));
        let dead = storage(r#"{"storage":"nas","type":"nfs","content":"backup","enabled":1,"active":0}"#);
        assert!(!dead.can_take(ContentKind::Backup) && dead.total.is_none());
    }
}
