//! Smaller property strings: `ipconfigN`, `agent`, `memory`.

use crate::schema::property_string::Layout;
use crate::schema::{Property, format};

const IPCONFIG: Layout = Layout {
    default_key: None,
    parts: &[
        Property::text("gw").optional().format(format::ipv4),
        Property::text("gw6").optional().format(format::ipv6),
        Property::text("ip").optional().format(format::ipv4_config),
        Property::text("ip6").optional().format(format::ipv6_config),
    ],
    aliases: &[],
};

const AGENT: Layout = Layout {
    default_key: Some("enabled"),
    parts: &[
        Property::boolean("enabled"),
        Property::boolean("freeze-fs").optional(),
        Property::boolean("fstrim_cloned_disks").optional(),
        Property::text("type").optional().one_of(&["virtio", "isa"]),
    ],
    aliases: &[
        ("freeze-fs-on-backup", "freeze-fs"),
        ("guest-fsfreeze", "freeze-fs"),
    ],
};

const MEMORY: Layout = Layout {
    default_key: Some("current"),
    parts: &[Property::integer("current").at_least(16)],
    aliases: &[],
};

/// Format check of `ipconfigN`.
pub(crate) fn ipconfig(name: &str, text: &str) -> Result<(), String> {
    let parts = IPCONFIG.parse(name, text)?;
    for (gateway, address) in [("gw", "ip"), ("gw6", "ip6")] {
        if parts.contains_key(gateway) && !parts.contains_key(address) {
            return Err(format!(
                "format error\n{name}.{address}: missing property required by '{gateway}'"
            ));
        }
    }
    Ok(())
}

/// Format check of `agent`.
pub(crate) fn agent(name: &str, text: &str) -> Result<(), String> {
    AGENT.parse(name, text).map(drop)
}

/// Whether an `agent` text switches the agent on.
pub(crate) fn agent_enabled(text: &str) -> bool {
    AGENT
        .parse("agent", text)
        .is_ok_and(|parts| parts.get("enabled").map(String::as_str) == Some("1"))
}

/// Format check of `memory`.
pub(crate) fn memory(name: &str, text: &str) -> Result<(), String> {
    MEMORY.parse(name, text).map(drop)
}

/// The MiB of a VM that says nothing of its memory.
pub(crate) const DEFAULT_MEMORY: u64 = 512;

/// The MiB of a `memory` text.
pub(crate) fn memory_mib(text: &str) -> u64 {
    let parts = MEMORY.parse("memory", text).unwrap_or_default();
    parts
        .get("current")
        .and_then(|mib| mib.parse().ok())
        .unwrap_or(DEFAULT_MEMORY)
}

/// The parts of an `ipconfigN` text.
pub(crate) fn ipconfig_parts(text: &str) -> crate::schema::property_string::Parts {
    IPCONFIG.parse("ipconfig", text).unwrap_or_default()
}

/// The address without its prefix of an `ipconfigN` part (`ip` or `ip6`).
pub(crate) fn address_of(text: &str, part: &str) -> Option<(String, u8)> {
    let parts = IPCONFIG.parse("ipconfig", text).ok()?;
    let (address, prefix) = parts.get(part)?.split_once('/')?;
    Some((address.to_owned(), prefix.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_needs_its_address() {
        assert!(ipconfig("ipconfig0", "ip=192.0.2.10/24,gw=192.0.2.1").is_ok());
        assert_eq!(
            ipconfig("ipconfig0", "gw=192.0.2.1").unwrap_err(),
            "format error\nipconfig0.ip: missing property required by 'gw'"
        );
    }

    #[test]
    fn an_agent_is_on_by_a_bare_digit_or_by_name() {
        assert!(agent_enabled("1") && agent_enabled("enabled=1,fstrim_cloned_disks=1"));
        assert!(!agent_enabled("0"));
    }
}
