//! The places of a VM where disks go.

use std::fmt;
use std::str::FromStr;

use super::PropertyError;
use crate::foreign;

/// The kind of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bus {
    /// `ide0` to `ide3`.
    Ide,
    /// `scsi0` to `scsi30`.
    Scsi,
    /// `virtio0` to `virtio15`.
    Virtio,
    /// `sata0` to `sata5`.
    Sata,
    /// `efidisk0`.
    Efidisk,
    /// `tpmstate0`.
    Tpmstate,
    /// `unused0` to `unused255`: volumes that belong to the VM and are not attached.
    Unused,
}

impl Bus {
    const ALL: [Self; 7] = [
        Self::Ide,
        Self::Scsi,
        Self::Virtio,
        Self::Sata,
        Self::Efidisk,
        Self::Tpmstate,
        Self::Unused,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Ide => "ide",
            Self::Scsi => "scsi",
            Self::Virtio => "virtio",
            Self::Sata => "sata",
            Self::Efidisk => "efidisk",
            Self::Tpmstate => "tpmstate",
            Self::Unused => "unused",
        }
    }

    fn last(self) -> u8 {
        match self {
            Self::Ide => 3,
            Self::Scsi => 30,
            Self::Virtio => 15,
            Self::Sata => 5,
            Self::Efidisk | Self::Tpmstate => 0,
            Self::Unused => 255,
        }
    }
}

/// A place for a disk, such as `scsi0`. They sort as PVE goes through them to find the first disk: IDE, SCSI,
/// VirtIO, SATA, then the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DriveSlot {
    bus: Bus,
    index: u8,
}

impl DriveSlot {
    /// Checks that there is such a place.
    ///
    /// # Errors
    /// When the number is too high for the bus.
    pub fn new(bus: Bus, index: u8) -> Result<Self, PropertyError> {
        if index <= bus.last() {
            Ok(Self { bus, index })
        } else {
            Err(PropertyError::Key(format!("{}{index}", bus.as_str())))
        }
    }

    /// The kind of the place.
    pub fn bus(self) -> Bus {
        self.bus
    }

    /// Its number.
    pub fn index(self) -> u8 {
        self.index
    }

    /// Whether the guest sees what is here as a disk or drive (not firmware state, not a detached volume).
    pub fn is_drive(self) -> bool {
        matches!(self.bus, Bus::Ide | Bus::Scsi | Bus::Virtio | Bus::Sata)
    }
}

impl fmt::Display for DriveSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.bus.as_str(), self.index)
    }
}

impl FromStr for DriveSlot {
    type Err = PropertyError;

    fn from_str(text: &str) -> Result<Self, PropertyError> {
        let wrong = || PropertyError::Key(foreign::word(text));
        let (bus, number) = Bus::ALL
            .into_iter()
            .find_map(|bus| Some((bus, text.strip_prefix(bus.as_str())?)))
            .ok_or_else(wrong)?;
        let index: u8 = number.parse().map_err(|_| wrong())?;
        // `scsi00` and `scsi+1` are no keys.
        if index.to_string() != number {
            return Err(wrong());
        }
        Self::new(bus, index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_printed() {
        for text in [
            "ide0",
            "ide3",
            "scsi30",
            "virtio15",
            "sata5",
            "efidisk0",
            "tpmstate0",
            "unused255",
        ] {
            assert_eq!(text.parse::<DriveSlot>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn places_that_do_not_exist_are_refused() {
        for text in [
            "",
            "ide",
            "ide4",
            "scsi31",
            "scsi00",
            "scsi+1",
            "scsihw",
            "sata6",
            "efidisk1",
            "unused256",
            "net0",
        ] {
            assert!(text.parse::<DriveSlot>().is_err(), "{text}");
        }
    }
}
