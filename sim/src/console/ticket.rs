//! VNC tickets and passwords.
//!
//! A ticket is `PVEVNC:HEXTIME::SIGNATURE`; who it was given to, for which path and (since April 2026) for which port
//! is in the signature only. The newer form carries the VNC password in front.

use crate::units::mix;
use crate::world::access::Access;

/// The youngest age of a ticket that is taken, in seconds: clocks of a cluster differ a little.
const YOUNGEST: i64 = -20;
/// The oldest.
const OLDEST: i64 = 40;
/// How long a generated password is; VNC knows no longer ones.
const PASSWORD_LENGTH: u64 = 8;

/// What a ticket is good for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim<'a> {
    /// The user or token.
    pub(crate) who: &'a str,
    /// The VM.
    pub(crate) vmid: u32,
    /// The port; none in the older form.
    pub(crate) port: Option<u16>,
}

impl Claim<'_> {
    fn signed(&self, time: &str) -> String {
        let port = self.port.map_or_else(String::new, |port| format!(":{port}"));
        format!("PVEVNC:{time}:{}:/vms/{}{port}", self.who, self.vmid)
    }
}

/// A ticket.
pub(crate) fn ticket(access: &Access, claim: Claim<'_>, now: i64) -> String {
    let time = format!("{now:08X}");
    format!("PVEVNC:{time}::{}", access.sign(&claim.signed(&time)))
}

/// Whether a ticket, with or without a password in front, stands for a claim now.
pub(crate) fn valid(access: &Access, text: &str, claim: Claim<'_>, now: i64) -> bool {
    // The password may have any printable character in it, colons too: count instead of searching.
    let bare = match text.get(..8).zip(text.get(8..)) {
        Some((_, rest)) if rest.starts_with(":PVEVNC:") => rest.get(1..).unwrap_or_default(),
        _ => text,
    };
    let Some((time, signature)) = bare
        .strip_prefix("PVEVNC:")
        .and_then(|rest| rest.split_once("::"))
    else {
        return false;
    };
    let made = i64::from_str_radix(time, 16).ok();
    let young = made.is_some_and(|made| (YOUNGEST..=OLDEST).contains(&now.saturating_sub(made)));
    young && access.sign(&claim.signed(time)) == signature
}

/// A VNC password: printable ASCII without the blank, `!` to `~`.
pub(crate) fn password(seed: u64, serial: u64) -> String {
    let from = u64::from(b'!');
    let kinds = u64::from(b'~') - from + 1;
    (0..PASSWORD_LENGTH)
        .map(|place| mix(seed, serial.wrapping_mul(PASSWORD_LENGTH).wrapping_add(place)) % kinds + from)
        .filter_map(|code| u8::try_from(code).ok().map(char::from))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Major;

    fn access() -> Access {
        Access::new(Major::V9, "k".into())
    }

    const CLAIM: Claim<'static> = Claim {
        who: "a@pve!t",
        vmid: 100,
        port: Some(5900),
    };

    #[test]
    fn a_ticket_is_bound_to_its_holder_vm_and_port() {
        let access = access();
        let given = ticket(&access, CLAIM, 1_000);
        assert!(valid(&access, &given, CLAIM, 1_000));
        for other in [
            Claim {
                who: "b@pve",
                ..CLAIM
            },
            Claim { vmid: 101, ..CLAIM },
            Claim {
                port: Some(5901),
                ..CLAIM
            },
            Claim { port: None, ..CLAIM },
        ] {
            assert!(!valid(&access, &given, other, 1_000), "{other:?}");
        }
    }

    #[test]
    fn a_ticket_is_good_for_forty_seconds_and_for_clocks_that_are_twenty_behind() {
        let access = access();
        let given = ticket(&access, CLAIM, 1_000);
        for (now, good) in [(979, false), (980, true), (1_040, true), (1_041, false)] {
            assert_eq!(valid(&access, &given, CLAIM, now), good, "{now}");
        }
    }

    #[test]
    fn a_password_in_front_does_not_matter_whatever_is_in_it() {
        let access = access();
        let given = ticket(&access, CLAIM, 1_000);
        for password in ["abcdefgh", "::::::::", "PVEVNC::"] {
            assert!(
                valid(&access, &format!("{password}:{given}"), CLAIM, 1_000),
                "{password}"
            );
        }
        for text in [
            "",
            ":",
            "PVEVNC:",
            "PVEVNC:x::y",
            "üüüüüüüü:PVEVNC:",
            "abc:PVEVNC:3E8::x",
        ] {
            assert!(!valid(&access, text, CLAIM, 1_000), "{text}");
        }
    }

    #[test]
    fn passwords_have_eight_printable_characters_and_do_not_repeat() {
        let all = (0..500).map(|serial| password(7, serial)).collect::<Vec<_>>();
        for one in &all {
            assert!(
                one.len() == 8 && one.bytes().all(|b| (b'!'..=b'~').contains(&b)),
                "{one}"
            );
        }
        assert_eq!(
            all.iter().collect::<std::collections::BTreeSet<_>>().len(),
            all.len()
        );
    }
}
