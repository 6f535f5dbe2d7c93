//! The name of a task: `UPID:node:pid:pstart:starttime:type:id:user:`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::{InvalidId, NodeName, VmId};

/// The unique id of a Proxmox task, parsed strictly and printed as it came.
///
/// A task lives on the node that ran it: [`Upid::node`] says where to ask, also after the VM has moved.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Upid {
    text: String,
    node: NodeName,
    pid: u32,
    pstart: u64,
    start_time: u64,
    /// Byte ranges of type, id and user within `text`.
    kind: (usize, usize),
    id: (usize, usize),
    user: (usize, usize),
}

impl Upid {
    const RULE: &'static str = "`UPID:node:pid:pstart:starttime:type:id:user:` with hexadecimal numbers";
    /// Longer than any node name, task type, VM number and token id together.
    const MAX_LEN: usize = 512;

    /// The node that ran the task.
    pub fn node(&self) -> &NodeName {
        &self.node
    }

    /// The process id of the worker on that node.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// When the worker process began, in clock ticks since the node booted.
    pub fn pstart(&self) -> u64 {
        self.pstart
    }

    /// When the task began by the node's clock, epoch seconds.
    pub fn start_time(&self) -> u64 {
        self.start_time
    }

    /// The task type, such as `qmsnapshot`.
    pub fn kind(&self) -> &str {
        self.part(self.kind)
    }

    /// What the task works on: a VM number for VM tasks, else anything, possibly empty.
    pub fn id(&self) -> &str {
        self.part(self.id)
    }

    /// The id as VM number, where it is one.
    pub fn vmid(&self) -> Option<VmId> {
        self.id().parse().ok()
    }

    /// Who started it: `user@realm` or `user@realm!token`.
    pub fn user(&self) -> &str {
        self.part(self.user)
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn part(&self, (from, to): (usize, usize)) -> &str {
        self.text.get(from..to).unwrap_or_default()
    }
}

impl FromStr for Upid {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        parse(text).ok_or_else(|| InvalidId::new("task id", Upid::RULE, text))
    }
}

fn parse(text: &str) -> Option<Upid> {
    if text.len() > Upid::MAX_LEN || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return None;
    }
    let mut parts = text.split(':');
    let mut at = 0;
    let mut next = || {
        let part = parts.next()?;
        let from = at;
        at += part.len() + 1;
        Some((part, (from, from + part.len())))
    };
    if next()?.0 != "UPID" {
        return None;
    }
    let node = NodeName::new(next()?.0).ok()?;
    let pid = u32::try_from(hex(next()?.0, 8..=8)?).ok()?;
    let pstart = hex(next()?.0, 8..=9)?;
    let start_time = hex(next()?.0, 8..=8)?;
    let (kind_text, kind) = next()?;
    let (id_text, id) = next()?;
    let (user_text, user) = next()?;
    let (after, _) = next()?;
    let ended = next().is_none();
    let slash = [kind_text, id_text, user_text]
        .iter()
        .any(|part| part.contains('/'));
    if kind_text.is_empty() || user_text.is_empty() || slash || !after.is_empty() || !ended {
        return None;
    }
    Some(Upid {
        text: text.to_owned(),
        node,
        pid,
        pstart,
        start_time,
        kind,
        id,
        user,
    })
}

fn hex(text: &str, len: std::ops::RangeInclusive<usize>) -> Option<u64> {
    // `from_str_radix` alone would take a sign.
    let digits = len.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    digits.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

impl fmt::Display for Upid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Upid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upid({})", self.text)
    }
}

impl Serialize for Upid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Upid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(InvalidId::in_answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "UPID:pve1:000F4A3C:0123456789:68A5B0C1:qmsnapshot:100:panel@pve!portico:";

    #[test]
    fn every_part_is_read_and_the_text_is_kept() {
        let text = GOOD.replace("0123456789", "012345678");
        let upid: Upid = text.parse().unwrap();
        assert_eq!(upid.node().as_str(), "pve1");
        assert_eq!(upid.pid(), 0x000F_4A3C);
        assert_eq!(upid.pstart(), 0x0_1234_5678);
        assert_eq!(upid.start_time(), 0x68A5_B0C1);
        assert_eq!(
            (upid.kind(), upid.id(), upid.user()),
            ("qmsnapshot", "100", "panel@pve!portico")
        );
        assert_eq!(upid.vmid().unwrap().get(), 100);
        assert_eq!(upid.to_string(), text);
    }

    #[test]
    fn an_empty_id_is_allowed_and_is_no_vm() {
        let upid: Upid = "UPID:pve1:00000001:00000002:68A5B0C1:vzdump::root@pam:"
            .parse()
            .unwrap();
        assert_eq!((upid.id(), upid.vmid()), ("", None));
    }

    #[test]
    fn malformed_task_ids_are_refused() {
        let good = GOOD.replace("0123456789", "01234567");
        assert!(good.parse::<Upid>().is_ok());
        for bad in [
            String::new(),
            "OK".to_owned(),
            GOOD.to_owned(),
            good.trim_end_matches(':').to_owned(),
            format!("{good}x"),
            format!("{good}:"),
            good.replace("UPID", "upid"),
            good.replace("pve1", "pve/1"),
            good.replace("pve1", ""),
            good.replace("000F4A3C", "F4A3C"),
            good.replace("000F4A3C", "+00F4A3C"),
            good.replace("qmsnapshot", ""),
            good.replace(":100:", ":1/0:"),
            good.replace("panel@pve!portico", ""),
            good.replace("qmsnapshot", "qm snapshot"),
            good.replace("qmsnapshot", "qm/snapshot"),
            good.replace("panel@pve", "panel/x@pve"),
            good.replace("qmsnapshot", &"q".repeat(600)),
        ] {
            assert!(bad.parse::<Upid>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn json_round_trip_keeps_the_text_and_refuses_other_texts() {
        let text = GOOD.replace("0123456789", "01234567");
        let upid: Upid = serde_json::from_str(&format!("\"{text}\"")).unwrap();
        assert_eq!(serde_json::to_string(&upid).unwrap(), format!("\"{text}\""));
        assert!(serde_json::from_str::<Upid>("\"OK\"").is_err());
    }
}
