//! Names of firewall sets, and what is in them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::InvalidId;

text_id!(
    /// The name of a firewall set.
    FirewallName,
    "firewall name",
    "2 to 64 letters, digits, `-` and `_`, a letter first",
    |text| {
        let mut bytes = text.bytes();
        (2..=64).contains(&text.len())
            && bytes.next().is_some_and(|b| b.is_ascii_alphabetic())
            && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    }
);

impl FirewallName {
    /// The set that PVE takes for the addresses that the VM's network card `netN` may use.
    pub fn ip_filter(card: u8) -> Self {
        Self(format!("ipfilter-net{card}"))
    }

    /// Whether it is such a set.
    pub fn is_ip_filter(&self) -> bool {
        self.0.starts_with("ipfilter-net")
    }
}

text_id!(
    /// What is in a set: an address, a network, or an alias, as PVE writes it.
    SetMember,
    "member of a set",
    "an address, a network or the name of an alias",
    |text| {
        let alias = text
            .strip_prefix("dc/")
            .or_else(|| text.strip_prefix("guest/"))
            .unwrap_or(text);
        text.parse::<IpAddr>().is_ok() || text.parse::<IpNet>().is_ok() || FirewallName::new(alias).is_ok()
    }
);

impl SetMember {
    /// The network it is; `None` for an alias.
    pub fn network(&self) -> Option<IpNet> {
        let address = || self.0.parse::<IpAddr>().ok().map(IpNet::from);
        self.0.parse().ok().or_else(address)
    }
}

impl From<IpAddr> for SetMember {
    fn from(address: IpAddr) -> Self {
        Self(address.to_string())
    }
}

impl From<IpNet> for SetMember {
    /// Without host bits, and without a prefix where it says nothing, as PVE stores it.
    fn from(network: IpNet) -> Self {
        let network = network.trunc();
        if network.prefix_len() == network.max_prefix_len() {
            Self(network.addr().to_string())
        } else {
            Self(network.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_sets_are_written_as_pve_stores_them() {
        let member = |text: &str| SetMember::from(text.parse::<IpNet>().unwrap());
        assert_eq!(member("192.0.2.155/24").as_str(), "192.0.2.0/24");
        assert_eq!(member("2001:db8::1/128").as_str(), "2001:db8::1");
        assert!(SetMember::new("office").unwrap().network().is_none());
        assert_eq!(
            SetMember::new("192.0.2.1").unwrap().network(),
            Some("192.0.2.1/32".parse().unwrap())
        );
        for text in ["", "a b", "192.0.2.1\n", "1.2.3.4/33", "../x"] {
            assert!(SetMember::new(text).is_err(), "{text}");
        }
    }
}
