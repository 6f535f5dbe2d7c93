//! What VMs, nodes, storages, pools, volumes and tags are called.

use super::Checked;

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

/// A node's name.
pub(crate) fn node(_: &str, text: &str) -> Checked {
    if is_label(text) {
        Ok(())
    } else {
        Err("value does not look like a valid node name".to_owned())
    }
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
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
    if text.len() < 2 {
        return Err(format!("storage ID '{text}' cannot be shorter than 2 characters"));
    }
    let good = text.starts_with(|c: char| c.is_ascii_alphabetic())
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

/// What a drive holds: a volume, a path, `none`, or `cdrom` for the host's own drive.
pub(crate) fn volume(name: &str, text: &str) -> Checked {
    if text == "none" || text == "cdrom" || text.starts_with('/') {
        return Ok(());
    }
    volume_id(name, text)
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
