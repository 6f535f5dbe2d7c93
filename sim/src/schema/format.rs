//! Text formats: each checks one value and says what is wrong in PVE's words.
//!
//! The first argument is the parameter's name, which only formats with nested parts use.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

type Checked = Result<(), String>;

/// The elements of a list text: split on comma, semicolon, white space or NUL.
pub(crate) fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c == ';' || c == '\0' || c.is_whitespace())
        .filter(|item| !item.is_empty())
}

/// `[a-z][a-z0-9_-]+` without regard to case: names of snapshots and configuration keys.
pub(crate) fn config_id(_: &str, text: &str) -> Checked {
    let mut bytes = text.bytes();
    let good = text.len() >= 2
        && bytes.next().is_some_and(|b| b.is_ascii_alphabetic())
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if good {
        Ok(())
    } else {
        Err(format!("invalid configuration ID '{text}'"))
    }
}

/// 100 to 999999999.
pub(crate) fn vmid(_: &str, text: &str) -> Checked {
    let good =
        (3..=9).contains(&text.len()) && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    if good {
        Ok(())
    } else {
        Err("value does not look like a valid VM ID".to_owned())
    }
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// A node's name.
pub(crate) fn node(_: &str, text: &str) -> Checked {
    if is_label(text) {
        Ok(())
    } else {
        Err("value does not look like a valid node name".to_owned())
    }
}

/// Dot-separated labels.
pub(crate) fn dns_name(_: &str, text: &str) -> Checked {
    if text.split('.').all(is_label) {
        Ok(())
    } else {
        Err("value does not look like a valid DNS name".to_owned())
    }
}

/// A storage's name.
pub(crate) fn storage_id(_: &str, text: &str) -> Checked {
    let good = text.len() >= 2
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if good {
        Ok(())
    } else {
        Err(format!("storage ID '{text}' contains illegal characters"))
    }
}

/// A pool's name: up to three names of pools within each other.
pub(crate) fn pool_id(_: &str, text: &str) -> Checked {
    if text.trim_end_matches('/').split('/').count() > 3 {
        return Err(format!("pool name '{text}' nested too deeply (max levels = 3)"));
    }
    if text.split('/').all(crate::world::access::names::is_plain) {
        Ok(())
    } else {
        Err(format!("pool name '{text}' contains invalid characters"))
    }
}

/// `STORAGE:VOLUME`.
pub(crate) fn volume_id(name: &str, text: &str) -> Checked {
    match text.split_once(':') {
        Some((storage, volume)) if storage_id(name, storage).is_ok() && !volume.is_empty() => Ok(()),
        _ => Err(format!("unable to parse volume ID '{text}'")),
    }
}

/// An address or a DNS name.
pub(crate) fn address(name: &str, text: &str) -> Checked {
    if text.parse::<IpAddr>().is_ok() || dns_name(name, text).is_ok() {
        Ok(())
    } else {
        Err(format!("value does not look like a valid address: {text}"))
    }
}

/// An e-mail address, or nothing.
pub(crate) fn email_or_nothing(_: &str, text: &str) -> Checked {
    let words = |part: &str, also: &str| {
        part.split('.').all(|word| {
            !word.is_empty()
                && word
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || also.contains(c))
        })
    };
    let good = text
        .split_once('@')
        .is_some_and(|(name, host)| words(name, "_+-~") && words(host, "-"));
    if text.is_empty() || good {
        Ok(())
    } else {
        Err("value does not look like a valid email address".to_owned())
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

/// One tag.
pub(crate) fn tag(_: &str, text: &str) -> Checked {
    let good = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'+'));
    if good {
        Ok(())
    } else {
        Err("invalid characters in tag".to_owned())
    }
}

/// `32G`, `528K`, `1.5T`, `4GiB`.
pub(crate) fn disk_size(_: &str, text: &str) -> Checked {
    if size_in_bytes(text).is_some() {
        Ok(())
    } else {
        Err(format!("value does not look like a valid disk size: {text}"))
    }
}

