//! Moving a disk of a VM to another storage.

use std::sync::Arc;

use super::copy::{self, Copying};
use super::{Broken, Outcome, Worker};
use crate::config::change::unmodified;
use crate::config::drive::Drive;
use crate::config::settle::add_unused;
use crate::config::size_text;
use crate::failure::Failure;
use crate::world::World;
use crate::world::counters::Effect;
use crate::world::references;
use crate::world::vm::Vm;
use crate::world::volumes::{Wish, free_name};

/// What was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Move {
    /// The disk's key.
    pub(crate) key: String,
    /// Where it goes.
    pub(crate) storage: String,
    /// The format it shall have, where the storage knows formats.
    pub(crate) format: Option<String>,
    /// Whether the volume it leaves is removed; else it becomes an unused one.
    pub(crate) delete: bool,
    /// The digest that the configuration must have.
    pub(crate) digest: Option<String>,
    /// How fast it is copied at most, in KiB a second; 0 for no limit.
    pub(crate) limit: Option<u64>,
}

/// What PVE checks both before it forks and again in the task; gives the drive.
pub(crate) fn check(world: &World, node: &str, vmid: u32, wish: &Move) -> Result<Drive, Failure> {
    let vm = world.vm(node, vmid)?;
    vm.check_lock()?;
    unmodified(vm, wish.digest.as_deref())?;
    let (key, id) = (&wish.key, &wish.storage);
    let Some(text) = vm.get(key) else {
        return Err(Failure::died(format!("disk '{key}' does not exist")));
    };
    let Some(drive) = Drive::parse(key, text) else {
        return Err(Failure::died(format!(
            "unable to parse drive options for '{key}'"
        )));
    };
    if drive.is_cdrom() && !drive.is_cloudinit() {
        return Err(Failure::died("you can't move a cdrom"));
    }
    let Some(from) = drive.storage() else {
        let file = drive.file();
        return Err(Failure::died(format!("unable to parse volume ID '{file}'")));
    };
    let before = world
        .storages
        .get(from)
        .map(|storage| storage.format_of(drive.file()));
    if from == id && wish.format.as_deref().is_none_or(|wanted| before == Some(wanted)) {
        return Err(Failure::died(
            "you can't move to the same storage with same format",
        ));
    }
    if !world.enabled_storage(id, node)?.content.contains("images") {
        let text = format!("storage '{id}' does not support vm images");
        return Err(Failure::parameter("storage", text));
    }
    if wish.delete && is_used_elsewhere(vm, key, drive.file()) {
        return Err(Failure::died(
            "you can't move a disk with snapshots and delete the source",
        ));
    }
    Ok(drive)
}

/// Whether a snapshot, or another drive, has a volume too.
pub(super) fn is_used_elsewhere(vm: &Vm, key: &str, volid: &str) -> bool {
    let mut all = references::of(vm).into_iter();
    all.any(|one| one.volid == volid && one.is_used_besides(key))
}

/// `qmmove`: the disk is copied, then the drive has the copy.
pub(crate) async fn run(worker: Arc<Worker>, vmid: u32, wish: Move) -> Outcome {
    let _guard = worker.flock(vmid).await?;
    let drive = {
        let world = worker.world();
        check(&world, worker.node(), vmid, &wish).map_err(|failure| Broken(failure.task_text()))?
    };
    let (old, id) = (drive.file().to_owned(), &wish.storage);
    let from = drive.storage().unwrap_or_default();
    worker.log(&format!(
        "copying volume '{old}' from current storage '{from}' to target storage '{id}'"
    ));
    let kept = worker
        .world()
        .vm(worker.node(), vmid)
        .is_ok_and(|vm| is_used_elsewhere(vm, &wish.key, &old));
    if kept {
        worker.log("moving disk with snapshots, snapshots will not be moved!");
    }
    let mut made = None;
    if let Err(Broken(reason)) = copied(&worker, vmid, &wish, drive, &mut made).await {
        if let Some(volid) = made {
            worker.world().remove_volume_on(worker.node(), &volid);
        }
        return Err(format!("storage migration failed: {reason}").into());
    }
    if wish.delete {
        worker.log(&format!("removing source volume '{old}' after successful copy"));
        worker.world().remove_volume_on(worker.node(), &old);
    }
    worker.effect(Effect::DiskMoved, vmid, Some(&wish.key));
    Ok(())
}

