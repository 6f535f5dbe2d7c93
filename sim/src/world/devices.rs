//! Devices of a node that a VM has been given, which keep it there.

use std::collections::BTreeMap;

use super::vm::Vm;

/// What a VM has of its node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Devices {
    /// The keys that name devices.
    pub(crate) local: Vec<String>,
    /// Those that name them by a mapping of the cluster, with the mapping.
    pub(crate) mapped: BTreeMap<String, String>,
}

impl Devices {
    /// Looks through a VM's configuration.
    pub(crate) fn of(vm: &Vm) -> Self {
        let running = vm.run.is_some();
        let mut found = Self::default();
        for (key, text) in &vm.config {
            let family = key.trim_end_matches(|c: char| c.is_ascii_digit());
            let part = |wanted: &str| {
                let mut parts = text.split(',').filter_map(|part| part.split_once('='));
                parts.find_map(|(name, value)| (name == wanted).then(|| value.to_owned()))
            };
            let mapping = match family {
                "usb" | "hostpci" => part("mapping"),
                "virtiofs" => Some(part("dirid").unwrap_or_else(|| text.clone())),
                _ => None,
            };
            let is_mapped = mapping.is_some();
            let local = match family {
                "amd-sev" | "intel-tdx" => running,
                "usb" => !text
                    .split(',')
                    .any(|part| ["spice", "host=spice"].contains(&part)),
                "hostpci" => running || !is_mapped,
                // Sockets are made anew on the other node.
                "serial" => text != "socket",
                "ivshmem" | "parallel" | "virtiofs" => true,
                "vga" => running && part("clipboard").as_deref() == Some("vnc"),
                _ => false,
            };
            if let Some(mapping) = mapping {
                found.mapped.insert(key.clone(), mapping);
            }
            if local && family == "vga" {
                found.local.push("clipboard=vnc".to_owned());
            } else if local {
                found.local.push(key.clone());
            }
        }
        found
    }

    /// Those that have no mapping.
    pub(crate) fn blocking(&self) -> Vec<String> {
        let free = self.local.iter().filter(|key| !self.mapped.contains_key(*key));
        free.cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_of_the_node_are_told_from_what_every_node_can_make() {
        let config = [
            ("serial0", "socket"),
            ("serial1", "/dev/ttyS0"),
            ("usb0", "spice"),
            ("usb1", "host=1234:5678"),
            ("hostpci0", "mapping=gpu"),
            ("vga", "std,clipboard=vnc"),
        ];
        let config = config.map(|(key, text)| (key.to_owned(), text.to_owned())).into();
        let devices = Devices::of(&Vm::new(100, "pve1", config, 1, 0.0));
        assert_eq!(devices.local, ["serial1", "usb1"]);
        assert_eq!(devices.mapped["hostpci0"], "gpu");
        assert_eq!(devices.blocking(), ["serial1", "usb1"]);
    }
}
