//! A VM's configuration: reading it whole, changing parts of it.
//!
//! `read` has what a config says; what is changed, and the calls, are here.

mod read;

use http::Method;
use indexmap::IndexMap;

pub use self::read::VmConfig;
use crate::client::Vm;
use crate::error::Error;
use crate::foreign;
use crate::id::is_config_id;
use crate::property::{Disk, DriveSlot, encode_ssh_keys};
use crate::route::Params;
use crate::secret::Secret;
use crate::transport::Class;
use crate::upid::Upid;

/// The key of the password that cloud-init gives the user.
const PASSWORD: &str = "cipassword";
/// The key of the public keys that cloud-init gives the user.
const SSH_KEYS: &str = "sshkeys";

/// A change that PVE would refuse or that would do harm.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidUpdate {
    /// Not a key of a config, or one that steers the call itself.
    #[error("`{0}` is not a configuration key that can be set")]
    Key(String),
    /// A control character in a value; only the description may have line breaks.
    #[error("the value of `{0}` contains control characters")]
    Control(String),
    /// Not an installation medium, or not a slot that a CD drive can be in.
    #[error("`{0}` cannot be put into a CD drive there")]
    Medium(String),
    /// The mask that PVE shows instead of a password: written back, it would become the password.
    #[error("`{0}` holds the mask of a password, not a password")]
    Mask(String),
    /// A text that is no public key among the keys.
    #[error("one of the keys is not a public key such as `ssh-ed25519 AAAA… name`")]
    SshKeys,
}

/// A change of a VM's config. Of what is done with one key, to set, delete or revert it, the last counts.
#[derive(Debug, Clone, Default)]
pub struct ConfigUpdate {
    set: IndexMap<String, String>,
    secrets: IndexMap<String, Secret>,
    delete: Vec<String>,
    revert: Vec<String>,
    digest: Option<String>,
}

impl ConfigUpdate {
    /// A change of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key. A password is kept as by [`Self::set_secret`].
    ///
    /// # Errors
    /// See [`InvalidUpdate`].
    pub fn set(mut self, key: &str, value: &(impl ToString + ?Sized)) -> Result<Self, InvalidUpdate> {
        if key == PASSWORD {
            return self.set_secret(key, Secret::new(value.to_string()));
        }
        check_key(key)?;
        let value = value.to_string();
        check_value(key, &value)?;
        self.forget(key);
        self.set.insert(key.to_owned(), value);
        Ok(self)
    }

    /// Sets a key to a value that must appear nowhere, such as `cipassword`.
    ///
    /// # Errors
    /// See [`InvalidUpdate`].
    pub fn set_secret(mut self, key: &str, value: Secret) -> Result<Self, InvalidUpdate> {
        check_key(key)?;
        check_value(key, value.expose())?;
        self.forget(key);
        self.secrets.insert(key.to_owned(), value);
        Ok(self)
    }

    /// Takes a key out of the config.
    ///
    /// # Errors
    /// See [`InvalidUpdate`].
    pub fn delete(mut self, key: &str) -> Result<Self, InvalidUpdate> {
        check_key(key)?;
        self.forget(key);
        self.delete.push(key.to_owned());
        Ok(self)
    }

    /// Empties a slot. A disk becomes a detached volume; a detached volume is freed, for good.
    #[must_use]
    pub fn delete_slot(mut self, slot: DriveSlot) -> Self {
        let key = slot.to_string();
        self.forget(&key);
        self.delete.push(key);
        self
    }

    /// Takes back what waits for a key.
    ///
    /// # Errors
    /// See [`InvalidUpdate`].
    pub fn revert(mut self, key: &str) -> Result<Self, InvalidUpdate> {
        check_key(key)?;
        self.forget(key);
        self.revert.push(key.to_owned());
        Ok(self)
    }

