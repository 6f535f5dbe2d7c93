//! A network card of a VM.

use std::fmt;
use std::str::FromStr;

use super::{PropertyError, PropertyString, positive_number};

/// The models of cards: the property string begins with one of them as key, its MAC address as value.
const MODELS: [&str; 18] = [
    "e1000",
    "e1000-82540em",
    "e1000-82544gc",
    "e1000-82545em",
    "e1000e",
    "i82551",
    "i82557b",
    "i82559er",
    "igb",
    "ne2k_isa",
    "ne2k_pci",
    "pcnet",
    "rtl8139",
    "virtio",
    "virtio-net-pci",
    "vmxnet3",
    "macaddr",
    "model",
];

/// The hardware address of a card.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress([u8; 6]);

impl MacAddress {
    /// The six bytes.
    pub fn octets(self) -> [u8; 6] {
        self.0
    }
}

impl FromStr for MacAddress {
    type Err = PropertyError;

    fn from_str(text: &str) -> Result<Self, PropertyError> {
        let wrong = || PropertyError::Form {
            key: "MAC address".to_owned(),
            wanted: "six pairs like `BC:24:11:…`",
        };
        let pairs: Option<Vec<u8>> = text
            .split(':')
            .map(|pair| {
                let digits = pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
                digits.then(|| u8::from_str_radix(pair, 16).ok()).flatten()
            })
            .collect();
        pairs.ok_or_else(wrong)?.try_into().map(Self).map_err(|_| wrong())
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            let colon = if place == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MacAddress({self})")
    }
}

/// A network card: `virtio=BC:24:11:AA:BB:CC,bridge=vmbr0,firewall=1,rate=12.5,tag=20`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Net {
    properties: PropertyString,
}

impl Net {
    /// Reads the value of a key such as `net0`.
    ///
    /// # Errors
    /// When no model is named.
    pub fn parse(text: &str) -> Result<Self, PropertyError> {
        let net = Self {
            properties: PropertyString::from(text),
        };
        if net.model().is_some() {
            Ok(net)
        } else {
            Err(PropertyError::Missing("the model of the card"))
        }
    }

    /// The model, such as `virtio`.
    pub fn model(&self) -> Option<&str> {
        self.properties.get_or_default("model").or_else(|| {
            let mut keys = self.properties.iter().filter_map(|(key, _)| key);
            keys.find(|key| MODELS.contains(key) && !matches!(*key, "macaddr" | "model"))
        })
    }

    /// The hardware address.
    pub fn mac(&self) -> Option<MacAddress> {
        let by_model = self.model().and_then(|model| self.properties.get(model));
        by_model.or_else(|| self.properties.get("macaddr"))?.parse().ok()
    }

    /// The bridge it is plugged into.
    pub fn bridge(&self) -> Option<&str> {
        self.properties.get("bridge")
    }

    /// The VLAN, 1 to 4094.
    pub fn tag(&self) -> Option<u16> {
        self.properties
            .get("tag")
            .and_then(|tag| tag.parse().ok())
            .filter(|tag| (1..=4094).contains(tag))
    }

    /// The limit of its speed in **megabytes** a second, of 2²⁰ bytes each (`tap_rate_limit` of pve-common).
    pub fn rate(&self) -> Option<f64> {
        let rate = self.properties.get("rate")?.parse().ok()?;
        (f64::is_finite(rate) && rate > 0.0).then_some(rate)
    }

    /// Limits its speed to so many megabytes a second, or takes the limit away.
    ///
    /// # Errors
    /// When the number is not above 0.
    pub fn set_rate(&mut self, rate: Option<f64>) -> Result<(), PropertyError> {
        let rate = rate.map(|rate| positive_number("rate", rate)).transpose()?;
        self.put("rate", rate.as_deref())
    }

    /// Whether the firewall's rules apply to it.
    pub fn firewall(&self) -> bool {
        self.properties.get_bool("firewall").unwrap_or(false)
    }

    /// Lets the firewall's rules apply to it or not.
    ///
    /// # Errors
    /// None that the caller could cause.
    pub fn set_firewall(&mut self, on: bool) -> Result<(), PropertyError> {
        self.put("firewall", on.then_some("1"))
    }

