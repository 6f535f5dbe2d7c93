//! Who may make which change of a configuration.
//!
//! Most keys need a privilege by their name. It is asked for before anything is done: see [`permitted`]. What a drive,
//! a USB or PCI device, a serial port or a network device needs depends also on what is there already: see
//! [`devices_permitted`], which PVE asks with the VM's configuration in its hands, so that a change in a task fails in
//! the task. A VM that is made has nothing yet: see [`permitted_for_new`].

use super::change::Change;
use super::drive::Drive;
use super::keys::{self, Area};
use super::network::Network;
use crate::failure::Failure;
use crate::world::World;
use crate::world::vm::Vm;

/// Somebody who wants something of a VM.
#[derive(Clone, Copy)]
struct Asker<'w> {
    world: &'w World,
    who: &'w str,
    vmid: u32,
    /// The pool that a VM which is made goes to: rights on it count as rights on the VM.
    pool: Option<&'w str>,
}

impl Asker<'_> {
    fn is_root(self) -> bool {
        self.who == "root@pam"
    }

    /// Needs one of the privileges on a path.
    fn require(self, path: &str, any: &[&str]) -> Result<(), Failure> {
        let may = |path: &str| {
            any.iter()
                .any(|privilege| self.world.access.may(self.who, path, privilege))
        };
        let by_pool =
            || path == self.vm_path() && self.pool.is_some_and(|pool| may(&format!("/pool/{pool}")));
        if may(path) || by_pool() {
            Ok(())
        } else {
            Err(Failure::forbidden(&format!("{path}, {}", any.join("|"))))
        }
    }

    fn vm_path(self) -> String {
        format!("/vms/{}", self.vmid)
    }

    /// Needs one of the privileges on the VM.
    fn require_on_vm(self, any: &[&str]) -> Result<(), Failure> {
        self.require(&self.vm_path(), any)
    }

    /// Needs what a key needs by its name.
    fn key(self, key: &str) -> Result<(), Failure> {
        let Some(known) = keys::find(key) else {
            return Ok(());
        };
        match known.area {
            Area::Drive | Area::Device => Ok(()),
            Area::Root if self.is_root() => Ok(()),
            Area::Root => Err(Failure::died(format!("only root can set '{key}' config"))),
            Area::Cpu => self.require_on_vm(&["VM.Config.CPU"]),
            Area::Memory => self.require_on_vm(&["VM.Config.Memory"]),
            Area::Network => self.require_on_vm(&["VM.Config.Network"]),
            Area::Cloudinit => self.require_on_vm(&["VM.Config.Cloudinit", "VM.Config.Network"]),
            Area::Hardware => self.require_on_vm(&["VM.Config.HWType"]),
            Area::Options => {
                self.require_on_vm(&["VM.Config.Options"])?;
                if key == "startup" {
                    self.require("/", &["Sys.Modify"])?;
                }
                Ok(())
            }
        }
    }

    /// Needs the right to use the storage of a drive's volume, or the volume.
    fn volume(self, key: &str, drive: &Drive) -> Result<(), Failure> {
        let Some((storage, name)) = drive.file().split_once(':') else {
            return Ok(());
        };
        if name == "cloudinit" {
            // PVE makes the small image for anybody who may have the drive.
            return Ok(());
        }
        if name.parse::<f64>().is_ok() {
            self.require(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
            let known = self.world.storages.get(storage);
            if known.is_some_and(|known| !known.content.contains("images")) {
                let text = format!("storage '{storage}' does not support vm images");
                return Err(Failure::parameter("storage", text));
            }
            return drive
                .get("import-from")
                .map_or(Ok(()), |source| self.import(key, source));
        }
        self.world
            .readable(self.who, Some(self.vmid), drive.file(), None)?;
        let (_, _, named) = self.world.named(drive.file())?;
        if !["images", "iso"].contains(&named.content) {
            let text = "content type needs to be 'images' or 'iso'";
            return Err(Failure::parameter(key, text));
        }
        Ok(())
    }

    /// Needs the right to copy a volume into a disk: one of a VM needs `VM.Clone` on that VM.
    fn import(self, key: &str, source: &str) -> Result<(), Failure> {
        let Some((storage, _)) = source.split_once(':') else {
            return if self.is_root() {
                Ok(())
            } else {
                Err(Failure::died("Only root can pass arbitrary filesystem paths."))
            };
        };
        let volumes = self.world.storages.get(storage).map(|storage| &storage.volumes);
        let Some(volume) = volumes
            .into_iter()
            .flatten()
            .find(|volume| volume.volid == source)
        else {
            return Ok(());
        };
        match (volume.content.as_str(), volume.vmid) {
            ("images", Some(owner)) => self.require(&format!("/vms/{owner}"), &["VM.Clone"]),
            ("images" | "import", _) => self.require(
                &format!("/storage/{storage}"),
                &["Datastore.Audit", "Datastore.AllocateSpace"],
            ),
            (kind, _) => Err(Failure::parameter(
                key,
                format!("{source} has wrong type '{kind}' - not an image"),
            )),
        }
    }

    /// Needs the right to use the bridge of a network device.
    fn bridge(self, key: &str, text: &str) -> Result<(), Failure> {
        if let Ok(device) = Network::parse(key, text)
            && let Some(bridge) = device.bridge()
        {
            let path = format!("/sdn/zones/localnetwork/{bridge}");
            let path = device.tag().map_or(path.clone(), |tag| format!("{path}/{tag}"));
            self.require(&path, &["SDN.Use"])?;
        }
        Ok(())
    }

    /// Needs what putting something into a drive, or taking it out, needs.
    fn drive(self, key: &str, text: &str) -> Result<(), Failure> {
        let drive = Drive::parse(key, text);
        if drive.as_ref().is_some_and(Drive::is_cloudinit) {
            self.require_on_vm(&["VM.Config.Cloudinit"])?;
            self.require_on_vm(&["VM.Config.CDROM"])
        } else if drive.as_ref().is_some_and(Drive::is_cdrom) {
            self.require_on_vm(&["VM.Config.CDROM"])
        } else {
            self.require_on_vm(&["VM.Config.Disk"])
        }
    }

    /// Needs what a USB or PCI device needs: those of the host are root's, others are mapped or redirected.
    fn passed_through(self, key: &str, text: &str) -> Result<(), Failure> {
        if self.is_root() {
            return Ok(());
        }
        let is_usb = key.starts_with("usb");
        if is_usb {
            self.require_on_vm(&["VM.Config.HWType"])?;
        }
        let part = |name: &str| {
            let mut parts = text.split(',').filter_map(|part| part.split_once('='));
            parts.find_map(|(known, value)| (known == name).then_some(value))
        };
        let unnamed = text.split(',').find(|part| !part.contains('='));
        match (part("host").or(unnamed), part("mapping")) {
            (Some(host), _) if is_usb && host.eq_ignore_ascii_case("spice") => Ok(()),
            (Some(_), _) => {
                let kind = if is_usb { "real" } else { "non-mapped" };
                let text = format!("only root can set '{key}' config for {kind} devices");
                Err(Failure::died(text))
            }
            (None, Some(mapping)) => {
                let kind = if is_usb { "usb" } else { "pci" };
                self.require(&format!("/mapping/{kind}/{mapping}"), &["Mapping.Use"])?;
                self.require_on_vm(&["VM.Config.HWType"])
            }
            (None, None) => Err(Failure::died("either 'host' or 'mapping' must be set.")),
        }
    }

    /// Needs what serial ports need: sockets are anybody's who may change hardware, real ones are root's.
    fn serial(self, are_sockets: bool, key: &str, verb: &str) -> Result<(), Failure> {
        if are_sockets {
            self.require_on_vm(&["VM.Config.HWType"])
        } else if self.is_root() {
            Ok(())
        } else {
            Err(Failure::died(format!(
                "only root can {verb} '{key}' config for real devices"
            )))
        }
    }
}

