//! Text formats: each checks one value and says what is wrong in PVE's words.
//!
//! The first argument is the parameter's name, which only formats with nested parts use.

mod boot;
mod mail;
mod names;
mod network;
mod notes;
mod size;

pub(crate) use boot::{boot, boot_disk, startup_order};
pub(crate) use mail::{email_or_nothing, mail_or_user};
pub(crate) use names::{config_id, dns_name, node, pool_id, storage_id, tag, vmid, volume, volume_id};
pub(crate) use network::{address, bridge, cidr, ipv4, ipv4_config, ipv6, ipv6_config, mac};
pub(crate) use notes::{fill_notes, notes_template};
pub(crate) use size::{disk_size, is_new_size, size_in_bytes};

type Checked = Result<(), String>;

/// The elements of a list text: split on comma, semicolon, white space or NUL.
pub(crate) fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c == ';' || c == '\0' || c.is_whitespace())
        .filter(|item| !item.is_empty())
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
        Err(format!("invalid hotplug feature '{text}'"))
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
    fn raw_blanks_and_plus_signs_are_not_urlencoded() {
        assert!(urlencoded("", "ssh-ed25519%20AAAA").is_ok());
        assert!(urlencoded("", "ssh-ed25519 AAAA").is_err());
        assert!(urlencoded("", "a+b").is_err());
    }
}