    /// Whether the cable is pulled.
    pub fn link_down(&self) -> bool {
        self.properties.get_bool("link_down").unwrap_or(false)
    }

    /// Packet queues, 0 to 64.
    pub fn queues(&self) -> Option<u8> {
        self.properties
            .get("queues")
            .and_then(|queues| queues.parse().ok())
            .filter(|queues| *queues <= 64)
    }

    /// The largest packet; 1 means that of the bridge.
    pub fn mtu(&self) -> Option<u32> {
        self.properties.get("mtu").and_then(|mtu| mtu.parse().ok())
    }

    /// Gives a key a value or takes it out, all others keeping their place.
    ///
    /// # Errors
    /// When the key or the value would break the string.
    pub fn put(&mut self, key: &str, value: Option<&str>) -> Result<(), PropertyError> {
        match value {
            Some(value) => {
                // PVE prints the model first, whatever its letter.
                let is_model = |key: Option<&str>| key.is_none_or(|key| MODELS.contains(&key));
                let leading = self
                    .properties
                    .iter()
                    .take_while(|(key, _)| is_model(*key))
                    .count();
                self.properties.set_after(leading, key, value)
            }
            None => self.properties.put(key, None),
        }
    }

    /// All options.
    pub fn properties(&self) -> &PropertyString {
        &self.properties
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.properties.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = "virtio=BC:24:11:AA:BB:CC,bridge=vmbr0,firewall=1,rate=12.5,tag=20";

    #[test]
    fn every_part_of_a_card_is_read() {
        let net = Net::parse(FULL).unwrap();
        assert_eq!(
            (net.model(), net.bridge(), net.tag(), net.rate()),
            (Some("virtio"), Some("vmbr0"), Some(20), Some(12.5))
        );
        assert_eq!(net.mac().unwrap().to_string(), "BC:24:11:AA:BB:CC");
        assert!(net.firewall() && !net.link_down());
        assert_eq!(net.to_string(), FULL);
    }

    #[test]
    fn the_long_form_and_a_card_without_address_are_read_too() {
        let net = Net::parse("model=e1000,macaddr=bc:24:11:aa:bb:cc,bridge=vmbr0").unwrap();
        assert_eq!(
            (net.model(), net.mac().unwrap().to_string().as_str()),
            (Some("e1000"), "BC:24:11:AA:BB:CC")
        );
        let net = Net::parse("virtio,bridge=vmbr0").unwrap();
        assert_eq!((net.model(), net.mac()), (Some("virtio"), None));
        assert!(Net::parse("bridge=vmbr0").is_err());
    }

    #[test]
    fn changing_the_rate_keeps_model_first_and_all_else() {
        let mut net = Net::parse("virtio=BC:24:11:AA:BB:CC,bridge=vmbr0,tag=20,zz=future").unwrap();
        net.set_rate(Some(100.0)).unwrap();
        net.set_firewall(true).unwrap();
        assert_eq!(
            net.to_string(),
            "virtio=BC:24:11:AA:BB:CC,bridge=vmbr0,firewall=1,rate=100,tag=20,zz=future"
        );
        net.put("aa", Some("1")).unwrap();
        assert!(
            net.to_string()
                .starts_with("virtio=BC:24:11:AA:BB:CC,aa=1,bridge"),
            "{net}"
        );
        net.set_rate(None).unwrap();
        net.set_firewall(false).unwrap();
        net.put("aa", None).unwrap();
        assert_eq!(
            net.to_string(),
            "virtio=BC:24:11:AA:BB:CC,bridge=vmbr0,tag=20,zz=future"
        );
        assert!(net.set_rate(Some(f64::NAN)).is_err());
    }

    #[test]
    fn wrong_addresses_tags_and_rates_are_none() {
        let net = Net::parse("virtio=BC:24:11:AA:BB,rate=fast,tag=5000,queues=65").unwrap();
        assert_eq!(
            (net.mac(), net.rate(), net.tag(), net.queues()),
            (None, None, None, None)
        );
        for bad in [
            "",
            "BC:24:11:AA:BB:C",
            "BC:24:11:AA:BB:CG",
            "BC2411AABBCC",
            "+1:24:11:AA:BB:CC",
            "1:2:3:4:5:6:7",
        ] {
            assert!(bad.parse::<MacAddress>().is_err(), "{bad}");
        }
    }
}
