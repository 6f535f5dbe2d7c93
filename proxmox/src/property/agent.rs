//! Whether a VM has the guest agent.

use std::fmt;

use super::{PropertyError, PropertyString};
use crate::lenient;

/// The `agent` key: `1` or `enabled=1,fstrim_cloned_disks=1,type=virtio`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Agent {
    properties: PropertyString,
}

impl Agent {
    /// Reads the value of the key.
    pub fn parse(text: &str) -> Self {
        Self {
            properties: PropertyString::from(text),
        }
    }

    /// Whether it is enabled. That it runs in the guest is another matter.
    pub fn enabled(&self) -> bool {
        self.properties
            .get_or_default("enabled")
            .and_then(lenient::parse_bool)
            .unwrap_or(false)
    }

    /// Enables or disables it and keeps the other options.
    ///
    /// # Errors
    /// None that the caller could cause.
    pub fn set_enabled(&mut self, on: bool) -> Result<(), PropertyError> {
        let value = if on { "1" } else { "0" };
        match self.properties.get("enabled") {
            Some(_) => self.properties.set("enabled", value),
            None => self.properties.set_default(value),
        }
    }

    /// All options.
    pub fn properties(&self) -> &PropertyString {
        &self.properties
    }
}

impl fmt::Display for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.properties.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_tell_whether_the_agent_is_enabled() {
        for (text, enabled) in [
            ("1", true),
            ("enabled=1,type=virtio", true),
            ("1,fstrim_cloned_disks=1", true),
            ("0", false),
            ("enabled=0", false),
            ("type=isa", false),
            ("", false),
        ] {
            assert_eq!(Agent::parse(text).enabled(), enabled, "{text}");
        }
    }

    #[test]
    fn switching_keeps_the_form_and_the_other_options() {
        for (before, after) in [
            ("enabled=0,type=isa", "enabled=1,type=isa"),
            ("0,type=isa", "1,type=isa"),
            ("", "1"),
        ] {
            let mut agent = Agent::parse(before);
            agent.set_enabled(true).unwrap();
            assert!(agent.enabled());
            assert_eq!(agent.to_string(), after);
        }
    }
}
