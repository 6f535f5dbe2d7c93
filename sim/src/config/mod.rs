//! The configuration of a VM: its keys, its property strings, its digest.
//!
//! [`keys`] lists every key with its type, the privilege that changes it and whether a running VM takes the
//! change at once. [`drive`], [`network`] and [`cloudinit`] know the property strings of each area.
//! [`change`] is what a `PUT …/config` asks for, [`rights`] says whether it may, [`update`] carries it out: `prepare`
//! makes its values ready, `plug` says what a running VM takes at once, [`settle`] makes pending values real, [`mod@boot`]
//! keeps the boot order. `sshkeys` checks public keys, [`seed`] writes what cloud-init reads.
//!
//! Not here: snapshots (`world::vm`), which keep copies of sections, and the endpoints (`api::config`).

pub(crate) mod boot;
pub(crate) mod change;
pub(crate) mod cloudinit;
pub(crate) mod drive;
pub(crate) mod hardware;
pub(crate) mod keys;
pub(crate) mod network;
mod plug;
mod prepare;
pub(crate) mod rights;
pub(crate) mod seed;
pub(crate) mod settle;
mod sshkeys;
pub(crate) mod update;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::schema::Kind;

/// One section of a VM's configuration file.
pub(crate) type Section = BTreeMap<String, String>;

/// A section as the API shows it: integers and booleans as numbers, everything else as text.
pub(crate) fn shown(section: &Section) -> Map<String, Value> {
    let mut out = Map::new();
    for (key, text) in section {
        out.insert(key.clone(), shown_value(key, text));
    }
    out
}

/// One value as the API shows it; passwords are masked.
pub(crate) fn shown_value(key: &str, text: &str) -> Value {
    if key == "cipassword" {
        return Value::from("**********");
    }
    match keys::kind_of(key) {
        Kind::Integer | Kind::Boolean => text
            .parse::<i64>()
            .map_or_else(|_| Value::from(text), Value::from),
        Kind::Number | Kind::Text => Value::from(text),
    }
}

/// The configuration file's text, which the digest is made of.
pub(crate) fn file_text<'a>(
    current: &Section,
    pending: &Section,
    pending_delete: impl Iterator<Item = String>,
    snapshots: impl Iterator<Item = (&'a str, &'a Section)>,
) -> String {
    let mut text = String::new();
    write_section(&mut text, current);
    let deleted = pending_delete.collect::<Vec<_>>().join(",");
    if !pending.is_empty() || !deleted.is_empty() {
        text.push_str("\n[PENDING]\n");
        if !deleted.is_empty() {
            let _ = writeln!(text, "delete: {deleted}");
        }
        write_section(&mut text, pending);
    }
    for (name, section) in snapshots {
        let _ = writeln!(text, "\n[{name}]");
        write_section(&mut text, section);
    }
    text
}

fn write_section(text: &mut String, section: &Section) {
    if let Some(description) = section.get("description") {
        for line in description.lines() {
            let _ = writeln!(text, "#{line}");
        }
    }
    for (key, value) in section.iter().filter(|(key, _)| *key != "description") {
        let _ = writeln!(text, "{key}: {value}");
    }
}

/// A value as PVE writes it into the file: property strings in their order, tags sorted.
///
/// # Errors
/// PVE's text for a value that passes its format but means nothing.
pub(crate) fn stored(key: &str, text: &str) -> Result<String, String> {
    if keys::holds_volume(key) {
        let drive = drive::Drive::parse(key, text).ok_or("unable to parse drive options")?;
        return Ok(drive.print());
    }
    if key
        .strip_prefix("net")
        .is_some_and(|rest| rest.parse::<u16>().is_ok())
    {
        let device = network::Network::parse(key, text).map_err(|_| "unable to parse network options")?;
        return Ok(device.print());
    }
    if key == "tags" {
        let tags = crate::schema::format::items(text).map(str::to_ascii_lowercase);
        let sorted = tags.collect::<std::collections::BTreeSet<_>>();
        return Ok(sorted.into_iter().collect::<Vec<_>>().join(";"));
    }
    Ok(text.to_owned())
}

/// A size as PVE prints it: the largest unit that divides it.
pub(crate) fn size_text(bytes: u64) -> String {
    let units = [(1_u64 << 40, "T"), (1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")];
    units
        .iter()
        .find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit))
        .map_or_else(
            || bytes.to_string(),
            |(unit, name)| format!("{}{name}", bytes / unit),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_lower_case_sorted_and_unique() {
        assert_eq!(stored("tags", "web,DB;web x1").unwrap(), "db;web;x1");
    }

    #[test]
    fn what_is_stored_is_stored_again_unchanged() {
        let stored_forms = [
            (
                "scsi0",
                "local-lvm:vm-100-disk-0,discard=on,iothread=1,mbps_rd=100,size=32G",
            ),
            (
                "scsi1",
                "zfs.pool-1:vm-100-disk-1,aio=io_uring,backup=0,iops=500,iops_max=900,iops_max_length=5,ssd=1",
            ),
            ("ide2", "local:iso/debian.iso,media=cdrom,size=629M"),
            ("sata0", "none,media=cdrom"),
            ("ide0", "local-lvm:vm-100-cloudinit,media=cdrom,size=4M"),
            (
                "efidisk0",
                "local-lvm:vm-100-disk-2,efitype=4m,pre-enrolled-keys=1,size=4M",
            ),
            ("unused0", "local-lvm:vm-100-disk-9"),
            (
                "net0",
                "virtio=BC:24:11:AA:BB:CC,bridge=vmbr0,firewall=1,rate=12.5,tag=20",
            ),
            (
                "net1",
                "e1000=BC:24:11:AA:BB:CD,bridge=vmbr1,link_down=1,mtu=1400,queues=4",
            ),
            ("tags", "a;b;c"),
            ("boot", "order=scsi0;ide2;net0"),
        ];
        for (key, text) in stored_forms {
            assert_eq!(stored(key, text).unwrap(), text, "{key}");
        }
    }

    #[test]
    fn sizes_are_printed_in_the_largest_unit_that_divides_them() {
        assert_eq!(size_text(32 << 30), "32G");
        assert_eq!(size_text(629 << 20), "629M");
        assert_eq!(size_text(1 << 40), "1T");
        assert_eq!(size_text(1000), "1000");
    }

    #[test]
    fn integers_are_shown_as_numbers_and_memory_as_text() {
        let section = Section::from([
            ("cores".to_owned(), "2".to_owned()),
            ("memory".to_owned(), "2048".to_owned()),
            ("cipassword".to_owned(), "$5$x".to_owned()),
        ]);
        let value = Value::Object(shown(&section));
        assert_eq!(value["cores"], 2);
        assert_eq!(value["memory"], "2048");
        assert_eq!(value["cipassword"], "**********");
    }
}
