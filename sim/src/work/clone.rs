//! Copying a VM: fully, or linked to the volumes of a template.

use std::sync::Arc;

use super::copy::{self, Copying};
use super::{Broken, Outcome, Worker};
use crate::config::drive::Drive;
use crate::config::network::Network;
use crate::config::{Section, keys};
use crate::world::World;
use crate::world::counters::Effect;
use crate::world::storage::StorageKind;
use crate::world::vm::Vm;
use crate::world::volumes::Wish;

/// What was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The copy's number.
    pub(crate) newid: u32,
    /// Its name.
    pub(crate) name: Option<String>,
    /// Its notes.
    pub(crate) description: Option<String>,
    /// Fully or linked; templates are linked and others copied fully when nobody says.
    pub(crate) full: Option<bool>,
    /// Where full copies go.
    pub(crate) storage: Option<String>,
    /// The format of full copies.
    pub(crate) format: Option<String>,
    /// The pool the copy goes to.
    pub(crate) pool: Option<String>,
    /// The snapshot to copy.
    pub(crate) snapshot: Option<String>,
    /// Another node for the copy.
    pub(crate) target: Option<String>,
}

/// One volume that is copied.
#[derive(Debug, Clone)]
pub(crate) struct Copy {
    key: String,
    drive: Drive,
    full: bool,
    storage: String,
}

impl Copy {
    /// The storage the copy needs space on; `None` for the tiny image of cloud-init.
    pub(crate) fn storage(&self) -> Option<&str> {
        (!self.drive.is_cloudinit()).then_some(self.storage.as_str())
    }
}

/// The bridges (with VLAN tags) of a VM.
pub(crate) fn bridges(vm: &Vm) -> Vec<String> {
    let devices = vm.config.iter().filter(|(key, _)| key.starts_with("net"));
    devices
        .filter_map(|(key, text)| {
            let device = Network::parse(key, text).ok()?;
            let bridge = device.bridge()?.to_owned();
            Some(
                device
                    .tag()
                    .map_or(bridge.clone(), |tag| format!("{bridge}/{tag}")),
            )
        })
        .collect()
}

fn origin<'a>(vm: &'a Vm, plan: &Plan) -> Result<&'a Section, String> {
    match &plan.snapshot {
        None => Ok(&vm.config),
        Some(name) => vm
            .snapshots
            .get(name)
            .map(|snapshot| &snapshot.section)
            .ok_or_else(|| format!("snapshot '{name}' does not exist")),
    }
}

/// What PVE checks both before it forks and again in the task; gives the volumes to copy.
pub(crate) fn check(world: &World, node: &str, vmid: u32, plan: &Plan) -> Result<Vec<Copy>, String> {
    let vm = world.vm(node, vmid)?;
    vm.check_lock()?;
    let config = origin(vm, plan)?;
    let full = plan.full.unwrap_or(!vm.is_template());
    if !full {
        for (option, given) in [("storage", &plan.storage), ("format", &plan.format)] {
            if given.is_some() {
                return Err(format!("parameter '{option}' not allowed for linked clones"));
            }
        }
    }
    let mut copies = Vec::new();
    for (key, text) in config
        .iter()
        .filter(|(key, _)| keys::holds_volume(key) && !key.starts_with("unused"))
    {
        let Some(drive) = Drive::parse(key, text) else {
            return Err(format!("unable to parse drive options for '{key}'"));
        };
        if drive.is_cdrom() && !drive.is_cloudinit() {
            continue;
        }
        let Some(own) = drive.storage().and_then(|id| world.storages.get(id)) else {
            continue;
        };
        let full = full || drive.is_cloudinit();
        let linkable = vm.is_template() && !matches!(own.kind, StorageKind::Lvm | StorageKind::Pbs);
        if !full && !linkable {
            let file = drive.file();
            return Err(format!(
                "Linked clone feature is not supported for '{file}' ({key})"
            ));
        }
        let storage = match (&plan.storage, full) {
            (Some(storage), true) => storage.clone(),
            _ => own.id.clone(),
        };
        copies.push(Copy {
            key: key.clone(),
            drive,
            full,
            storage,
        });
    }
    if let Some(target) = &plan.target
        && copies
            .iter()
            .any(|copy| world.storages.get(&copy.storage).is_some_and(|s| !s.shared))
    {
        return Err(format!(
            "can't clone VM to node '{target}' (VM uses local storage)"
        ));
    }
    if world.vms.get(&plan.newid).is_some_and(|other| other.node == node) {
        return Err(format!(
            "unable to create VM {}: config file already exists",
            plan.newid
        ));
    }
    Ok(copies)
}

/// `qmclone`.
pub(crate) async fn clone(worker: Arc<Worker>, vmid: u32, plan: Plan) -> Outcome {
    let running = worker.world().vm(worker.node(), vmid)?.run.is_some();
    // Reading is enough for a source that cannot change meanwhile.
    if running {
        let _guard = worker.short_flock(vmid).await?;
        locked(&worker, vmid, &plan).await
    } else {
        let _guard = worker.shared_flock(vmid).await?;
        locked(&worker, vmid, &plan).await
    }
}

async fn locked(worker: &Worker, vmid: u32, plan: &Plan) -> Outcome {
    let copies = reserve(worker, vmid, plan)?;
    if let Err(Broken(reason)) = copied(worker, vmid, plan, copies).await {
        worker.world().forget_vm(plan.newid);
        return Err(Broken(format!("clone failed: {reason}")));
    }
    Ok(())
}