/// The bytes that a disk size text means.
pub(crate) fn size_in_bytes(text: &str) -> Option<u64> {
    let text = text.strip_suffix("iB").unwrap_or(text);
    let (digits, factor) = match text.as_bytes().last()? {
        b'K' => (text.strip_suffix('K')?, 1 << 10),
        b'M' => (text.strip_suffix('M')?, 1 << 20),
        b'G' => (text.strip_suffix('G')?, 1 << 30),
        b'T' => (text.strip_suffix('T')?, 1_u64 << 40),
        _ => (text, 1),
    };
    let plain = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') && !digits.starts_with('.');
    let number = digits.parse::<f64>().ok().filter(|n| plain && n.is_finite())?;
    Some(crate::units::whole(number * crate::units::float(factor)))
}

/// What a disk is resized to: `32G`, or by how much it grows: `+5G`.
pub(crate) fn is_new_size(text: &str) -> bool {
    let bare = text.strip_prefix('+').unwrap_or(text);
    let digits = bare.strip_suffix(['K', 'M', 'G', 'T']).unwrap_or(bare);
    let (whole, rest) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    all_digits(whole) && all_digits(rest)
}

/// Percent-encoded text without characters that would need encoding.
pub(crate) fn urlencoded(_: &str, text: &str) -> Checked {
    let good = text.bytes().all(|b| {
        b.is_ascii_alphanumeric()
            || matches!(
                b,
                b'-' | b'%' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')'
            )
    });
    if good {
        Ok(())
    } else {
        Err(format!("invalid urlencoded string: {text}"))
    }
}

/// Parts of the `hotplug` list.
pub(crate) fn hotplug(_: &str, text: &str) -> Checked {
    let known = ["network", "disk", "cpu", "memory", "usb", "cloudinit"];
    if text == "1" || text == "0" || items(text).all(|item| known.contains(&item)) {
        Ok(())
    } else {
        Err(format!("unable to parse hotplug option '{text}'"))
    }
}

/// `order=scsi0;ide2`, or the old letters.
pub(crate) fn boot(name: &str, text: &str) -> Checked {
    for part in text.split(',').filter(|part| !part.trim().is_empty()) {
        match part.split_once('=') {
            Some(("order", devices)) => {
                for device in items(devices) {
                    boot_device(name, device)?;
                }
            }
            Some(("legacy", letters)) => legacy_boot(name, letters)?,
            None => legacy_boot(name, part)?,
            Some((other, _)) => {
                return Err(format!("invalid key in comma-separated list property: {other}"));
            }
        }
    }
    Ok(())
}

fn legacy_boot(name: &str, letters: &str) -> Checked {
    let good = (1..=4).contains(&letters.len()) && letters.bytes().all(|b| b"acdn".contains(&b));
    if good {
        Ok(())
    } else {
        Err(format!(
            "format error\n{name}.legacy: value does not match the regex pattern"
        ))
    }
}

fn boot_device(_: &str, device: &str) -> Checked {
    let digits = device.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let family = device.strip_suffix(digits).unwrap_or_default();
    let good = ["ide", "sata", "scsi", "virtio", "net", "usb", "hostpci"].contains(&family)
        && !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit());
    if good {
        Ok(())
    } else {
        Err(format!("invalid boot device '{device}'"))
    }
}

/// `ide0`, `scsi1`…
pub(crate) fn boot_disk(_: &str, text: &str) -> Checked {
    let digits = text.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let family = text.strip_suffix(digits).unwrap_or_default();
    let good = ["ide", "sata", "scsi", "virtio"].contains(&family) && digits.parse::<u8>().is_ok();
    if good {
        Ok(())
    } else {
        Err(format!("invalid boot disk '{text}'"))
    }
}

/// `order=1,up=30,down=60`.
pub(crate) fn startup_order(_: &str, text: &str) -> Checked {
    let good = text.split(',').all(|part| match part.split_once('=') {
        None => part.bytes().all(|b| b.is_ascii_digit()) && !part.is_empty(),
        Some((key, number)) => {
            ["order", "up", "down"].contains(&key)
                && !number.is_empty()
                && number.bytes().all(|b| b.is_ascii_digit())
        }
    });
    if good {
        Ok(())
    } else {
        Err("unable to parse startup options".to_owned())
    }
}