    /// Puts a disk, a medium or an empty CD drive into a slot.
    ///
    /// # Errors
    /// See [`InvalidUpdate`].
    pub fn drive(self, slot: DriveSlot, disk: &Disk) -> Result<Self, InvalidUpdate> {
        self.set(&slot.to_string(), disk)
    }

    /// Sets the public keys that cloud-init gives the user; none takes the key out.
    ///
    /// # Errors
    /// [`InvalidUpdate::SshKeys`] when one is not a public key.
    pub fn ssh_keys<K: AsRef<str>>(mut self, keys: &[K]) -> Result<Self, InvalidUpdate> {
        let encoded = encode_ssh_keys(keys).map_err(|_| InvalidUpdate::SshKeys)?;
        self.forget(SSH_KEYS);
        if encoded.is_empty() {
            self.delete.push(SSH_KEYS.to_owned());
        } else {
            self.set.insert(SSH_KEYS.to_owned(), encoded);
        }
        Ok(self)
    }

    /// Drops what was to be done with a key: PVE refuses a change that does two things with one.
    fn forget(&mut self, key: &str) {
        self.set.shift_remove(key);
        self.secrets.shift_remove(key);
        self.delete.retain(|other| other != key);
        self.revert.retain(|other| other != key);
    }

    /// Lets the change be refused ([`Reason::DigestMismatch`](crate::Reason::DigestMismatch)) unless the
    /// config still has this digest.
    #[must_use]
    pub fn digest(mut self, digest: &str) -> Self {
        self.digest = Some(digest.to_owned());
        self
    }

    /// Whether there is nothing to change. PVE refuses such a call.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.secrets.is_empty() && self.delete.is_empty() && self.revert.is_empty()
    }

    /// Whether it also takes keys or what waits for them away, or depends on a digest.
    pub(crate) fn does_more_than_set(&self) -> bool {
        !self.delete.is_empty() || !self.revert.is_empty() || self.digest.is_some()
    }

    /// The keys that it sets.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.set.keys().chain(self.secrets.keys()).map(String::as_str)
    }

    pub(crate) fn params(&self) -> Params {
        let mut params = Params::new();
        for (key, value) in &self.set {
            params = params.set(key, value);
        }
        for (key, value) in &self.secrets {
            params = params.secret(key, value);
        }
        let delete = (!self.delete.is_empty()).then(|| self.delete.join(","));
        let revert = (!self.revert.is_empty()).then(|| self.revert.join(","));
        params
            .opt("delete", delete)
            .opt("revert", revert)
            .opt("digest", self.digest.as_ref())
    }
}

fn check_key(key: &str) -> Result<(), InvalidUpdate> {
    let steers = [
        "delete",
        "digest",
        "skiplock",
        "revert",
        "force",
        "background_delay",
        "node",
        "vmid",
    ];
    if is_config_id(key) && !steers.contains(&key) {
        Ok(())
    } else {
        Err(InvalidUpdate::Key(foreign::word(key)))
    }
}

fn check_value(key: &str, value: &str) -> Result<(), InvalidUpdate> {
    let breaks = key == "description";
    if value.contains(|c: char| c.is_control() && !(breaks && matches!(c, '\n' | '\t'))) {
        return Err(InvalidUpdate::Control(key.to_owned()));
    }
    if key == PASSWORD && !value.is_empty() && value.bytes().all(|b| b == b'*') {
        return Err(InvalidUpdate::Mask(key.to_owned()));
    }
    Ok(())
}

impl Vm {
    /// `GET config`: the configuration with changes that are still pending already in it.
    ///
    /// The cloud-init password is masked.
    pub async fn config(&self) -> Result<VmConfig, Error> {
        self.call(Class::Read, Method::GET, |vm| vm.word("/config"), Params::new())
            .await
    }

    /// `GET config?current=1`: the configuration the VM runs with, without pending changes.
    pub async fn current_config(&self) -> Result<VmConfig, Error> {
        self.call(
            Class::Read,
            Method::GET,
            |vm| vm.word("/config"),
            Params::new().flag("current", true),
        )
        .await
    }

