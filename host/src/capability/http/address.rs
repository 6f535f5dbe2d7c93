//! Which addresses may be connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whose an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// On the public Internet.
    Public,
    /// In a network of the provider, or on this machine.
    Private,
    /// No service that a host name could stand for: link-local, where clouds have their metadata, and what is no address
    /// of one machine. Only an origin that is that address itself gets there.
    Never,
}

/// Whose `address` is. IPv6 forms of IPv4 addresses are judged as those.
pub(super) fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(v4) => reach_v4(v4),
        IpAddr::V6(v6) => embedded(v6).map_or_else(|| reach_v6(v6), reach_v4),
    }
}

/// The IPv4 address in a mapped one, in NAT64 (RFC 6052) and in 6to4 (RFC 3056).
fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    v6.to_ipv4_mapped().or_else(|| match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            Some(Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    })
}

/// Metadata services of clouds that are not link-local: of Amazon by IPv6, of Alibaba, of Oracle.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
const METADATA_V4: [Ipv4Addr; 2] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192)];

fn reach_v6(address: Ipv6Addr) -> Reach {
    let [first, second, ..] = address.segments();
    if address == METADATA_V6 {
        return Reach::Never;
    }
    if address.is_loopback() || first & 0xfe00 == 0xfc00 {
        return Reach::Private;
    }
    // Only 2000::/3 is in use as global unicast. Of it, 2001::/23 is for protocols (Teredo among them), and 2001:db8::/32
    // and 3fff::/20 are for documentation.
    let special =
        (first == 0x2001 && (second == 0xdb8 || second < 0x200)) || (first == 0x3fff && second < 0x1000);
    if first & 0xe000 == 0x2000 && !special {
        Reach::Public
    } else {
        Reach::Never
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    let [a, b, c, _] = address.octets();
    if METADATA_V4.contains(&address) {
        return Reach::Never;
    }
    // Besides the private networks: shared addresses of access providers (RFC 6598) and those for benchmarks (RFC 2544).
    let private = address.is_private()
        || address.is_loopback()
        || (a == 100 && (64..128).contains(&b))
        || (a == 198 && (b == 18 || b == 19));
    let never = address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99);
    if private {
        Reach::Private
    } else if never {
        Reach::Never
    } else {
        Reach::Public
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_public_private_or_nobodys() {
        let cases = [
            (
                Reach::Public,
                &[
                    "1.1.1.1",
                    "93.184.215.14",
                    "100.63.255.255",
                    "172.32.0.1",
                    "2606:4700::1111",
                    "2001:4860:4860::8888",
                    "::ffff:1.1.1.1",
                    "64:ff9b::1.1.1.1",
                ][..],
            ),
            (
                Reach::Private,
                &[
                    "127.0.0.1",
                    "127.255.255.254",
                    "10.1.2.3",
                    "172.16.0.1",
                    "192.168.1.1",
                    "100.64.0.1",
                    "198.18.0.1",
                    "::1",
                    "fc00::1",
                    "fd12:3456::1",
                    "::ffff:127.0.0.1",
                    "::ffff:10.0.0.1",
                    "64:ff9b::7f00:1",
                    "2002:7f00:1::",
                ],
            ),
            (
                Reach::Never,
                &[
                    "169.254.169.254",
                    "169.254.0.1",
                    "100.100.100.200",
                    "192.0.0.192",
                    "fd00:ec2::254",
                    "fe80::1",
                    "::ffff:169.254.169.254",
                    "64:ff9b::a9fe:a9fe",
                    "0.0.0.0",
                    "0.1.2.3",
                    "224.0.0.1",
                    "240.0.0.1",
                    "255.255.255.255",
                    "192.0.2.1",
                    "::",
                    "::127.0.0.1",
                    "ff02::1",
                    "2001:db8::1",
                    "2001::1",
                    "3fff::1",
                    "64:ff9b:1::1",
                    "5f00::1",
                ],
            ),
        ];
        for (expected, addresses) in cases {
            for address in addresses {
                assert_eq!(reach(address.parse().unwrap()), expected, "{address}");
            }
        }
    }
}