/// The kinds of content that storages hold.
pub(crate) fn storage_content(_: &str, text: &str) -> Checked {
    let known = [
        "images", "rootdir", "vztmpl", "iso", "backup", "snippets", "import", "none",
    ];
    if known.contains(&text) {
        Ok(())
    } else {
        Err(format!("invalid content type '{text}'"))
    }
}

/// The template of a backup's notes: one line, `\n` and `\\`, and the variables that [`fill_notes`] knows.
pub(crate) fn notes_template(_: &str, text: &str) -> Checked {
    if text.contains('\n') {
        return Err("contains a line feed\n".to_owned());
    }
    let mut problems = Vec::new();
    let mut rest = text.char_indices();
    while let Some((at, c)) = rest.next() {
        if c == '\\'
            && let Some((_, escaped)) = rest.next()
            && escaped != 'n'
            && escaped != '\\'
        {
            problems.push(format!("escape sequence '\\{escaped}' at char {at}"));
        }
    }
    for (at, _) in text.match_indices("{{") {
        let name = text
            .get(at + 2..)
            .and_then(|rest| rest.split_once("}}"))
            .map(|(name, _)| name);
        let is_name =
            |name: &&str| !name.is_empty() && !name.contains(|c: char| "{}".contains(c) || c.is_whitespace());
        if let Some(name) = name.filter(is_name)
            && !["cluster", "guestname", "node", "vmid"].contains(&name)
        {
            problems.push(format!("variable '{name}' at char {}", at + 2));
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(format!("found unknown: {}\n", problems.join(", ")))
    }
}

/// Notes made of their template and the values of its variables.
pub(crate) fn fill_notes(template: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut rest = template.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next() {
                Some('n') => out.push('\n'),
                Some(other) => out.push(other),
                None => out.push(c),
            },
            other => out.push(other),
        }
    }
    values.iter().fold(out, |text, (name, value)| {
        text.replace(&format!("{{{{{name}}}}}"), value)
    })
}

/// States of finished tasks, as filters.
pub(crate) fn task_status(_: &str, text: &str) -> Checked {
    let known = ["unknown", "ok", "warning", "error"];
    if known.contains(&text) {
        Ok(())
    } else {
        Err(format!("invalid status '{text}'"))
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

    #[test]
    fn a_template_of_notes_names_what_it_does_not_know() {
        assert!(notes_template("", "{{guestname}} on {{node}}\\nsecond \\\\ line").is_ok());
        assert!(notes_template("", "{{ spaced }} {{}}").is_ok());
        let refused = notes_template("", "\\x {{host}}").unwrap_err();
        assert_eq!(
            refused,
            "found unknown: escape sequence '\\x' at char 0, variable 'host' at char 5\n"
        );
        assert!(notes_template("", "two\nlines").is_err());
    }

    #[test]
    fn notes_are_filled_with_values_and_line_breaks() {
        let values = [("guestname", "web"), ("vmid", "100")];
        let notes = fill_notes("{{guestname}} ({{vmid}})\\n{{other}}", &values);
        assert_eq!(notes, "web (100)\n{{other}}");
    }

    #[test]
    fn sizes_are_read_with_and_without_units() {
        assert_eq!(size_in_bytes("32G"), Some(32 << 30));
        assert_eq!(size_in_bytes("528K"), Some(528 << 10));
        assert_eq!(size_in_bytes("1.5T"), Some(3 << 39));
        assert_eq!(size_in_bytes("100"), Some(100));
        assert_eq!(size_in_bytes("G"), None);
        assert_eq!(size_in_bytes("x1G"), None);
    }

    #[test]
    fn raw_blanks_and_plus_signs_are_not_urlencoded() {
        assert!(urlencoded("", "ssh-ed25519%20AAAA").is_ok());
        assert!(urlencoded("", "ssh-ed25519 AAAA").is_err());
        assert!(urlencoded("", "a+b").is_err());
    }

    #[test]
    fn boot_orders_name_devices() {
        assert!(boot("boot", "order=scsi0;ide2;net0").is_ok());
        assert!(boot("boot", "cdn").is_ok());
        assert!(boot("boot", "order=floppy0").is_err());
    }
}
