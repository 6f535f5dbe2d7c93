//! Services: one customer's VM each.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use super::Origin;
use super::id::{ClusterId, CustomerId, ProductId, ServiceId, Vmid};

/// A service: the VM of one customer on one product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// The id in URLs.
    pub id: ServiceId,
    /// Whose it is. It does not change: the activity log and the plugins' data belong to the owner.
    pub customer: CustomerId,
    /// What he bought.
    pub product: ProductId,
    /// Where the VM is.
    pub cluster: ClusterId,
    /// Which VM it is; one service for a VM.
    pub vmid: Vmid,
    /// The VM's host name, as the customer sees it.
    pub hostname: String,
    /// Its addresses.
    pub addresses: Addresses,
    /// The MAC address a reinstall keeps; none leaves the one the VM has.
    pub mac: Option<MacAddress>,
    /// Whether the customer is kept from acting on it.
    pub suspended: bool,
    /// Who made the record.
    pub origin: Origin,
}

/// The addresses of a service. The first of each family is the primary one, configured inside the VM.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// IPv4 addresses with their prefix lengths.
    pub ipv4: Vec<Ipv4Net>,
    /// The IPv4 gateway.
    pub gateway4: Option<Ipv4Addr>,
    /// IPv6 addresses with their prefix lengths.
    pub ipv6: Vec<Ipv6Net>,
    /// The IPv6 gateway; may be link-local.
    pub gateway6: Option<Ipv6Addr>,
    /// DNS servers.
    pub dns: Vec<IpAddr>,
    /// The DNS search domain.
    pub domain: Option<String>,
}

impl Addresses {
    /// All addresses of the service itself, IPv4 first.
    pub fn hosts(&self) -> impl Iterator<Item = IpAddr> {
        let ipv4 = self.ipv4.iter().map(|net| IpAddr::V4(net.addr()));
        ipv4.chain(self.ipv6.iter().map(|net| IpAddr::V6(net.addr())))
    }
}

/// A unicast MAC address, as PVE writes it: `BC:24:11:0A:0B:0C`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddress(String);

impl MacAddress {
    /// The text, upper case with colons.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is not a MAC address for a VM.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a unicast MAC address: write one such as `BC:24:11:0A:0B:0C`, the first octet even")]
pub struct MacAddressError(String);

impl FromStr for MacAddress {
    type Err = MacAddressError;

    fn from_str(text: &str) -> Result<Self, MacAddressError> {
        let error = || MacAddressError(text.to_owned());
        // `from_str_radix` would take a sign.
        let octet = |pair: &str| {
            let digits = pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit());
            digits
                .then(|| u8::from_str_radix(pair, 16).ok())
                .flatten()
                .ok_or_else(error)
        };
        let octets: Vec<u8> = text.split(':').map(octet).collect::<Result<_, _>>()?;
        match octets.first() {
            // The lowest bit of the first octet marks multicast, which PVE refuses.
            Some(first) if octets.len() == 6 && first & 1 == 0 => Ok(Self(text.to_ascii_uppercase())),
            _ => Err(error()),
        }
    }
}

impl TryFrom<String> for MacAddress {
    type Error = MacAddressError;

    fn try_from(text: String) -> Result<Self, MacAddressError> {
        text.parse()
    }
}

impl From<MacAddress> for String {
    fn from(mac: MacAddress) -> String {
        mac.0
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Whether `text` is a DNS name that PVE takes: labels of letters, digits and inner hyphens.
pub fn is_dns_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 253
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_address_is_unicast_and_upper_case() {
        assert_eq!(
            "bc:24:11:0a:0b:0c".parse::<MacAddress>().unwrap().as_str(),
            "BC:24:11:0A:0B:0C"
        );
        for bad in [
            "",
            "bc:24:11:0a:0b",
            "bc:24:11:0a:0b:0c:0d",
            "bd:24:11:0a:0b:0c",
            "bc-24-11-0a-0b-0c",
            "bc:24:11:0a:0b:+c",
        ] {
            assert!(bad.parse::<MacAddress>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_host_name_has_plain_labels() {
        for good in ["vm", "vm-1.example.com", "1.example"] {
            assert!(is_dns_name(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "vm.",
            "-vm",
            "vm-",
            "a..b",
            "a_b",
            "a b",
            "a/b",
            &"x".repeat(64),
        ] {
            assert!(!is_dns_name(bad), "{bad}");
        }
    }

    #[test]
    fn an_address_keeps_its_host_part_in_the_record() {
        let addresses = Addresses {
            ipv4: vec!["192.0.2.10/24".parse().unwrap()],
            ..Addresses::default()
        };
        let back: Addresses = serde_json::from_str(&serde_json::to_string(&addresses).unwrap()).unwrap();
        assert_eq!(back.hosts().next().unwrap().to_string(), "192.0.2.10");
    }
}
