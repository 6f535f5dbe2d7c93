//! The display of a VM.

use std::fmt;

use super::PropertyString;

/// The `vga` key: `std`, `virtio,memory=64`, `serial0`, …
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Vga {
    properties: PropertyString,
}

impl Vga {
    /// Reads the value of the key.
    pub fn parse(text: &str) -> Self {
        Self {
            properties: PropertyString::from(text),
        }
    }

    /// The kind, such as `std`.
    pub fn kind(&self) -> Option<&str> {
        self.properties.get_or_default("type")
    }

    /// Whether there is no display to show: `none`.
    pub fn is_none(&self) -> bool {
        self.kind() == Some("none")
    }

    /// Whether the console is a serial port.
    pub fn is_serial(&self) -> bool {
        self.kind().is_some_and(|kind| kind.starts_with("serial"))
    }

    /// All options.
    pub fn properties(&self) -> &PropertyString {
        &self.properties
    }
}

impl fmt::Display for Vga {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.properties.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_is_read_with_and_without_its_key() {
        assert_eq!(Vga::parse("virtio,memory=64").kind(), Some("virtio"));
        assert!(Vga::parse("type=serial0").is_serial());
        assert!(Vga::parse("none").is_none());
        assert_eq!(Vga::parse("memory=64").kind(), None);
    }
}
