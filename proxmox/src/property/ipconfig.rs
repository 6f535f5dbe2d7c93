//! The addresses that cloud-init gives a network card.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use super::{PropertyError, PropertyString};

/// How a card gets its IPv4 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ip4 {
    /// From a DHCP server.
    Dhcp,
    /// This one, with the length of its network's prefix.
    Static(Ipv4Net),
}

/// How a card gets its IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ip6 {
    /// From a DHCP server.
    Dhcp,
    /// By router advertisements.
    Auto,
    /// This one, with the length of its network's prefix.
    Static(Ipv6Net),
}

/// The addresses of a card: `gw=192.0.2.1,gw6=2001:db8::1,ip=192.0.2.10/24,ip6=2001:db8::10/64`.
///
/// Getters give `None` for what is not set and for what has not the form of an address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct IpConfig {
    properties: PropertyString,
}

impl IpConfig {
    /// Without any address yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the value of a key such as `ipconfig0`.
    pub fn parse(text: &str) -> Self {
        Self {
            properties: PropertyString::from(text),
        }
    }

    /// The IPv4 address.
    pub fn ip(&self) -> Option<Ip4> {
        match self.properties.get("ip")? {
            "dhcp" => Some(Ip4::Dhcp),
            address => address.parse().ok().map(Ip4::Static),
        }
    }

    /// The IPv4 gateway.
    pub fn gateway(&self) -> Option<Ipv4Addr> {
        self.properties.get("gw")?.parse().ok()
    }

    /// The IPv6 address.
    pub fn ip6(&self) -> Option<Ip6> {
        match self.properties.get("ip6")? {
            "dhcp" => Some(Ip6::Dhcp),
            "auto" => Some(Ip6::Auto),
            address => address.parse().ok().map(Ip6::Static),
        }
    }

    /// The IPv6 gateway.
    pub fn gateway6(&self) -> Option<Ipv6Addr> {
        self.properties.get("gw6")?.parse().ok()
    }

    /// Sets the IPv4 address and gateway, or takes them away. PVE wants a gateway only beside an address.
    ///
    /// # Errors
    /// None that the caller could cause.
    pub fn set_ip(&mut self, ip: Option<Ip4>, gateway: Option<Ipv4Addr>) -> Result<(), PropertyError> {
        let ip = ip.map(|ip| match ip {
            Ip4::Dhcp => "dhcp".to_owned(),
            Ip4::Static(net) => net.to_string(),
        });
        self.properties.put("ip", ip.as_deref())?;
        self.properties
            .put("gw", gateway.map(|gateway| gateway.to_string()).as_deref())
    }

    /// Sets the IPv6 address and gateway, or takes them away.
    ///
    /// # Errors
    /// None that the caller could cause.
    pub fn set_ip6(&mut self, ip: Option<Ip6>, gateway: Option<Ipv6Addr>) -> Result<(), PropertyError> {
        let ip = ip.map(|ip| match ip {
            Ip6::Dhcp => "dhcp".to_owned(),
            Ip6::Auto => "auto".to_owned(),
            Ip6::Static(net) => net.to_string(),
        });
        self.properties.put("ip6", ip.as_deref())?;
        self.properties
            .put("gw6", gateway.map(|gateway| gateway.to_string()).as_deref())
    }

    /// All options.
    pub fn properties(&self) -> &PropertyString {
        &self.properties
    }
}

impl fmt::Display for IpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.properties.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_gateways_of_both_families_are_read() {
        let text = "gw=192.0.2.1,gw6=2001:db8::1,ip=192.0.2.10/24,ip6=2001:db8::10/64";
        let config = IpConfig::parse(text);
        assert_eq!(config.ip(), Some(Ip4::Static("192.0.2.10/24".parse().unwrap())));
        assert_eq!(config.gateway(), Some(Ipv4Addr::new(192, 0, 2, 1)));
        assert_eq!(
            config.ip6(),
            Some(Ip6::Static("2001:db8::10/64".parse().unwrap()))
        );
        assert_eq!(config.gateway6().unwrap().to_string(), "2001:db8::1");
        assert_eq!(config.to_string(), text);
    }

    #[test]
    fn automatic_addresses_are_told_apart_and_garbage_is_none() {
        let config = IpConfig::parse("ip=dhcp,ip6=auto");
        assert_eq!(
            (config.ip(), config.ip6(), config.gateway()),
            (Some(Ip4::Dhcp), Some(Ip6::Auto), None)
        );
        let config = IpConfig::parse("ip=999.1.1.1/24,gw=x,ip6=zz");
        assert_eq!((config.ip(), config.gateway(), config.ip6()), (None, None, None));
    }

    #[test]
    fn the_first_addresses_of_a_card_have_no_stray_comma() {
        for mut config in [IpConfig::new(), IpConfig::parse("")] {
            config
                .set_ip(
                    Some(Ip4::Static("192.0.2.10/24".parse().unwrap())),
                    Some(Ipv4Addr::new(192, 0, 2, 1)),
                )
                .unwrap();
            assert_eq!(config.to_string(), "gw=192.0.2.1,ip=192.0.2.10/24");
        }
    }

    #[test]
    fn setting_one_family_keeps_the_other() {
        let mut config = IpConfig::parse("ip6=auto");
        config
            .set_ip(
                Some(Ip4::Static("192.0.2.10/24".parse().unwrap())),
                Some(Ipv4Addr::new(192, 0, 2, 1)),
            )
            .unwrap();
        assert_eq!(config.to_string(), "gw=192.0.2.1,ip=192.0.2.10/24,ip6=auto");
        config.set_ip(None, None).unwrap();
        assert_eq!(config.to_string(), "ip6=auto");
    }
}