/// Whether `who` may make a change, as far as that can be said before the VM's configuration is locked.
pub(crate) fn permitted(change: &Change, world: &World, vmid: u32, who: &str) -> Result<(), Failure> {
    let asker = Asker {
        world,
        who,
        vmid,
        pool: None,
    };
    by_name(change, asker)
}

/// Whether `who` may make a VM like this, where rights on the pool that it goes to count too.
pub(crate) fn permitted_for_new(
    change: &Change,
    world: &World,
    vmid: u32,
    pool: Option<&str>,
    who: &str,
) -> Result<(), Failure> {
    let asker = Asker {
        world,
        who,
        vmid,
        pool,
    };
    by_name(change, asker)?;
    for (key, text) in change.sets().filter(|(key, _)| is_device(key)) {
        if key.starts_with("serial") {
            asker.serial(text == "socket", key, "set")?;
        } else {
            asker.passed_through(key, text)?;
        }
    }
    Ok(())
}

/// Whether `who` may do with the drives and devices what a change does with them.
pub(crate) fn devices_permitted(change: &Change, world: &World, vm: &Vm, who: &str) -> Result<(), Failure> {
    let asker = Asker {
        world,
        who,
        vmid: vm.vmid,
        pool: None,
    };
    for key in change.delete.iter().chain(&change.revert) {
        let pending = || vm.pending.get(key).map(String::as_str);
        let Some(text) = vm.get(key).or_else(pending) else {
            continue;
        };
        if key.starts_with("unused") {
            asker.require_on_vm(&["VM.Config.Disk"])?;
            if let Some((storage, _)) = text.split_once(':') {
                asker.require(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
            }
        } else if keys::is_place(key) {
            asker.drive(key, text)?;
        } else if is_device(key) && key.starts_with("serial") {
            asker.serial(text == "socket", key, "delete")?;
        } else if is_device(key) {
            asker.passed_through(key, text)?;
        } else if is_network(key) {
            asker.bridge(key, text)?;
        }
    }
    for (key, text) in change.sets() {
        let old = vm.get(key);
        if keys::is_place(key) {
            old.map_or(Ok(()), |old| asker.drive(key, old))?;
            asker.drive(key, text)?;
        } else if is_device(key) && key.starts_with("serial") {
            let are_sockets = text == "socket" && old.is_none_or(|old| old == "socket");
            asker.serial(are_sockets, key, "modify")?;
        } else if is_device(key) {
            old.map_or(Ok(()), |old| asker.passed_through(key, old))?;
            asker.passed_through(key, text)?;
        } else if is_network(key) {
            old.map_or(Ok(()), |old| asker.bridge(key, old))?;
        }
    }
    Ok(())
}

/// What the names of the keys need, and the volumes and bridges that are asked for.
fn by_name(change: &Change, asker: Asker<'_>) -> Result<(), Failure> {
    for key in change.touched() {
        asker.key(key)?;
    }
    let vm = asker.world.vms.get(&asker.vmid);
    for (key, text) in change.sets() {
        if keys::is_drive(key)
            && let Some(drive) = Drive::parse(key, text)
        {
            let old = vm.and_then(|vm| Drive::parse(key, vm.get(key)?));
            if old.is_none_or(|old| old.file() != drive.file()) {
                asker.volume(key, &drive)?;
            }
        }
        if is_network(key) {
            asker.bridge(key, text)?;
        }
        if key == "vmstatestorage" {
            asker.require(&format!("/storage/{text}"), &["Datastore.AllocateSpace"])?;
        }
    }
    Ok(())
}

fn is_device(key: &str) -> bool {
    keys::find(key).is_some_and(|known| known.area == Area::Device)
}

fn is_network(key: &str) -> bool {
    keys::find(key).is_some_and(|known| known.area == Area::Network)
}