/// Takes the number: from here on others find it taken.
fn reserve(worker: &Worker, vmid: u32, plan: &Plan) -> Result<Vec<Copy>, Broken> {
    let (node, now) = (worker.node().to_owned(), worker.sim.clock.now());
    let mut world = worker.world();
    let copies = check(&world, &node, vmid, plan)?;
    if let Some(other) = world.vms.get(&plan.newid) {
        let text = format!(
            "clone failed: unable to create VM {}: VM {} already exists on node '{}'",
            plan.newid, plan.newid, other.node
        );
        return Err(text.into());
    }
    let lock = Section::from([("lock".to_owned(), "clone".to_owned())]);
    let reserved = Vm::new(plan.newid, &node, lock, world.seed, now);
    world.vms.insert(plan.newid, reserved);
    Ok(copies)
}

async fn copied(worker: &Worker, vmid: u32, plan: &Plan, copies: Vec<Copy>) -> Outcome {
    let node = worker.node().to_owned();
    let (mut config, files, allocate) = {
        let world = worker.world();
        let vm = world.vm(&node, vmid)?;
        let config = origin(vm, plan)?.clone();
        (config, vm.guest.files.clone(), world.durations.allocate)
    };
    // The fault strikes in the first copy, or where there is none in what comes before.
    let mut met = !copies.iter().any(|copy| copy.full && !copy.drive.is_cloudinit());
    if met {
        worker.toil(allocate).await?;
    } else {
        worker.pause(allocate).await?;
    }
    for copy in copies {
        let drive = copy_one(worker, plan, &copy, &mut met).await?;
        config.insert(copy.key, drive.print());
    }
    let now = worker.sim.clock.now();
    personalise(&mut config, vmid, plan, now);
    let mut world = worker.world();
    let place = plan.target.clone().unwrap_or(node);
    let vm = world
        .vms
        .get_mut(&plan.newid)
        .filter(|vm| vm.lock() == Some("clone"))
        .ok_or("the new VM's configuration is gone")?;
    vm.config = config;
    vm.guest.files = files;
    vm.node = place;
    world.firewall.copy(vmid, plan.newid);
    if let Some(pool) = &plan.pool {
        world.access.add_to_pool(plan.newid, pool);
    }
    world
        .counters
        .effect(Effect::Cloned, plan.newid, Some(&vmid.to_string()));
    Ok(())
}

async fn copy_one(worker: &Worker, plan: &Plan, copy: &Copy, met: &mut bool) -> Result<Drive, Broken> {
    let file = copy.drive.file();
    let kind = if copy.full { "full" } else { "linked" };
    worker.log(&format!("create {kind} clone of drive {} ({file})", copy.key));
    let node = worker.node().to_owned();
    let now = worker.sim.clock.seconds();
    let name = format!("vm-{}-cloudinit", plan.newid);
    worker.storage_lock(&copy.storage).await?;
    let (volid, size, copying) = {
        let mut world = worker.world();
        let own = world.volume(&node, file);
        let size = own.map_or(copy.drive.size(), |volume| volume.size);
        let format = own.map(|volume| volume.format.clone());
        let wish = Wish {
            name: copy.drive.is_cloudinit().then_some(name.as_str()),
            format: plan.format.as_deref().filter(|_| copy.full).or(format.as_deref()),
            base: (!copy.full).then_some(file),
            ..Wish::new(&copy.storage, plan.newid, size)
        };
        let copying = Copying::of(&world, size);
        (world.allocate(&node, &wish, now)?, size, copying)
    };
    if copy.full && !copy.drive.is_cloudinit() {
        copy::copy(worker, &copying, met).await?;
    }
    let mut drive = copy.drive.clone();
    drive.set_file(volid);
    drive.set("size", crate::config::size_text(size));
    Ok(drive)
}

/// Takes out what belongs to the original alone and gives the copy what is its own.
fn personalise(config: &mut Section, vmid: u32, plan: &Plan, now: f64) {
    let own = [
        "lock",
        "parent",
        "snaptime",
        "snapstate",
        "vmstate",
        "runningmachine",
        "runningcpu",
        "template",
    ];
    config.retain(|key, _| !own.contains(&key.as_str()) && !key.starts_with("unused"));
    let name = plan.name.clone().unwrap_or_else(|| match config.get("name") {
        Some(name) => format!("Copy-of-VM-{name}"),
        None => format!("Copy-of-VM-{vmid}"),
    });
    config.insert("name".to_owned(), name);
    if let Some(text) = &plan.description {
        config.insert("description".to_owned(), text.clone());
    }
    for (key, text) in config.iter_mut().filter(|(key, _)| key.starts_with("net")) {
        if let Ok(mut device) = Network::parse(key, text) {
            device.set_mac(copy::fresh_mac(plan.newid, key, now));
            *text = device.print();
        }
    }
    let uuid = format!("uuid={}", copy::uuid(plan.newid, now, 2));
    let smbios = config.get("smbios1").cloned().unwrap_or_default();
    let rest = smbios
        .split(',')
        .filter(|part| !part.is_empty() && !part.starts_with("uuid="));
    let parts = std::iter::once(uuid.as_str()).chain(rest).collect::<Vec<_>>();
    config.insert("smbios1".to_owned(), parts.join(","));
    config.insert("vmgenid".to_owned(), copy::uuid(plan.newid, now, 1));
}
