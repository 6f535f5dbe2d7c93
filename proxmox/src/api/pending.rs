//! What waits to be applied: until the VM is started anew, or until its cloud-init image is made anew.

use http::Method;
use serde::Deserialize;

use crate::client::Vm;
use crate::entries::Entries;
use crate::error::Error;
use crate::lenient;
use crate::route::Params;
use crate::transport::Class;

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

impl Vm {
    /// `GET pending`: every key with its value in force and what waits for it.
    pub async fn pending(&self) -> Result<Vec<PendingValue>, Error> {
        self.values("/pending").await
    }

    /// `GET cloudinit`: the keys of cloud-init, with what the image has as value and what it would get as pending.
    pub async fn cloudinit_pending(&self) -> Result<Vec<PendingValue>, Error> {
        self.values("/cloudinit").await
    }

    async fn values(&self, path: &'static str) -> Result<Vec<PendingValue>, Error> {
        let entries: Entries<Entry> = self
            .call(Class::Read, Method::GET, |vm| vm.word(path), Params::new())
            .await?;
        let entries = entries.kept("pending values of a VM");
        // The digest is listed among the keys and is none.
        let keys = entries.into_iter().filter(|entry| entry.key != "digest");
        Ok(keys.map(PendingValue::from).collect())
    }
}
