//! Changes of a VM that take their time, and what waits to be applied.

use http::Method;
use serde::Deserialize;
use serde_json::Value;

use crate::api::config::ConfigUpdate;
use crate::client::Vm;
use crate::error::Error;
use crate::lenient::{self, Scalar};
use crate::property::{Bus, DriveSlot};
use crate::route::Params;
use crate::transport::Class;
use crate::upid::Upid;

/// A key of a config with what waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingValue {
    /// The key.
    pub key: String,
    /// The value in force; `None` if the key is not set.
    pub value: Option<String>,
    /// The value that waits.
    pub pending: Option<String>,
    /// Whether the key waits to be taken out.
    pub deleted: bool,
}

impl PendingValue {
    /// Whether something waits for this key.
    pub fn is_pending(&self) -> bool {
        self.pending.is_some() || self.deleted
    }
}

#[derive(Deserialize)]
struct Entry {
    key: String,
    #[serde(default, deserialize_with = "lenient::text")]
    value: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pending: Option<String>,
    /// 1, or 2 when a disk goes with its data.
    #[serde(default, deserialize_with = "lenient::u64")]
    delete: Option<u64>,
}

impl From<Entry> for PendingValue {
    fn from(entry: Entry) -> Self {
        Self {
            key: entry.key,
            value: entry.value,
            pending: entry.pending,
            deleted: entry.delete.is_some_and(|delete| delete > 0),
        }
    }
}

/// Which of the texts for cloud-init.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloudinitData {
    /// User, password, keys, name.
    User,
    /// Addresses and name servers.
    Network,
    /// The instance's id, which changes with the others.
    Meta,
}

impl Vm {
    /// `POST config`: as [`Vm::update_config`], in a task. For changes that make or copy disks, which take long.
    ///
    /// `None` when PVE did it at once and has no task to show. In the task:
    /// [`Reason::StorageFull`](crate::Reason::StorageFull),
    /// [`Reason::StorageUnavailable`](crate::Reason::StorageUnavailable),
    /// [`Reason::VolumeNotFound`](crate::Reason::VolumeNotFound) for a source,
    /// [`Reason::LockTimeout`](crate::Reason::LockTimeout) while others make volumes on the storage.
    ///
    /// # Errors
    /// [`Reason::Locked`](crate::Reason::Locked) and wrong keys or values at once, before anything is changed. A task
    /// that fails may have changed some keys of several.
    pub async fn update_config_task(&self, update: &ConfigUpdate) -> Result<Option<Upid>, Error> {
        self.call(
            Class::Write,
            Method::POST,
            |vm| vm.word("/config"),
            update.params(),
        )
        .await
    }

    /// `PUT resize`: lets a disk have so many bytes.
    ///
    /// The size is absolute, so that a repeated call changes nothing. Everything that can be wrong shows in the
    /// task: [`Reason::ShrinkUnsupported`](crate::Reason::ShrinkUnsupported),
    /// [`Reason::NoSuchDisk`](crate::Reason::NoSuchDisk), [`Reason::Locked`](crate::Reason::Locked), and where disks
    /// take their room at once [`Reason::StorageFull`](crate::Reason::StorageFull).
    ///
    /// # Errors
    /// A detached volume cannot be resized: [`Error::Parameters`].
    pub async fn resize(&self, slot: DriveSlot, bytes: u64) -> Result<Upid, Error> {
        // PVE counts in whole kibibytes; with a unit a number never has to be long.
        let size = crate::property::format_size(bytes.div_ceil(1024).saturating_mul(1024));
        let params = Params::new().set("disk", slot).set("size", size);
        self.call(Class::Write, Method::PUT, |vm| vm.word("/resize"), params)
            .await
    }

    /// `GET pending`: every key with its value in force and what waits for it.
    pub async fn pending(&self) -> Result<Vec<PendingValue>, Error> {
        self.values("/pending").await
    }

    /// `GET cloudinit`: the keys of cloud-init, with what the image has as value and what it would get as pending.
    pub async fn cloudinit_pending(&self) -> Result<Vec<PendingValue>, Error> {
        self.values("/cloudinit").await
    }

    async fn values(&self, path: &'static str) -> Result<Vec<PendingValue>, Error> {
        let entries: Vec<Value> = self
            .call(Class::Read, Method::GET, |vm| vm.word(path), Params::new())
            .await?;
        let entries: Vec<Entry> = lenient::list(entries, "pending values of a VM");
        // The digest is listed among the keys and is none.
        let keys = entries.into_iter().filter(|entry| entry.key != "digest");
        Ok(keys.map(PendingValue::from).collect())
    }

    /// `PUT cloudinit`: makes the image with the cloud-init data anew. A start does so too.
    pub async fn regenerate_cloudinit(&self) -> Result<(), Error> {
        self.change(Method::PUT, |vm| vm.word("/cloudinit"), Params::new())
            .await
    }

    /// `GET cloudinit/dump`: a text as cloud-init gets it. User data may contain the password's hash: not for
    /// customers.
    pub async fn cloudinit_dump(&self, data: CloudinitData) -> Result<String, Error> {
        let kind = match data {
            CloudinitData::User => "user",
            CloudinitData::Network => "network",
            CloudinitData::Meta => "meta",
        };
        let text: Scalar = self
            .call(
                Class::Read,
                Method::GET,
                |vm| vm.word("/cloudinit/dump"),
                Params::new().set("type", kind),
            )
            .await?;
        Ok(text.to_text().unwrap_or_default())
    }

    /// Frees volumes that are detached from the VM, for good. PVE refuses those that a snapshot still has
    /// ([`Reason::VolumeInUse`](crate::Reason::VolumeInUse)) and all of a protected VM.
    ///
    /// Nothing is sent when no slot is one of a detached volume.
    pub async fn free_unused(&self, slots: &[DriveSlot]) -> Result<Option<Upid>, Error> {
        let unused = slots.iter().filter(|slot| slot.bus() == Bus::Unused);
        let update = unused.fold(ConfigUpdate::new(), |update, slot| update.delete_slot(*slot));
        if update.is_empty() {
            return Ok(None);
        }
        self.update_config_task(&update).await
    }
}
