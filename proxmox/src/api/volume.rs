//! One volume: what it is, notes and protection of a backup, removal.

use http::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::client::Client;
use crate::error::Error;
use crate::id::{NodeName, VolumeId};
use crate::lenient;
use crate::notes::Notes;
use crate::route::{Params, Route};
use crate::transport::Class;
use crate::upid::Upid;

/// What PVE knows of a volume. Its path on the node is left out: nobody outside needs it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct VolumeDetails {
    /// Its format, such as `iso`, `vma.zst`, `pbs-vm`.
    #[serde(default)]
    pub format: String,
    /// Size, bytes.
    #[serde(default, deserialize_with = "lenient::counted")]
    pub size: Option<u64>,
    /// All of its notes.
    #[serde(default, deserialize_with = "lenient::text")]
    pub notes: Option<String>,
    /// Whether it is protected against removal.
    #[serde(default, deserialize_with = "lenient::bool")]
    pub protected: bool,
}

/// A change of a backup. What is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumeEdit {
    /// New notes; empty ones take the old away.
    pub notes: Option<Notes>,
    /// Whether it is protected. A protected one is neither removed nor counted by retention. PVE limits how many
    /// a VM may have ([`Reason::ProtectedLimit`](crate::Reason::ProtectedLimit)), to 5 unless the provider said
    /// otherwise.
    pub protected: Option<bool>,
}

fn content(method: Method, node: &NodeName, volume: &VolumeId) -> Route {
    Route::new(method)
        .word("/nodes")
        .node(node)
        .word("/storage")
        .storage_of(volume)
        .word("/content")
        .volume(volume)
}

impl Client {
    /// `GET …/content/{volume}`: the volume with all of its notes.
    ///
    /// # Errors
    /// [`Reason::VolumeNotFound`](crate::Reason::VolumeNotFound) when it is gone.
    pub async fn volume(&self, node: &NodeName, volume: &VolumeId) -> Result<VolumeDetails, Error> {
        let route = content(Method::GET, node, volume);
        Ok(self.call(Class::Read, &route, &Params::new()).await?.data)
    }

    /// `PUT …/content/{volume}`: changes notes and protection. Both ends of a broken call are harmless: the same
    /// change may be made again.
    ///
    /// On a directory PVE does not look whether the backup is there.
    pub async fn edit_volume(
        &self,
        node: &NodeName,
        volume: &VolumeId,
        edit: &VolumeEdit,
    ) -> Result<(), Error> {
        let params = Params::new()
            .opt("notes", edit.notes.as_ref())
            .opt("protected", edit.protected.map(u8::from));
        let route = content(Method::PUT, node, volume);
        self.call::<IgnoredAny>(Class::Write, &route, &params).await?;
        Ok(())
    }

    /// `DELETE …/content/{volume}`: removes it. The task is `imgdel`, and its end tells whether it went.
    ///
    /// Of a protected backup the task fails ([`Reason::BackupProtected`](crate::Reason::BackupProtected)). One that
    /// is gone already ends the task well on a directory and with an error on a backup server. Anything but a
    /// backup needs `Datastore.Allocate`.
    pub async fn remove_volume(&self, node: &NodeName, volume: &VolumeId) -> Result<Upid, Error> {
        let route = content(Method::DELETE, node, volume);
        Ok(self.call(Class::Write, &route, &Params::new()).await?.data)
    }
}
