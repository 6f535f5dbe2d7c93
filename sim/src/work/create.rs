//! Making a VM from nothing.

use std::sync::Arc;

use super::power::start;
use super::{Broken, Outcome, Worker, copy, fork};
use crate::config::boot::boot_text;
use crate::config::change::Change;
use crate::config::drive::Drive;
use crate::config::update::apply;
use crate::config::{Section, keys};
use crate::world::counters::Effect;
use crate::world::ha::{Managed, Wanted};

/// What shall be made.
#[derive(Debug)]
pub(crate) struct New {
    /// The keys of its configuration.
    pub(crate) change: Change,
    /// The pool it goes to.
    pub(crate) pool: Option<String>,
    /// Start it afterwards.
    pub(crate) start: bool,
    /// Put it under high availability.
    pub(crate) managed: bool,
}

/// `qmcreate`: the number is already taken by an empty configuration with the lock `create`.
pub(crate) async fn create(worker: Arc<Worker>, vmid: u32, new: New) -> Outcome {
    let then_start = new.start;
    match attempt(&worker, vmid, new).await {
        Ok(()) if then_start => {
            let mut world = worker.world();
            let (node, user) = (worker.node().to_owned(), worker.upid.user.clone());
            fork(&worker.sim, &mut world, &node, "qmstart", vmid, &user, |worker| {
                start(worker, vmid, false)
            });
            Ok(())
        }
        Ok(()) => Ok(()),
        Err(Broken(reason)) => {
            worker.world().forget_vm(vmid);
            Err(Broken(format!("unable to create VM {vmid} - {reason}")))
        }
    }
}

async fn attempt(worker: &Worker, vmid: u32, new: New) -> Outcome {
    let _guard = worker.short_flock(vmid).await?;
    let duration = worker.world().durations.allocate;
    copy::announce_imports(worker, &new.change).await?;
    worker.toil(duration).await?;
    let (now, seconds) = (worker.sim.clock.now(), worker.sim.clock.seconds());
    let node = worker.node().to_owned();
    let mut change = new.change;
    let lines = {
        let mut world = worker.world();
        let vm = world.vm_mut(&node, vmid)?;
        vm.config.remove("lock");
        vm.config.insert("vmgenid".to_owned(), copy::uuid(vmid, now, 1));
        vm.config
            .insert("meta".to_owned(), format!("creation-qemu=10.1.2,ctime={seconds}"));
        if !change.sets().any(|(key, _)| key == "smbios1") {
            change.set("smbios1", format!("uuid={}", copy::uuid(vmid, now, 2)));
        }
        apply(&mut world, &node, vmid, &change, seconds).map_err(|failure| Broken(failure.task_text()))?;
        let vm = world.vm_mut(&node, vmid)?;
        if !vm.config.contains_key("boot") {
            let order = default_boot_order(&vm.config);
            vm.config.insert("boot".to_owned(), boot_text(&order));
        }
        let drives = vm.drives().filter(|(_, drive)| !drive.is_cdrom());
        let lines = drives
            .map(|(key, drive)| format!("{key}: successfully created disk '{}'", drive.print()))
            .collect::<Vec<_>>();
        if let Some(pool) = &new.pool {
            world.access.add_to_pool(vmid, pool);
        }
        if new.managed {
            let wanted = if new.start {
                Wanted::Started
            } else {
                Wanted::Stopped
            };
            world.ha.insert(vmid, Managed::new(wanted));
        }
        world.counters.effect(Effect::Created, vmid, None);
        lines
    };
    for line in lines {
        worker.log(&line);
    }
    Ok(())
}

/// The first disk, the first CD drive, the first network device, as PVE orders them when nobody says otherwise.
fn default_boot_order(config: &Section) -> String {
    let drives = keys::DISKS.iter().filter(|key| keys::is_drive(key));
    let drives = drives.filter_map(|key| Some((*key, Drive::parse(key, config.get(*key)?)?)));
    let (mut disk, mut cdrom) = (None, None);
    for (key, drive) in drives {
        let place = if drive.is_cdrom() { &mut cdrom } else { &mut disk };
        place.get_or_insert(key.to_owned());
    }
    let network = (0..32)
        .map(|n| format!("net{n}"))
        .find(|key| config.contains_key(key));
    let devices = disk.into_iter().chain(cdrom).chain(network);
    devices.collect::<Vec<_>>().join(";")
}
