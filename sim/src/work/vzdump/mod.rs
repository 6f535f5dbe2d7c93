//! `vzdump`: the backup job. One runs on a node at a time, the others wait for the node's lock.
//!
//! [`run`] is the job: it checks the storage, takes the lock, and backs up one VM after the other. [`guest`] is
//! the backup of one VM: [`qemu`] is its power meanwhile, [`data`] what is read, [`target`] where it goes. What goes
//! wrong with a VM is a line in the log; the job then ends with `job errors`. [`progress`] prints what QEMU reports.

mod data;
mod guest;
mod progress;
mod qemu;
mod target;

use std::sync::Arc;

use super::{Broken, Outcome, Worker};
use crate::world::retention::Keep;
use crate::world::task::UNEXPECTED;

pub(crate) use self::target::protectable;

/// How the guest is treated meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It runs on.
    Snapshot,
    /// It is paused while the backup runs.
    Suspend,
    /// It is shut down and started again before the data are read.
    Stop,
}

impl Mode {
    /// The mode of that name.
    pub(crate) fn from_name(name: &str) -> Self {
        match name {
            "suspend" => Self::Suspend,
            "stop" => Self::Stop,
            _ => Self::Snapshot,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Suspend => "suspend",
            Self::Stop => "stop",
        }
    }
}

/// How a dump file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Lzo,
    Zstd,
}

impl Compression {
    /// The compression that a parameter names.
    pub(crate) fn from_name(name: &str) -> Self {
        match name {
            "1" | "lzo" => Self::Lzo,
            "gzip" => Self::Gzip,
            "zstd" => Self::Zstd,
            _ => Self::None,
        }
    }

    /// What it adds to a file's name.
    fn ending(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Lzo => ".lzo",
            Self::Zstd => ".zst",
        }
    }

    /// What is left of the data.
    fn ratio(self) -> f64 {
        match self {
            Self::None => 1.0,
            Self::Gzip => 0.42,
            Self::Lzo => 0.55,
            Self::Zstd => 0.45,
        }
    }
}

/// What was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    /// The VMs, those of other nodes left out.
    pub(crate) vmids: Vec<u32>,
    /// VMs of other nodes that were asked for.
    pub(crate) elsewhere: Vec<u32>,
    /// Whether VMs without the right to back them up are left out silently.
    pub(crate) all: bool,
    /// Where to.
    pub(crate) storage: String,
    /// How the guests are treated.
    pub(crate) mode: Mode,
    /// How dump files are compressed.
    pub(crate) compression: Compression,
    /// Notes for each backup, with variables.
    pub(crate) notes: Option<String>,
    /// Whether the backups become protected.
    pub(crate) protected: bool,
    /// Whether old backups are removed afterwards.
    pub(crate) remove: bool,
    /// Retention that was given with the call.
    pub(crate) keep: Option<Keep>,
    /// How long to wait for the lock, in minutes; 0 to wait not at all.
    pub(crate) lock_wait: u32,
    /// How long a guest may take to shut down in mode stop, in minutes.
    pub(crate) stop_wait: u32,
    /// The command line that the log shows.
    pub(crate) command: String,
}

const LOCK: &str = "/var/run/vzdump.lock";

/// `vzdump`.
pub(crate) async fn run(worker: Arc<Worker>, mut job: Job) -> Outcome {
    let keep = usable(&worker, &job)?;
    if keep.is_all() {
        job.remove = false;
    }
    job.keep = Some(keep);
    let _lock = lock(&worker, &job).await?;
    worker.log(&format!("INFO: starting new backup job: {}", job.command));
    if !job.elsewhere.is_empty() {
        let list = job.elsewhere.iter().map(u32::to_string).collect::<Vec<_>>();
        worker.log(&format!("INFO: skip external VMs: {}", list.join(", ")));
    }
    let mut vmids = Vec::new();
    for vmid in &job.vmids {
        let world = worker.world();
        let path = format!("/vms/{vmid}");
        let exists = world.vms.contains_key(vmid);
        if !exists || world.access.may(&worker.upid.user, &path, "VM.Backup") {
            vmids.push(*vmid);
        } else if !job.all {
            return Err(format!("Permission check failed ({path}, VM.Backup)").into());
        }
    }
    let mut failures = 0;
    for vmid in vmids {
        match guest::back_up(&worker, &job, vmid).await {
            Ok(()) => {}
            Err(Broken(reason)) if reason == "interrupted by signal" => {
                worker.log(&format!("ERROR: Backup job failed - {reason}"));
                return Err(reason.into());
            }
            Err(_) => failures += 1,
        }
    }
    if failures > 0 {
        worker.log("INFO: Backup job finished with errors");
        return Err("job errors".into());
    }
    worker.log("INFO: Backup job finished successfully");
    Ok(())
}

/// Whether the storage can be used for backups; gives the retention that holds.
fn usable(worker: &Worker, job: &Job) -> Result<Keep, Broken> {
    let world = worker.world();
    let id = &job.storage;
    let mut errors = Vec::new();
    if let Err(reason) = world.usable_storage(id, worker.node()) {
        errors.push(format!("could not activate storage '{id}': {reason}"));
    }
    let unknown = || format!("storage '{id}' does not exist");
    let wrong = match world.storages.get(id) {
        None => Some(unknown()),
        Some(storage) if !storage.content.contains("backup") => Some(format!(
            "can't use storage '{id}' for backups - wrong content type"
        )),
        Some(_) => None,
    };
    if let Some(reason) = wrong {
        errors.push(format!("could not get storage information for '{id}': {reason}"));
    }
    if !errors.is_empty() {
        return Err(Broken(errors.join("\n")));
    }
    let configured = world.storages.get(id).and_then(|storage| storage.prune.clone());
    Ok(job.keep.clone().or(configured).unwrap_or_else(Keep::all))
}

async fn lock(worker: &Worker, job: &Job) -> Result<tokio::sync::OwnedMutexGuard<()>, Broken> {
    let lock = {
        let world = worker.world();
        let node = world.nodes.get(worker.node()).ok_or("the node is gone")?;
        Arc::clone(&node.vzdump)
    };
    if let Ok(guard) = Arc::clone(&lock).try_lock_owned() {
        return Ok(guard);
    }
    // PVE's worker leaves by `exit(-1)` here, so that its log has no last line and its end no text.
    let given_up = || Broken(UNEXPECTED.to_owned());
    if job.lock_wait == 0 {
        worker.log(&format!("ERROR: can't acquire lock '{LOCK}' (wait = 0)"));
        return Err(given_up());
    }
    worker.log("INFO: trying to get global lock - waiting...");
    let had = tokio::select! {
        had = lock.lock_owned() => Some(had),
        waited = worker.pause(f64::from(job.lock_wait) * 60.0) => {
            waited?;
            None
        }
    };
    let Some(guard) = had else {
        worker.log(&format!("ERROR: can't acquire lock '{LOCK}' - got timeout"));
        return Err(given_up());
    };
    worker.log("INFO: got global lock");
    Ok(guard)
}
