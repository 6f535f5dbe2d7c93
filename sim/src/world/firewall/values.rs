//! Addresses, ports and their lists, as rules and sets write them, with PVE's refusals.

use std::net::{IpAddr, Ipv4Addr};

use super::names;

type Checked = Result<(), String>;

/// Longest name of a set or an alias.
const LONGEST_NAME: usize = 64;

/// Takes `text` apart into address and prefix length, if it is written like a network.
fn network(text: &str) -> Option<(IpAddr, Option<u32>)> {
    match text.split_once('/') {
        None => Some((text.parse().ok()?, None)),
        Some((address, prefix)) => {
            let digits = !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_digit());
            Some((
                address.parse().ok()?,
                Some(prefix.parse().ok().filter(|_| digits)?),
            ))
        }
    }
}

fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), 32),
        IpAddr::V6(v6) => (u128::from(v6), 128),
    }
}

/// The host part of an address under a prefix length.
fn host_part(address: IpAddr, prefix: u32) -> u128 {
    let (value, width) = bits(address);
    let free = width.saturating_sub(prefix);
    if free >= 128 {
        value
    } else {
        value & ((1_u128 << free) - 1)
    }
}

fn version(address: IpAddr) -> u8 {
    if address.is_ipv4() { 4 } else { 6 }
}

/// What PVE's address library says of something that is no address.
fn no_address(text: &str) -> String {
    let quads = text.split('.').collect::<Vec<_>>();
    let numbers = quads
        .iter()
        .all(|q| !q.is_empty() && q.bytes().all(|b| b.is_ascii_digit()));
    match quads.iter().find(|quad| quad.parse::<u8>().is_err()) {
        Some(bad) if numbers && quads.len() == 4 => format!("Invalid quad in IP address {text} - {bad}"),
        _ => format!("Cannot determine IP version for {text}"),
    }
}

/// One element of an address list: an address, a network without host bits, or a range; gives its IP version.
fn element(text: &str) -> Result<u8, String> {
    if let Some((from, to)) = text.split_once('-') {
        let (from, to) = (from.trim(), to.trim());
        let first = from.parse::<IpAddr>().map_err(|_| no_address(from))?;
        let last = to.parse::<IpAddr>().map_err(|_| no_address(to))?;
        return match (version(first) == version(last), bits(first).0 <= bits(last).0) {
            (true, true) => Ok(version(first)),
            (true, false) => Err(format!("Begin address is greater than End address {from} - {to}")),
            (false, _) => Err(format!("IP versions of {from} and {to} differ")),
        };
    }
    let (address, prefix) = network(text).ok_or_else(|| no_address(text))?;
    if let Some(prefix) = prefix {
        let (value, width) = bits(address);
        if prefix > width {
            return Err(format!(
                "Prefix length {prefix} is longer than IP address ({width})"
            ));
        }
        if host_part(address, prefix) != 0 {
            let digits = format!("{value:b}");
            let places = usize::try_from(width).unwrap_or(128);
            return Err(format!("Invalid prefix {digits:0>places$}/{prefix}"));
        }
    }
    Ok(version(address))
}

/// Whether `text` is `NAME`, `dc/NAME` or `guest/NAME`; gives the scope (may be empty) and the name.
pub(crate) fn alias_reference(text: &str) -> Option<(&str, &str)> {
    let (scope, name) = match text.split_once('/') {
        Some((scope @ ("dc" | "guest"), name)) => (scope, name),
        Some(_) => return None,
        None => ("", text),
    };
    names::is_name(name).then_some((scope, name))
}

/// Checks a rule's source or destination: a set, an alias, a range, or a list of one IP version, which it gives.
pub(crate) fn address_list(text: &str) -> Result<Option<u8>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    if let Some(name) = text.strip_prefix('+')
        && !name.is_empty()
        && !name.contains(char::is_whitespace)
    {
        return if name.len() > LONGEST_NAME {
            Err("ipset name too long".to_owned())
        } else {
            Ok(None)
        };
    }
    if alias_reference(text).is_some() {
        return if text.len() > LONGEST_NAME {
            Err("alias name too long".to_owned())
        } else {
            Ok(None)
        };
    }
    extra_commas(text)?;
    let (mut seen, mut count, mut range) = (None, 0, false);
    for item in text.split(',') {
        count += 1;
        let found = element(item).map_err(|reason| format!("invalid IP address: {reason}"))?;
        range |= item.contains('-');
        if seen.is_some_and(|before| before != found) {
            return Err(format!(
                "detected mixed ipv4/ipv6 addresses in address list '{text}'"
            ));
        }
        seen = Some(found);
    }
    if range && count > 1 {
        return Err("you can't use a range in a list".to_owned());
    }
    Ok(seen)
}

/// Perl's `split` drops empty elements at the end only, which is how PVE finds commas too many.
fn extra_commas(text: &str) -> Checked {
    if text.ends_with(',') {
        return Err("extraneous commas in list".to_owned());
    }
    Ok(())
}