    /// `PUT config`: changes the configuration, at once and without a task.
    ///
    /// What cannot be changed while the VM runs is left pending until it is started anew.
    ///
    /// # Errors
    /// A hotplug that fails is [`Error::Parameters`], and other keys of the same change may have been saved:
    /// [`Error::may_have_happened`] says so. [`Reason::Locked`](crate::Reason::Locked),
    /// [`Reason::DigestMismatch`](crate::Reason::DigestMismatch) and
    /// [`Reason::LockTimeout`](crate::Reason::LockTimeout) changed nothing.
    pub async fn update_config(&self, update: &ConfigUpdate) -> Result<(), Error> {
        self.change(Method::PUT, |vm| vm.word("/config"), update.params())
            .await
    }

    /// `POST config`: as [`Vm::update_config`], in a task. For changes that make or copy disks, which take long.
    ///
    /// `None` when PVE did it at once and has no task to show. In the task:
    /// [`Reason::StorageFull`](crate::Reason::StorageFull),
    /// [`Reason::StorageUnavailable`](crate::Reason::StorageUnavailable),
    /// [`Reason::VolumeNotFound`](crate::Reason::VolumeNotFound) for a source,
    /// [`Reason::LockTimeout`](crate::Reason::LockTimeout) while others make volumes on the storage.
    ///
    /// # Errors
    /// [`Reason::Locked`](crate::Reason::Locked) and wrong keys or values at once, as [`Vm::update_config`].
    pub async fn update_config_task(&self, update: &ConfigUpdate) -> Result<Option<Upid>, Error> {
        self.call(
            Class::Write,
            Method::POST,
            |vm| vm.word("/config"),
            update.params(),
        )
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(update: &ConfigUpdate) -> String {
        update.params().encode().to_string()
    }

    #[test]
    fn the_last_that_is_done_with_a_key_counts() {
        let set = || ConfigUpdate::new().set("net1", "virtio").unwrap();
        let delete = || ConfigUpdate::new().delete("net1").unwrap();
        let revert = || ConfigUpdate::new().revert("net1").unwrap();
        for (update, expected) in [
            (set().delete("net1").unwrap(), "delete=net1"),
            (set().revert("net1").unwrap(), "revert=net1"),
            (delete().set("net1", "e1000").unwrap(), "net1=e1000"),
            (delete().revert("net1").unwrap(), "revert=net1"),
            (delete().delete("net1").unwrap(), "delete=net1"),
            (revert().set("net1", "e1000").unwrap(), "net1=e1000"),
            (revert().delete("net1").unwrap(), "delete=net1"),
        ] {
            assert_eq!(sent(&update), expected);
        }
        let secret = || {
            ConfigUpdate::new()
                .set_secret("ciuser", Secret::new("x"))
                .unwrap()
        };
        assert_eq!(sent(&secret().delete("ciuser").unwrap()), "delete=ciuser");
        assert_eq!(sent(&secret().set("ciuser", "y").unwrap()), "ciuser=y");
        let slot: DriveSlot = "scsi1".parse().unwrap();
        let filled = ConfigUpdate::new().set("scsi1", "a1:8").unwrap();
        assert_eq!(sent(&filled.delete_slot(slot)), "delete=scsi1");
    }

    #[test]
    fn keys_that_are_taken_out_again_are_not_sent_too() {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtpbGwgYWxsIGh1bWFucyBvciBiZSBraWxsZWQh";
        let update = ConfigUpdate::new().ssh_keys(&[key]).unwrap();
        let none = update.ssh_keys::<&str>(&[]).unwrap();
        assert_eq!(sent(&none), "delete=sshkeys");
        let again = sent(&none.ssh_keys(&[key]).unwrap());
        assert!(
            again.starts_with("sshkeys=") && !again.contains("delete"),
            "{again}"
        );
    }
}
