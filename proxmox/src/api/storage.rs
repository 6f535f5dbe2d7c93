//! What a storage holds.

use serde::Deserialize;
use serde_json::Value;

use crate::client::Client;
use crate::error::Error;
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
    /// Size, bytes.
    #[serde(default, deserialize_with = "lenient::u64")]
    pub size: Option<u64>,
    /// When it was made, epoch seconds. The time in a backup's name is the node's local one; use this.
    #[serde(default, deserialize_with = "lenient::u64")]
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
}

impl Client {
    /// `GET /nodes/{node}/storage/{storage}/content`, of one kind and for one VM if wanted.
    ///
    /// Backups whose VM the token has no `VM.Backup` on are left out by PVE without a word. A dead storage
    /// can hold this call for the whole read time-out.
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
        let entries: Vec<Value> = self.call(Class::Read, &route, &params).await?.data;
        Ok(lenient::list(entries, "storage content"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backups_of_directories_and_of_backup_servers_are_read() {
        let volumes: Vec<Volume> = lenient::list(
            serde_json::from_str(
                r#"[{"volid":"dir1:backup/vzdump-qemu-100-2026_08_20-03_00_01.vma.zst","content":"backup",
                     "format":"vma.zst","size":"1.5e+9","ctime":1787194801,"vmid":"100","subtype":"qemu","protected":1},
                    {"volid":"pbs:backup/vm/100/2026-08-20T03:00:01Z","content":"backup","format":"pbs-vm",
                     "size":1073741824,"ctime":1787194801,"vmid":100,"notes":"weekly","verification":{"state":"ok"}},
                    {"volid":"/etc/passwd","content":"iso"}]"#,
            )
            .unwrap(),
            "volumes",
        );
        let [dir, pbs] = &volumes[..] else {
            panic!("{volumes:?}")
        };
        assert_eq!(
            (dir.size, dir.protected, dir.vmid.unwrap().get()),
            (Some(1_500_000_000), true, 100)
        );
        assert_eq!(pbs.volid.volume_name(), "backup/vm/100/2026-08-20T03:00:01Z");
        assert_eq!(pbs.notes.as_deref(), Some("weekly"));
    }
}