async fn copied(
    worker: &Worker,
    vmid: u32,
    wish: &Move,
    mut drive: Drive,
    made: &mut Option<String>,
) -> Outcome {
    let (key, old) = (&wish.key, drive.file().to_owned());
    worker.storage_lock(&wish.storage).await?;
    let live = {
        let world = worker.world();
        world.vm(worker.node(), vmid)?.run.is_some() && !key.starts_with("unused")
    };
    if live && key == "tpmstate0" {
        return Err("cannot move TPM state while VM is running".into());
    }
    worker.log(&format!("create full clone of drive {key} ({old})"));
    let (volid, size, copying) = allocated(worker, vmid, wish, &drive)?;
    *made = Some(volid.clone());
    worker.log(&format!("allocated target volume '{volid}'"));
    // There is nothing to copy of the image of cloud-init: it is made anew.
    if drive.is_cloudinit() {
        worker.toil(1.0).await?;
    } else {
        transfer(worker, key, live, copying, wish.limit).await?;
    }
    drive.set_file(volid);
    drive.unset("format");
    if !key.starts_with("unused") {
        drive.set("size", size_text(size));
    }
    let mut world = worker.world();
    let vm = world.vm_mut(worker.node(), vmid)?;
    vm.config.insert(key.clone(), drive.print());
    if !wish.delete {
        add_unused(&mut vm.config, &old);
        let listed = vm.config.iter().find(|(_, text)| **text == old);
        let unused = listed.map(|(key, _)| key.clone()).unwrap_or_default();
        drop(world);
        worker.log(&format!("adding source volume '{old}' as '{unused}' to config"));
    }
    Ok(())
}

/// Makes the volume that the disk moves to; gives its name, its size in bytes and how it is copied.
fn allocated(
    worker: &Worker,
    vmid: u32,
    wish: &Move,
    drive: &Drive,
) -> Result<(String, u64, Copying), Broken> {
    let now = worker.sim.clock.seconds();
    let node = worker.node();
    let mut world = worker.world();
    let id = wish.storage.as_str();
    let source = world.volume(node, drive.file());
    let size = source.map_or(drive.size(), |volume| volume.size);
    let own = source.map(|volume| volume.format.clone());
    let storage = world.usable_storage(id, node)?;
    let files = storage.kind.is_files();
    let template = world.vm(node, vmid)?.is_template();
    let name = match (drive.is_cloudinit(), template) {
        (true, _) => Some(format!("vm-{vmid}-cloudinit")),
        (false, true) => Some(free_name(storage, node, "base", vmid)?),
        (false, false) => None,
    };
    let unfit = wish.format.as_deref().filter(|format| !files && *format != "raw");
    let warning = unfit.map(|format| {
        format!("format '{format}' is not supported by the target storage '{id}' - using 'raw' instead")
    });
    let target = Wish {
        name: name.as_deref(),
        format: wish.format.as_deref().or(own.as_deref()),
        ..Wish::new(id, vmid, size)
    };
    let volid = world.allocate(node, &target, now)?;
    let from = drive.storage().unwrap_or_default();
    let copying = Copying::of(&world, size)
        .between(&world, from, id, node)
        .limited(wish.limit);
    drop(world);
    if let Some(warning) = warning {
        worker.log(&warning);
    }
    Ok((volid, size, copying))
}

/// Copies the data, by the VM's own QEMU while it runs.
async fn transfer(worker: &Worker, key: &str, live: bool, copying: Copying, limit: Option<u64>) -> Outcome {
    if !live {
        return copy::copy(worker, &copying, &mut false).await;
    }
    let limit = limit.filter(|kib| *kib > 0);
    let limit = limit.map_or_else(String::new, |kib| format!(" with bandwidth limit: {kib} KiB/s"));
    worker.log(&format!("drive mirror is starting for drive-{key}{limit}"));
    copy::copy(worker, &copying.mirrored(key), &mut false).await?;
    for line in [
        "all 'mirror' jobs are ready",
        &format!("drive-{key}: Completing block job..."),
        &format!("drive-{key}: Completed successfully."),
        &format!("drive-{key}: mirror-job finished"),
    ] {
        worker.log(line);
    }
    Ok(())
}
