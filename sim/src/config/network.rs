//! Network devices: `virtio=BC:24:11:AA:BB:CC,bridge=vmbr0,firewall=1,rate=12.5,tag=20`.

use crate::schema::property_string::{Layout, Parts};
use crate::schema::{Property, format};

const MODELS: &[&str] = &[
    "e1000",
    "e1000-82540em",
    "e1000-82544gc",
    "e1000-82545em",
    "e1000e",
    "i82551",
    "i82557b",
    "i82559er",
    "ne2k_isa",
    "ne2k_pci",
    "pcnet",
    "rtl8139",
    "virtio",
    "vmxnet3",
];

const LAYOUT: Layout = Layout {
    default_key: Some("model"),
    parts: &[
        Property::text("model").one_of(MODELS),
        Property::text("bridge").optional().format(format::bridge),
        Property::boolean("firewall").optional(),
        Property::text("host-tunnel").optional().new_in_9(),
        Property::boolean("link_down").optional(),
        Property::text("macaddr").optional().format(format::mac),
        Property::integer("mtu").optional().at_least(1).at_most(65_520),
        Property::integer("queues").optional().at_least(0).at_most(64),
        Property::number("rate").optional().at_least(0),
        Property::integer("tag").optional().at_least(1).at_most(4094),
        Property::text("trunks").optional(),
    ],
    aliases: &[],
};

/// A network device.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Network {
    parts: Parts,
}

/// Format check of a network device's text.
pub(crate) fn check(name: &str, text: &str) -> Result<(), String> {
    Network::parse(name, text).map(drop)
}

impl Network {
    /// Reads a network device, whose model may carry the MAC address (`virtio=BC:…`).
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, String> {
        let spelled = text
            .split(',')
            .map(|piece| match piece.split_once('=') {
                Some((model, mac)) if MODELS.contains(&model) => format!("model={model},macaddr={mac}"),
                _ => piece.to_owned(),
            })
            .collect::<Vec<_>>()
            .join(",");
        let mut parts = LAYOUT.parse(name, &spelled)?;
        if let Some(mac) = parts.get_mut("macaddr") {
            mac.make_ascii_uppercase();
        }
        Ok(Self { parts })
    }

    /// The device as PVE stores it.
    pub(crate) fn print(&self) -> String {
        let model = self.parts.get("model").map(String::as_str).unwrap_or_default();
        let first = match self.parts.get("macaddr") {
            Some(mac) => format!("{model}={mac}"),
            None => model.to_owned(),
        };
        let rest = self
            .parts
            .iter()
            .filter(|(part, _)| *part != "model" && *part != "macaddr")
            .map(|(part, value)| format!("{part}={value}"));
        std::iter::once(first).chain(rest).collect::<Vec<_>>().join(",")
    }

    /// Its MAC address.
    pub(crate) fn mac(&self) -> Option<&str> {
        self.parts.get("macaddr").map(String::as_str)
    }

    /// Gives it a MAC address.
    pub(crate) fn set_mac(&mut self, mac: String) {
        self.parts.insert("macaddr".to_owned(), mac);
    }

    /// Its bridge.
    pub(crate) fn bridge(&self) -> Option<&str> {
        self.parts.get("bridge").map(String::as_str)
    }

    /// Its VLAN tag.
    pub(crate) fn tag(&self) -> Option<&str> {
        self.parts.get("tag").map(String::as_str)
    }

    /// Whether the guest gets another device when this one becomes `next`. All else is changed on the host's side:
    /// rate, firewall, VLAN, link, and the bridge, unless there was or will be none.
    pub(crate) fn differs_for_guest(&self, next: &Self) -> bool {
        let part = |device: &Self, name: &str| device.parts.get(name).cloned();
        let differs = |name: &&str| part(self, name) != part(next, name);
        self.bridge().is_none()
            || next.bridge().is_none()
            || ["model", "macaddr", "queues", "mtu"].iter().any(differs)
    }

    /// Its rate limit in bytes a second. PVE's megabytes are 2²⁰ bytes (`tap_rate_limit`).
    pub(crate) fn rate(&self) -> Option<f64> {
        let megabytes = self.parts.get("rate")?.parse::<f64>().ok()?;
        (megabytes > 0.0).then_some(megabytes * 1_048_576.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_stored_in_pves_order_with_an_upper_case_mac() {
        let text = "tag=20,rate=12.5,firewall=1,virtio=bc:24:11:aa:bb:cc,bridge=vmbr0";
        let device = Network::parse("net0", text).unwrap();
        assert_eq!(
            device.print(),
            "virtio=BC:24:11:AA:BB:CC,bridge=vmbr0,firewall=1,rate=12.5,tag=20"
        );
        assert_eq!(device.rate(), Some(13_107_200.0));
    }

    #[test]
    fn a_guest_notices_another_model_mac_queues_or_mtu_and_a_bridge_that_comes_or_goes() {
        let device = |text: &str| Network::parse("net0", text).unwrap();
        let before = device("virtio=BC:24:11:AA:BB:CC,bridge=vmbr0,rate=5");
        for next in [
            "virtio=BC:24:11:AA:BB:CC,bridge=vmbr0",
            "virtio=BC:24:11:AA:BB:CC,bridge=vmbr1,tag=5,firewall=1,link_down=1,rate=9",
        ] {
            assert!(!before.differs_for_guest(&device(next)), "{next}");
        }
        for next in [
            "e1000=BC:24:11:AA:BB:CC,bridge=vmbr0",
            "virtio=BC:24:11:AA:BB:CD,bridge=vmbr0",
            "virtio=BC:24:11:AA:BB:CC,bridge=vmbr0,queues=2",
            "virtio=BC:24:11:AA:BB:CC,bridge=vmbr0,mtu=1400",
            "virtio=BC:24:11:AA:BB:CC",
        ] {
            assert!(before.differs_for_guest(&device(next)), "{next}");
        }
    }

    #[test]
    fn a_device_without_a_known_model_is_refused() {
        assert!(Network::parse("net0", "bridge=vmbr0").is_err());
        assert!(
            Network::parse("net0", "virtio,tag=5000")
                .unwrap_err()
                .contains("maximum value of 4094")
        );
    }
}
