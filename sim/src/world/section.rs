//! What sections of `storage.cfg` say, by kind of storage.
//!
//! What the simulation heeds has a field of its own in [`Storage`]; the rest is kept as it was given.

use std::collections::{BTreeMap, BTreeSet};

use super::retention::Keep;
use super::storage::{Storage, StorageKind};

/// Bytes of a storage that a request makes.
const NEW_SIZE: u64 = 100 << 30;

/// Whether a setting can be left out and changed, as far as a kind of storage knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// It must be there and stays as it is.
    Fixed,
    /// It may be there.
    Optional,
}

/// The settings that every kind knows.
const COMMON: &[&str] = &["content", "disable", "nodes"];
const OF_BACKUPS: &[&str] = &["max-protected-backups", "prune-backups"];
const OF_FILES: &[&str] = &[
    "create-base-path",
    "create-subdirs",
    "format",
    "mkdir",
    "preallocation",
];

impl StorageKind {
    /// The settings of its own that must be there, and those that may.
    fn own(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Dir => (&["path"], &["is_mountpoint", "shared"]),
            Self::Nfs => (&["export", "path", "server"], &["options"]),
            Self::LvmThin => (&["thinpool", "vgname"], &[]),
            Self::Lvm => (&["vgname"], &["saferemove", "shared"]),
            Self::Zfs => (&["pool"], &["blocksize", "mountpoint", "sparse"]),
            Self::Rbd => (&[], &["krbd", "monhost", "pool", "username"]),
            Self::Pbs => (
                &["datastore", "server"],
                &["fingerprint", "namespace", "password", "port", "username"],
            ),
        }
    }

    fn rule(self, key: &str) -> Option<Rule> {
        let (fixed, own) = self.own();
        let backups = if self.is_files() || self == Self::Pbs {
            OF_BACKUPS
        } else {
            &[]
        };
        let files = if self.is_files() { OF_FILES } else { &[] };
        if fixed.contains(&key) {
            Some(Rule::Fixed)
        } else {
            let optional = [COMMON, own, backups, files];
            optional
                .iter()
                .any(|keys| keys.contains(&key))
                .then_some(Rule::Optional)
        }
    }

    /// What it can hold.
    fn possible_content(self) -> &'static [&'static str] {
        match self {
            Self::Dir => &[
                "images", "rootdir", "vztmpl", "iso", "backup", "snippets", "import", "none",
            ],
            Self::Nfs => &[
                "images", "rootdir", "vztmpl", "iso", "backup", "snippets", "import",
            ],
            Self::LvmThin | Self::Lvm | Self::Zfs | Self::Rbd => &["images", "rootdir"],
            Self::Pbs => &["backup", "none"],
        }
    }

    /// What it holds when its section says nothing of it.
    fn default_content(self) -> BTreeSet<String> {
        let kinds: &[&str] = match self {
            Self::Nfs | Self::Rbd | Self::Lvm => &["images"],
            Self::Dir | Self::LvmThin | Self::Zfs => &["images", "rootdir"],
            Self::Pbs => &["backup"],
        };
        kinds.iter().map(|kind| (*kind).to_owned()).collect()
    }

    /// Whether PVE takes it as shared without being told.
    fn is_shared(self) -> bool {
        matches!(self, Self::Nfs | Self::Rbd | Self::Pbs)
    }

    /// The settings of its own that a storage of a scenario has.
    pub(crate) fn settings(self, id: &str) -> BTreeMap<String, String> {
        let mounted = format!("/mnt/pve/{id}");
        let path = if id == "local" { "/var/lib/vz" } else { &mounted };
        let pairs: &[(&str, &str)] = match self {
            Self::Dir => &[("path", path)],
            Self::Nfs => &[("export", "/export"), ("path", path), ("server", "10.0.0.50")],
            Self::LvmThin => &[("thinpool", id), ("vgname", id)],
            Self::Lvm => &[("vgname", id)],
            Self::Zfs | Self::Rbd => &[("pool", id)],
            Self::Pbs => &[
                ("datastore", id),
                ("server", "10.0.0.50"),
                ("username", "portico@pbs"),
            ],
        };
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }
}

impl Storage {
    /// A storage whose section says this, or PVE's text.
    pub(crate) fn made(
        id: &str,
        kind: StorageKind,
        given: &BTreeMap<String, String>,
    ) -> Result<Self, String> {
        let mut storage = Self {
            id: id.to_owned(),
            kind,
            content: kind.default_content(),
            shared: kind.is_shared(),
            nodes: BTreeSet::new(),
            total: NEW_SIZE,
            enabled: true,
            prune: None,
            max_protected: None,
            settings: BTreeMap::new(),
            volumes: Vec::new(),
        };
        if kind == StorageKind::Nfs {
            // PVE mounts it there when nobody says where.
            storage.settings = BTreeMap::from([("path".to_owned(), format!("/mnt/pve/{id}"))]);
        }
        for (key, value) in given {
            storage.set(key, value)?;
        }
        let (fixed, _) = kind.own();
        match fixed.iter().find(|key| !storage.settings.contains_key(**key)) {
            Some(key) => Err(format!("missing value for required option '{key}'")),
            None => Ok(storage),
        }
    }

