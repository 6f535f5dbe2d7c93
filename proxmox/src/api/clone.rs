//! Copying a VM, removing one, finding a free number.
//!
//! Between a removal and a clone to the same number anybody may take the number, and all rights that came from
//! `/vms/{vmid}` go with the removed VM: where a VM shall keep its number, replace its disks instead
//! ([`Disk::import`](crate::property::Disk::import) with [`Vm::update_config_task`]).

use http::Method;

use crate::client::{Client, Vm};
use crate::error::Error;
use crate::id::{NodeName, SnapshotName, StorageId, VmId};
use crate::lenient::Scalar;
use crate::route::{Params, Route};
use crate::transport::Class;
use crate::upid::Upid;

/// The format of a disk on a storage that keeps disks as files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DiskFormat {
    /// Plain bytes; no snapshots on file storages.
    Raw,
    /// QEMU's own.
    Qcow2,
    /// VMware's.
    Vmdk,
}

impl DiskFormat {
    /// The word PVE uses for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vmdk => "vmdk",
        }
    }
}

/// How a VM is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloneOptions {
    /// The copy's number.
    pub newid: VmId,
    /// The copy's name; PVE's default is `Copy-of-VM-…`.
    pub name: Option<String>,
    /// The copy's notes; those of the original unless set.
    pub description: Option<String>,
    /// Fully, or linked to the disks of a template. PVE links clones of templates and copies others fully.
    pub full: Option<bool>,
    /// Where full copies go. Refused for linked ones.
    pub storage: Option<StorageId>,
    /// The format of full copies. Refused for linked ones.
    pub format: Option<DiskFormat>,
    /// The pool the copy goes to. A right to allocate in the pool is enough then.
    pub pool: Option<String>,
    /// The snapshot to copy instead of the present state.
    pub snapshot: Option<SnapshotName>,
    /// Another node for the copy. Only with disks on shared storages.
    pub target: Option<NodeName>,
}

impl CloneOptions {
    /// A copy with PVE's defaults.
    pub fn new(newid: VmId) -> Self {
        Self {
            newid,
            name: None,
            description: None,
            full: None,
            storage: None,
            format: None,
            pool: None,
            snapshot: None,
            target: None,
        }
    }

    fn params(&self) -> Params {
        Params::new()
            .set("newid", self.newid)
            .opt("name", self.name.as_ref())
            .opt("description", self.description.as_ref())
            .opt("full", self.full.map(u8::from))
            .opt("storage", self.storage.as_ref())
            .opt("format", self.format.map(DiskFormat::as_str))
            .opt("pool", self.pool.as_ref())
            .opt("snapname", self.snapshot.as_ref())
            .opt("target", self.target.as_ref())
    }
}

/// What goes along with a VM that is removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removal {
    /// Its entries in backup jobs, replication and high availability.
    pub purge: bool,
    /// Every disk of its number on all storages, also those that its config does not name.
    pub unreferenced_disks: bool,
}

impl Removal {
    /// All of that.
    pub const WHOLE: Self = Self {
        purge: true,
        unreferenced_disks: true,
    };
}

impl Vm {
    /// `POST clone`: copies this VM. The task's id carries this VM's number, not the copy's.
    ///
    /// The copy has the original's firewall rules, password and keys, and a MAC address of its own.
    ///
    /// # Errors
    /// [`Reason::VmExists`](crate::Reason::VmExists) when the number is taken; if by a VM on another node, only
    /// the task says so. [`Reason::LocalStorage`](crate::Reason::LocalStorage) for a copy on another node.
    /// [`Reason::LockTimeout`](crate::Reason::LockTimeout), mostly in the task, when many
    /// clones are made at once: passes by itself. [`Reason::StorageFull`](crate::Reason::StorageFull) in the task,
    /// which then leaves no copy behind.
    pub async fn clone_to(&self, options: &CloneOptions) -> Result<Upid, Error> {
        let upid: Upid = self
            .call(
                Class::Write,
                Method::POST,
                |vm| vm.word("/clone"),
                options.params(),
            )
            .await?;
        // A list of a moment ago does not have the copy. Should it be elsewhere after all, the first call tells.
        let node = options.target.as_ref().unwrap_or(upid.node());
        self.client().nodes().note(options.newid, node);
        Ok(upid)
    }

    /// `DELETE`: removes the VM with its disks, snapshots, firewall rules, pool membership and the rights on it.
    /// Backups stay.
    ///
    /// # Errors
    /// [`Reason::VmRunning`](crate::Reason::VmRunning), [`Reason::Protected`](crate::Reason::Protected),
    /// [`Reason::HaManaged`](crate::Reason::HaManaged). For one who wants it gone,
    /// [`Error::is_vm_missing`] is success.
    pub async fn destroy(&self, removal: Removal) -> Result<Upid, Error> {
        let params = Params::new()
            .flag("purge", removal.purge)
            .flag("destroy-unreferenced-disks", removal.unreferenced_disks);
        self.call(Class::Write, Method::DELETE, |vm| vm, params).await
    }

    /// `POST template`: makes the stopped VM a template, for good.
    ///
    /// In the task or at once: [`Reason::HasSnapshots`](crate::Reason::HasSnapshots),
    /// [`Reason::VmRunning`](crate::Reason::VmRunning), [`Reason::Template`](crate::Reason::Template).
    pub async fn make_template(&self) -> Result<Upid, Error> {
        self.call(
            Class::Write,
            Method::POST,
            |vm| vm.word("/template"),
            Params::new(),
        )
        .await
    }
}

impl Client {
    /// `GET /cluster/nextid`: the lowest number that is free. It is not reserved: whoever asks at the same time
    /// is told the same.
    pub async fn next_id(&self) -> Result<VmId, Error> {
        let route = Route::get("/cluster/nextid");
        let answer = self
            .call::<Scalar>(Class::Read, &route, &Params::new())
            .await?
            .data;
        let text = answer.to_text().unwrap_or_default();
        text.trim()
            .parse()
            .map_err(|_| crate::answer::malformed(route.target(self.name()), &"not a VM's number"))
    }
}
