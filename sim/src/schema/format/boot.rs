//! What a VM boots from, and in which order VMs start.

use super::{Checked, items};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_orders_name_devices() {
        assert!(boot("boot", "order=scsi0;ide2;net0").is_ok());
        assert!(boot("boot", "cdn").is_ok());
        assert!(boot("boot", "order=floppy0").is_err());
    }
}
