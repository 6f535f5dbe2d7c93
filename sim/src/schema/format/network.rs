//! Addresses, cloud-init's settings of them, MAC addresses and bridges.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Checked, dns_name};

/// An address or a DNS name.
pub(crate) fn address(name: &str, text: &str) -> Checked {
    if text.parse::<IpAddr>().is_ok() || dns_name(name, text).is_ok() {
        Ok(())
    } else {
        Err(format!("value does not look like a valid address: {text}"))
    }
}

/// An IPv4 address.
pub(crate) fn ipv4(_: &str, text: &str) -> Checked {
    text.parse::<Ipv4Addr>()
        .map(drop)
        .map_err(|_| "value does not look like a valid IPv4 address".to_owned())
}

/// An IPv6 address.
pub(crate) fn ipv6(_: &str, text: &str) -> Checked {
    text.parse::<Ipv6Addr>()
        .map(drop)
        .map_err(|_| "value does not look like a valid IPv6 address".to_owned())
}

fn prefix_within(text: &str, lowest: u8, highest: u8) -> bool {
    !text.starts_with('0')
        && text.bytes().all(|b| b.is_ascii_digit())
        && text
            .parse::<u8>()
            .is_ok_and(|length| (lowest..=highest).contains(&length))
}

/// `ADDRESS/PREFIX`, 8…32 for IPv4 and 8…128 for IPv6.
pub(crate) fn cidr(_: &str, text: &str) -> Checked {
    let good = text.split_once('/').is_some_and(|(address, prefix)| {
        (address.parse::<Ipv4Addr>().is_ok() && prefix_within(prefix, 8, 32))
            || (address.parse::<Ipv6Addr>().is_ok() && prefix_within(prefix, 8, 128))
    });
    if good {
        Ok(())
    } else {
        Err("value does not look like a valid CIDR network".to_owned())
    }
}

/// `ADDRESS/PREFIX` (8…32) or `dhcp`.
pub(crate) fn ipv4_config(_: &str, text: &str) -> Checked {
    let good = text == "dhcp"
        || text.split_once('/').is_some_and(|(address, prefix)| {
            address.parse::<Ipv4Addr>().is_ok() && prefix_within(prefix, 8, 32)
        });
    if good {
        Ok(())
    } else {
        Err("value does not look like a valid IPv4 network configuration".to_owned())
    }
}

/// `ADDRESS/PREFIX` (8…128), `dhcp` or `auto`.
pub(crate) fn ipv6_config(_: &str, text: &str) -> Checked {
    let good = text == "dhcp"
        || text == "auto"
        || text.split_once('/').is_some_and(|(address, prefix)| {
            address.parse::<Ipv6Addr>().is_ok() && prefix_within(prefix, 8, 128)
        });
    if good {
        Ok(())
    } else {
        Err("value does not look like a valid IPv6 network configuration".to_owned())
    }
}

/// A unicast MAC address.
pub(crate) fn mac(_: &str, text: &str) -> Checked {
    let mut parts = text.split(':');
    let good = parts.clone().count() == 6
        && parts
            .clone()
            .all(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()))
        && parts
            .next()
            .and_then(|first| u8::from_str_radix(first, 16).ok())
            .is_some_and(|first| first & 1 == 0);
    if good {
        Ok(())
    } else {
        Err("value does not look like a valid unicast MAC address".to_owned())
    }
}

/// A bridge's name.
pub(crate) fn bridge(_: &str, text: &str) -> Checked {
    let good = !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if good {
        Ok(())
    } else {
        Err("invalid bridge name".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_addresses_must_be_unicast() {
        assert!(mac("", "BC:24:11:AA:BB:CC").is_ok());
        assert!(mac("", "01:24:11:AA:BB:CC").is_err());
        assert!(mac("", "BC:24:11:AA:BB").is_err());
    }
}
