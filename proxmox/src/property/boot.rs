//! What a VM boots from.

use std::fmt;

use super::{DriveSlot, PropertyString};

/// The `boot` key: `order=scsi0;ide2;net0`, or the letters of older configs (`cdn`, `legacy=cdn`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BootOrder {
    properties: PropertyString,
}

impl BootOrder {
    /// Reads the value of the key.
    pub fn parse(text: &str) -> Self {
        Self {
            properties: PropertyString::from(text),
        }
    }

    /// An order of devices such as `scsi0` or `net0`.
    pub fn of(devices: &[&str]) -> Self {
        let devices: Vec<&str> = devices
            .iter()
            .filter(|device| is_device(device))
            .copied()
            .collect();
        Self::parse(&format!("order={}", devices.join(";")))
    }

    /// The devices in order, or `None` when the config has the older letters (or nothing).
    pub fn devices(&self) -> Option<Vec<&str>> {
        let order = self.properties.get("order")?;
        Some(
            order
                .split(';')
                .map(str::trim)
                .filter(|device| is_device(device))
                .collect(),
        )
    }

    /// The drives among the devices.
    pub fn drives(&self) -> Vec<DriveSlot> {
        self.devices()
            .unwrap_or_default()
            .iter()
            .filter_map(|device| device.parse().ok())
            .collect()
    }
}

fn is_device(device: &str) -> bool {
    !device.is_empty() && device.bytes().all(|b| b.is_ascii_alphanumeric())
}

impl fmt::Display for BootOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.properties.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_read_and_printed() {
        let boot = BootOrder::parse("order=ide2;scsi0;net0");
        assert_eq!(boot.devices().unwrap(), ["ide2", "scsi0", "net0"]);
        assert_eq!(
            boot.drives().iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["ide2", "scsi0"]
        );
        assert_eq!(boot.to_string(), "order=ide2;scsi0;net0");
        assert_eq!(
            BootOrder::of(&["scsi0", "a;b", "net0"]).to_string(),
            "order=scsi0;net0"
        );
    }

    #[test]
    fn letters_are_kept_and_name_no_device() {
        for text in ["cdn", "legacy=cdn", ""] {
            let boot = BootOrder::parse(text);
            assert_eq!((boot.devices(), boot.to_string().as_str()), (None, text));
        }
        assert_eq!(BootOrder::parse("order=").devices(), Some(Vec::new()));
    }
}