    /// Changes settings, or says what PVE has against it.
    pub(crate) fn change<'k>(
        &mut self,
        given: &BTreeMap<String, String>,
        unset: impl Iterator<Item = &'k str>,
    ) -> Result<(), String> {
        for key in given.keys() {
            if self.kind.rule(key) == Some(Rule::Fixed) {
                return Err(format!("can't change value of fixed parameter '{key}'"));
            }
        }
        for key in unset {
            match self.kind.rule(key) {
                None => return Err(format!("no such option '{key}'")),
                Some(Rule::Fixed) => return Err(format!("unable to delete required option '{key}'")),
                Some(Rule::Optional) if given.contains_key(key) => {
                    return Err(format!(
                        "cannot set and delete property '{key}' at the same time!"
                    ));
                }
                Some(Rule::Optional) => self.unset(key),
            }
        }
        given.iter().try_for_each(|(key, value)| self.set(key, value))
    }

    fn unset(&mut self, key: &str) {
        match key {
            "content" => self.content = self.kind.default_content(),
            "disable" => self.enabled = true,
            "nodes" => self.nodes.clear(),
            "prune-backups" => self.prune = None,
            "max-protected-backups" => self.max_protected = None,
            "shared" => self.shared = false,
            other => {
                self.settings.remove(other);
            }
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        if self.kind.rule(key).is_none() {
            return Err(format!("unexpected property '{key}'"));
        }
        let items = || crate::schema::format::items(value);
        match key {
            "content" => {
                // PVE leaves out what the kind of storage cannot hold, with a warning in its log.
                let possible = self.kind.possible_content();
                let kept = items().filter(|kind| possible.contains(kind));
                self.content = kept.map(str::to_owned).collect();
                if self.content.len() > 1 && self.content.contains("none") {
                    return Err("unable to combine 'none' with other content types".to_owned());
                }
                if self.content.is_empty() && !possible.contains(&"none") {
                    return Err("storage does not support content type 'none'".to_owned());
                }
            }
            "disable" => self.enabled = value == "0",
            "nodes" => self.nodes = items().map(str::to_owned).collect(),
            "prune-backups" => self.prune = Some(Keep::parse(value)?),
            "max-protected-backups" => self.max_protected = value.parse().ok(),
            "shared" => self.shared = value == "1",
            // It goes into a file of its own, which no request reads.
            "password" => {}
            other => {
                self.settings.insert(other.to_owned(), value.to_owned());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn a_section_needs_what_its_kind_needs_and_takes_nothing_else() {
        let made = |kind, pairs: &[(&str, &str)]| Storage::made("new", kind, &given(pairs));
        let missing = made(StorageKind::Nfs, &[("server", "10.0.0.9")]).unwrap_err();
        assert_eq!(missing, "missing value for required option 'export'");
        let odd = made(StorageKind::LvmThin, &[("path", "/x")]).unwrap_err();
        assert_eq!(odd, "unexpected property 'path'");
        let nfs = made(StorageKind::Nfs, &[("server", "10.0.0.9"), ("export", "/e")]).unwrap();
        assert_eq!(nfs.settings["path"], "/mnt/pve/new");
        assert!(nfs.shared && nfs.content.contains("images"));
    }

    #[test]
    fn storages_of_a_scenario_have_what_their_kind_needs() {
        for name in ["dir", "nfs", "lvmthin", "lvm", "zfspool", "rbd", "pbs"] {
            let kind = StorageKind::from_name(name).unwrap();
            assert!(
                Storage::made("any", kind, &kind.settings("any")).is_ok(),
                "{name}"
            );
        }
    }

    #[test]
    fn fixed_settings_stay() {
        let mut dir = Storage::made("d", StorageKind::Dir, &given(&[("path", "/d")])).unwrap();
        let none = || std::iter::empty();
        assert_eq!(
            dir.change(&given(&[("path", "/e")]), none()).unwrap_err(),
            "can't change value of fixed parameter 'path'"
        );
        assert_eq!(
            dir.change(&given(&[]), ["path"].into_iter()).unwrap_err(),
            "unable to delete required option 'path'"
        );
        dir.change(&given(&[("format", "raw")]), none()).unwrap();
        assert_eq!(dir.settings["format"], "raw");
    }
}
