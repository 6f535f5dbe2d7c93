//! What cloud-init reads in the guest: user, network and meta data, as PVE makes them of a configuration.

use std::fmt::Write as _;

use sha1::{Digest as _, Sha1};

use super::network::Network;
use super::{Section, cloudinit, sshkeys};

/// `user-data`. A password that the reader may not see is masked.
pub(crate) fn user(config: &Section, vmid: u32, with_password: bool) -> String {
    let get = |key: &str| config.get(key).map(String::as_str);
    let name = get("name").map_or_else(|| format!("VM{vmid}"), str::to_owned);
    let host = name.split('.').next().unwrap_or_default();
    let fqdn = match get("searchdomain") {
        _ if name.contains('.') => name.clone(),
        Some(domain) => format!("{name}.{domain}"),
        None => name.clone(),
    };
    let mut out = format!("#cloud-config\nhostname: {host}\nmanage_etc_hosts: true\nfqdn: {fqdn}\n");
    if let Some(user) = get("ciuser") {
        let _ = writeln!(out, "user: {user}");
    }
    if let Some(hash) = get("cipassword") {
        let shown = if with_password { hash } else { "**********" };
        let _ = writeln!(out, "password: {shown}");
    }
    if let Some(keys) = get("sshkeys") {
        out.push_str("ssh_authorized_keys:\n");
        for key in sshkeys::decode(keys)
            .lines()
            .filter(|line| !line.trim().is_empty())
        {
            let _ = writeln!(out, "  - {}", key.trim());
        }
    }
    out.push_str("chpasswd:\n  expire: False\n");
    if get("ciuser") != Some("root") {
        out.push_str("users:\n  - default\n");
    }
    if get("ciupgrade") != Some("0") {
        out.push_str("package_upgrade: true\n");
    }
    out
}

/// `network-config`, version 1.
pub(crate) fn network(config: &Section) -> String {
    let mut out = "version: 1\nconfig:\n".to_owned();
    let devices = (0..32).filter_map(|index| {
        let key = format!("net{index}");
        Some((index, Network::parse(&key, config.get(&key)?).ok()?))
    });
    for (index, device) in devices {
        let mac = device.mac().unwrap_or_default().to_ascii_lowercase();
        let _ = writeln!(
            out,
            "    - type: physical\n      name: eth{index}\n      mac_address: '{mac}'\n      subnets:"
        );
        let text = config.get(&format!("ipconfig{index}")).map_or("", String::as_str);
        let parts = cloudinit::ipconfig_parts(text);
        for (address, gateway, family) in [("ip", "gw", ""), ("ip6", "gw6", "6")] {
            match parts.get(address).map(String::as_str) {
                None => {}
                Some("dhcp") => {
                    let _ = writeln!(out, "      - type: dhcp{}", if family == "6" { "6" } else { "4" });
                }
                Some("auto") => out.push_str("      - type: ipv6_slaac\n"),
                Some(fixed) => {
                    let _ = writeln!(out, "      - type: static{family}\n        address: '{fixed}'");
                    if let Some(gateway) = parts.get(gateway) {
                        let _ = writeln!(out, "        gateway: '{gateway}'");
                    }
                }
            }
        }
    }
    if config.contains_key("nameserver") || config.contains_key("searchdomain") {
        out.push_str("    - type: nameserver\n");
        for (title, key) in [("address", "nameserver"), ("search", "searchdomain")] {
            if let Some(text) = config.get(key) {
                let _ = writeln!(out, "      {title}:");
                for item in crate::schema::format::items(text) {
                    let _ = writeln!(out, "      - '{item}'");
                }
            }
        }
    }
    out
}

/// `meta-data`: the instance's id is a digest of the others, so that a change makes cloud-init run again.
pub(crate) fn meta(config: &Section, vmid: u32) -> String {
    let digest = Sha1::digest(format!("{}{}", user(config, vmid, true), network(config)));
    format!("instance-id: {}\n", hex::encode(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Section {
        [
            ("name", "web1"),
            ("searchdomain", "example.net"),
            ("nameserver", "192.0.2.53 2001:db8::53"),
            ("ciuser", "debian"),
            ("cipassword", "$5$x$y"),
            ("sshkeys", "ssh-ed25519%20AAAA%20me"),
            ("net0", "virtio=BC:24:11:AA:BB:CC,bridge=vmbr0"),
            ("ipconfig0", "ip=192.0.2.10/24,gw=192.0.2.1,ip6=auto"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
    }

    #[test]
    fn user_data_has_name_user_keys_and_a_password_only_for_who_may_see_it() {
        let text = user(&config(), 100, true);
        assert!(
            text.contains("fqdn: web1.example.net\nuser: debian\npassword: $5$x$y\n"),
            "{text}"
        );
        assert!(text.contains("  - ssh-ed25519 AAAA me\n"), "{text}");
        assert!(!user(&config(), 100, false).contains("$5$"));
    }

    #[test]
    fn network_data_has_addresses_and_name_servers() {
        let text = network(&config());
        for part in [
            "mac_address: 'bc:24:11:aa:bb:cc'",
            "address: '192.0.2.10/24'\n        gateway: '192.0.2.1'",
            "type: ipv6_slaac",
            "- '2001:db8::53'",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn another_password_makes_another_instance() {
        let mut other = config();
        other.insert("cipassword".to_owned(), "$5$x$z".to_owned());
        assert_ne!(meta(&config(), 100), meta(&other, 100));
    }
}