/// Checks a list of ports; `icmp` also takes names of ICMP types, as destination ports once did.
pub(crate) fn ports(text: &str, icmp: bool) -> Checked {
    if text.is_empty() {
        return Ok(());
    }
    extra_commas(text)?;
    let number = |digits: &str| {
        let fits = digits.parse::<u64>().is_ok_and(|port| port <= 65_535);
        if fits {
            Ok(())
        } else {
            Err(format!("invalid port '{digits}'"))
        }
    };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let (mut count, mut types) = (0, false);
    for item in text.split(',') {
        match item.split_once(':') {
            Some((first, last)) if digits(first) && digits(last) => {
                count += 2;
                number(first)?;
                number(last)?;
                if first.parse::<u64>().unwrap_or(0) > last.parse::<u64>().unwrap_or(0) {
                    return Err(format!(
                        "backwards range '{first}:{last}' not allowed, did you mean '{last}:{first}'?"
                    ));
                }
            }
            None if digits(item) => {
                count += 1;
                number(item)?;
            }
            _ if icmp && (names::is_icmp_type(item) || names::is_icmpv6_type(item)) => types = true,
            _ if names::is_service(item) => {}
            _ => return Err(format!("invalid port '{item}'")),
        }
    }
    if types && count > 0 {
        return Err("ICMP ports not allowed in port range".to_owned());
    }
    if count > 15 {
        return Err("too many entries in port list (> 15 numbers)".to_owned());
    }
    Ok(())
}

/// Checks an address or network, host bits allowed, as aliases and sets take it.
pub(crate) fn ip_or_cidr(text: &str) -> Checked {
    match network(text) {
        None => Err("value does not look like a valid IP address or CIDR network".to_owned()),
        Some((address, Some(prefix))) if prefix > bits(address).1 => Err(format!(
            "Prefix length {prefix} is longer than IP address ({})",
            bits(address).1
        )),
        Some(_) => Ok(()),
    }
}

/// The same, or the name of an alias.
pub(crate) fn ip_or_cidr_or_alias(text: &str) -> Checked {
    if alias_reference(text).is_some() {
        Ok(())
    } else {
        ip_or_cidr(text)
    }
}

/// A network as PVE stores it in a set: host bits cleared, `/32` and `/128` dropped.
pub(crate) fn cleaned(text: &str) -> String {
    let Some((address, Some(prefix))) = network(text) else {
        return text.to_owned();
    };
    let (value, width) = bits(address);
    let clean = value - host_part(address, prefix);
    let clean = match address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(u32::try_from(clean).unwrap_or(0))),
        IpAddr::V6(_) => IpAddr::V6(clean.into()),
    };
    if prefix == width {
        clean.to_string()
    } else {
        format!("{clean}/{prefix}")
    }
}

/// The IP version of an address or network.
pub(crate) fn version_of(text: &str) -> Option<u8> {
    network(text).map(|(address, _)| version(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        address_list(text).unwrap_err()
    }

    #[test]
    fn lists_are_of_one_version_and_without_ranges() {
        assert_eq!(address_list("192.0.2.1,198.51.100.0/24"), Ok(Some(4)));
        assert_eq!(address_list("2001:db8::1"), Ok(Some(6)));
        assert_eq!(address_list("192.0.2.1-192.0.2.9"), Ok(Some(4)));
        assert_eq!(
            refusal("192.0.2.1,2001:db8::1"),
            "detected mixed ipv4/ipv6 addresses in address list '192.0.2.1,2001:db8::1'"
        );
        assert_eq!(
            refusal("192.0.2.1-192.0.2.9,192.0.2.20"),
            "you can't use a range in a list"
        );
        assert_eq!(refusal("192.0.2.1,"), "extraneous commas in list");
        assert_eq!(
            refusal("192.0.2.256"),
            "invalid IP address: Invalid quad in IP address 192.0.2.256 - 256"
        );
        assert!(refusal("192.0.2.1/24").contains("Invalid prefix 11000000000000000000001000000001/24"));
        assert!(refusal("192.0.2.1, 192.0.2.2").contains("invalid IP address"));
    }

    #[test]
    fn names_pass_the_format_and_are_looked_up_later() {
        for text in ["+set", "+dc/set", "alias", "dc/alias", "guest/alias", ""] {
            assert_eq!(address_list(text), Ok(None), "{text}");
        }
        assert_eq!(refusal(&format!("+{}", "a".repeat(65))), "ipset name too long");
    }

    #[test]
    fn a_range_of_ports_counts_twice() {
        assert_eq!(ports("22,80:90,ssh", false), Ok(()));
        assert_eq!(ports("65536", false).unwrap_err(), "invalid port '65536'");
        assert_eq!(
            ports("90:80", false).unwrap_err(),
            "backwards range '90:80' not allowed, did you mean '80:90'?"
        );
        let eight = ["1:2"; 8].join(",");
        assert_eq!(
            ports(&eight, false).unwrap_err(),
            "too many entries in port list (> 15 numbers)"
        );
        assert_eq!(
            ports("echo-request", false).unwrap_err(),
            "invalid port 'echo-request'"
        );
        assert_eq!(ports("echo-request", true), Ok(()));
    }

    #[test]
    fn networks_lose_their_host_bits_and_single_addresses_their_prefix() {
        assert_eq!(cleaned("192.0.2.155/24"), "192.0.2.0/24");
        assert_eq!(cleaned("192.0.2.155/32"), "192.0.2.155");
        assert_eq!(cleaned("2001:db8::1/64"), "2001:db8::/64");
        assert_eq!(cleaned("2001:db8::1/128"), "2001:db8::1");
        assert_eq!(cleaned("0.0.0.0/0"), "0.0.0.0/0");
        assert!(ip_or_cidr("192.0.2.0/33").is_err() && ip_or_cidr("x").is_err());
    }
}
