//! Who may read which volume.

use super::World;
use super::backup::{Named, parse_name};
use crate::failure::Failure;

impl World {
    /// Refuses unless somebody has one of the privileges on a path.
    pub(crate) fn require(&self, who: &str, path: &str, any: &[&str]) -> Result<(), Failure> {
        if any.iter().any(|privilege| self.access.may(who, path, privilege)) {
            return Ok(());
        }
        Err(Failure::forbidden(&format!("{path}, {}", any.join("|"))))
    }

    /// What a volume's id says: its storage, its name, its content and owner.
    pub(crate) fn named<'t>(&self, volid: &'t str) -> Result<(&'t str, &'t str, Named), Failure> {
        let (id, name) = volid
            .split_once(':')
            .ok_or_else(|| format!("unable to parse volume ID '{volid}'"))?;
        let storage = self
            .storages
            .get(id)
            .ok_or_else(|| format!("storage '{id}' does not exist"))?;
        Ok((id, name, parse_name(storage.kind, name)?))
    }

    /// Whether `who` may read a volume; `vmid` is the VM it is read for, `content` what it has to be.
    pub(crate) fn readable(
        &self,
        who: &str,
        vmid: Option<u32>,
        volid: &str,
        content: Option<&str>,
    ) -> Result<(), Failure> {
        let (id, _, named) = self.named(volid)?;
        if let Some(wanted) = content
            && named.content != wanted
        {
            return Err(Failure::died(format!(
                "unable to use volume {volid} - content type needs to be '{wanted}'"
            )));
        }
        let path = format!("/storage/{id}");
        if self.access.may(who, &path, "Datastore.Allocate") {
            return Ok(());
        }
        match (named.content, named.owner) {
            ("iso" | "vztmpl" | "import", _) => {
                self.require(who, &path, &["Datastore.AllocateSpace", "Datastore.Audit"])
            }
            (_, Some(owner)) if vmid == Some(owner) => Ok(()),
            ("backup", Some(owner)) => {
                self.require(who, &path, &["Datastore.AllocateSpace"])?;
                self.require(who, &format!("/vms/{owner}"), &["VM.Backup"])
            }
            ("images", Some(owner)) => {
                self.require(who, &path, &["Datastore.Audit"])?;
                self.require(who, &format!("/vms/{owner}"), &["VM.Config.Disk"])
            }
            _ => Err(Failure::died(format!("missing privileges to access {volid}"))),
        }
    }
}
