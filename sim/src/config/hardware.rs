//! Devices and settings that the simulator stores and shows but does not play: their formats.
//!
//! Each is a property string; a wrong one is refused as PVE refuses it. Not here: drives (`drive`), network devices
//! (`network`), what cloud-init reads (`cloudinit`), and the formats of `hostpciN` and `intel-tdx`, which are taken
//! as they come.

use crate::schema::property_string::{Layout, Parts};
use crate::schema::{Property, format};

const fn word(name: &'static str) -> Property {
    Property::text(name)
}

const fn flag(name: &'static str) -> Property {
    Property::boolean(name).optional()
}

const fn layout(default_key: Option<&'static str>, parts: &'static [Property]) -> Layout {
    Layout {
        default_key,
        parts,
        aliases: &[],
    }
}

const AUDIO: Layout = layout(
    None,
    &[
        word("device").one_of(&["ich9-intel-hda", "intel-hda", "AC97"]),
        word("driver").optional().one_of(&["spice", "none"]),
    ],
);

const CPU: Layout = layout(
    Some("cputype"),
    &[
        word("cputype").optional(),
        word("flags").optional().pattern(are_cpu_flags),
        Property::integer("guest-phys-bits")
            .optional()
            .at_least(32)
            .at_most(64),
        flag("hidden"),
        word("hv-vendor-id").optional().pattern(is_vendor_id),
        Property::integer("level")
            .optional()
            .at_least(0)
            .at_most(4_294_967_295),
        word("phys-bits").optional(),
        word("reported-model").optional(),
    ],
);

const CUSTOM_SEED: Layout = layout(
    None,
    &[
        word("meta").optional().format(format::volume_id),
        word("network").optional().format(format::volume_id),
        word("user").optional().format(format::volume_id),
        word("vendor").optional().format(format::volume_id),
    ],
);

const MACHINE: Layout = layout(
    Some("type"),
    &[
        Property::number("aw-bits").optional().at_least(32).at_most(64),
        flag("enable-s3"),
        flag("enable-s4"),
        word("type").optional().pattern(is_machine).no_longer_than(40),
        word("viommu").optional().one_of(&["intel", "virtio"]),
    ],
);

const NUMA: Layout = layout(
    None,
    &[
        word("cpus").pattern(is_set),
        word("hostnodes").optional().pattern(is_set),
        Property::number("memory").optional(),
        word("policy")
            .optional()
            .one_of(&["preferred", "bind", "interleave"]),
    ],
);

const RANDOM: Layout = layout(
    Some("source"),
    &[
        Property::integer("max_bytes").optional(),
        Property::integer("period").optional(),
        word("source").one_of(&["/dev/urandom", "/dev/random", "/dev/hwrng"]),
    ],
);

const SEV: Layout = layout(
    Some("type"),
    &[
        flag("allow-smt"),
        flag("kernel-hashes"),
        flag("no-debug"),
        flag("no-key-sharing"),
        word("type").no_longer_than(3).one_of(&["std", "es", "snp"]),
    ],
);

const SHARED_FOLDER: Layout = layout(
    Some("dirid"),
    &[
        word("cache")
            .optional()
            .one_of(&["auto", "always", "metadata", "never"]),
        flag("direct-io"),
        word("dirid").format(format::config_id),
        flag("expose-acl"),
        flag("expose-xattr"),
    ],
);

const SHARED_MEMORY: Layout = layout(
    None,
    &[
        word("name").optional().pattern(is_plain_name),
        Property::integer("size").at_least(1),
    ],
);

const SMBIOS: Layout = layout(
    None,
    &[
        flag("base64"),
        word("family").optional().pattern(is_base64),
        word("manufacturer").optional().pattern(is_base64),
        word("product").optional().pattern(is_base64),
        word("serial").optional().pattern(is_base64),
        word("sku").optional().pattern(is_base64),
        word("uuid").optional().pattern(is_uuid),
        word("version").optional().pattern(is_base64),
    ],
);

const SPICE: Layout = layout(
    None,
    &[
        flag("foldersharing"),
        word("videostreaming")
            .optional()
            .one_of(&["off", "all", "filter"]),
    ],
);

const USB: Layout = layout(
    Some("host"),
    &[
        word("host").optional().pattern(is_usb_device),
        word("mapping").optional().format(format::config_id),
        flag("usb3"),
    ],
);

const VGA: Layout = layout(
    Some("type"),
    &[
        word("clipboard").optional().one_of(&["vnc"]),
        Property::integer("memory").optional().at_least(4).at_most(512),
        word("type").optional().one_of(&[
            "cirrus",
            "qxl",
            "qxl2",
            "qxl3",
            "qxl4",
            "none",
            "serial0",
            "serial1",
            "serial2",
            "serial3",
            "std",
            "virtio",
            "virtio-gl",
            "vmware",
        ]),
    ],
);

const WATCHDOG: Layout = layout(
    Some("model"),
    &[
        word("action")
            .optional()
            .one_of(&["reset", "shutdown", "poweroff", "pause", "debug", "none"]),
        word("model").optional().one_of(&["i6300esb", "ib700"]),
    ],
);

macro_rules! checks {
    ($($(#[$doc:meta])* $name:ident: $layout:ident;)*) => {$(
        $(#[$doc])*
        pub(crate) fn $name(name: &str, text: &str) -> Result<(), String> {
            $layout.parse(name, text).map(drop)
        }
    )*};
}

checks! {
    /// `audio0`.
    audio: AUDIO;
    /// `cpu`: a model, flags.
    cpu: CPU;
    /// `cicustom`: files that take the place of the generated ones.
    custom_seed: CUSTOM_SEED;
    /// `machine`.
    machine: MACHINE;
    /// `numaN`.
    numa: NUMA;
    /// `rng0`.
    random: RANDOM;
    /// `amd-sev`.
    sev: SEV;
    /// `virtiofsN`.
    shared_folder: SHARED_FOLDER;
    /// `ivshmem`.
    shared_memory: SHARED_MEMORY;
    /// `smbios1`.
    smbios: SMBIOS;
    /// `spice_enhancements`.
    spice: SPICE;
    /// `usbN`.
    usb: USB;
    /// `vga`.
    vga: VGA;
    /// `watchdog`.
    watchdog: WATCHDOG;
}

/// The parts of `vga`; none of a text that is not one.
pub(crate) fn display(text: &str) -> Parts {
    VGA.parse("vga", text).unwrap_or_default()
}

fn are_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_plain_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// `+aes;-pcid`.
fn are_cpu_flags(text: &str) -> bool {
    let is_flag = |flag: &str| {
        let name = flag.strip_prefix(['+', '-']);
        name.is_some_and(|name| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        })
    };
    text.split(';').all(is_flag)
}

fn is_vendor_id(text: &str) -> bool {
    (1..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// `0-3;8`.
fn is_set(text: &str) -> bool {
    text.split(';').all(|range| match range.split_once('-') {
        Some((first, last)) => are_digits(first) && are_digits(last),
        None => are_digits(range),
    })
}

fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    !digits.is_empty()
        && text.len() - digits.len() <= 2
        && digits
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
}

/// A UUID in its usual form.
pub(crate) fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

/// A UUID, `1` for a new one, `0` for none.
pub(crate) fn is_generation(text: &str) -> bool {
    is_uuid(text) || text == "0" || text == "1"
}

/// `pc`, `q35`, `virt`, or one of them with a version: `pc-q35-9.2+pve1`.
fn is_machine(text: &str) -> bool {
    if ["pc", "q35", "virt"].contains(&text) {
        return true;
    }
    let version = ["pc-i440fx-", "pc-q35-", "pc-", "virt-"]
        .iter()
        .find_map(|family| text.strip_prefix(family));
    version.is_some_and(|version| {
        let version = version.strip_suffix(".pxe").unwrap_or(version);
        let (number, ours) = version.split_once("+pve").unwrap_or((version, "0"));
        number.split('.').count() > 1 && number.split('.').all(are_digits) && are_digits(ours)
    })
}

/// `/dev/parport0`, `/dev/usb/lp0`.
pub(crate) fn is_parallel_port(text: &str) -> bool {
    let number = text
        .strip_prefix("/dev/parport")
        .or_else(|| text.strip_prefix("/dev/usb/lp"));
    number.is_some_and(are_digits)
}

/// `socket`, or a device of the host.
pub(crate) fn is_serial_port(text: &str) -> bool {
    text == "socket" || text.strip_prefix("/dev/").is_some_and(|rest| !rest.is_empty())
}

/// `1234:5678`, `0x1234:0x5678`, `1-2.3`, `spice`.
fn is_usb_device(text: &str) -> bool {
    let is_id = |id: &str| {
        let digits = id.strip_prefix("0x").unwrap_or(id);
        digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit())
    };
    let by_id = text
        .split_once(':')
        .is_some_and(|(vendor, product)| is_id(vendor) && is_id(product));
    let by_port = text
        .split_once('-')
        .is_some_and(|(bus, port)| are_digits(bus) && port.split('.').all(are_digits));
    text.eq_ignore_ascii_case("spice") || by_id || by_port
}

/// `now`, `2026-06-17`, `2026-06-17T16:01:21`.
pub(crate) fn is_start_date(text: &str) -> bool {
    let are_numbers = |text: &str, mark: char, first: &[usize]| {
        let parts = text.split(mark).collect::<Vec<_>>();
        parts.len() == 3
            && parts.iter().all(|part| are_digits(part))
            && parts.first().is_some_and(|part| first.contains(&part.len()))
            && parts.iter().skip(1).all(|part| part.len() <= 2)
    };
    let (date, time) = text.split_once('T').unwrap_or((text, "0:0:0"));
    text == "now" || (are_numbers(date, '-', &[4]) && are_numbers(time, ':', &[1, 2]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pve_takes_is_taken() {
        for (check, text) in [
            (machine as crate::schema::Format, "q35"),
            (machine, "pc-q35-9.2+pve1"),
            (machine, "type=pc-i440fx-8.1,viommu=virtio"),
            (cpu, "x86-64-v2-AES,flags=+aes;-pcid"),
            (usb, "spice"),
            (usb, "host=1234:0xabCD,usb3=1"),
            (usb, "1-2.3"),
            (usb, "mapping=stick"),
            (vga, "serial0"),
            (vga, "type=std,memory=32"),
            (numa, "cpus=0-3;8,memory=1024"),
            (random, "/dev/urandom,max_bytes=1024"),
            (
                smbios,
                "uuid=4b8f6c0e-6c0b-4a9e-8d62-2f7a0c1e1000,base64=1,serial=YQ==",
            ),
            (watchdog, "i6300esb,action=reset"),
            (custom_seed, "user=local:snippets/user.yaml"),
        ] {
            assert_eq!(check("x", text), Ok(()), "{text}");
        }
        assert!(is_parallel_port("/dev/usb/lp0") && is_serial_port("socket"));
        assert!(is_start_date("2026-06-17T16:01:21") && is_generation("1"));
    }

    #[test]
    fn what_pve_refuses_is_refused_with_its_part() {
        assert_eq!(
            vga("vga", "best").unwrap_err(),
            "format error\nvga.type: value 'best' does not have a value in the enumeration 'cirrus, qxl, qxl2, \
             qxl3, qxl4, none, serial0, serial1, serial2, serial3, std, virtio, virtio-gl, vmware'"
        );
        assert_eq!(
            machine("machine", "pc-i440fx").unwrap_err(),
            "format error\nmachine.type: value does not match the regex pattern"
        );
        assert_eq!(
            usb("usb0", "host=stick").unwrap_err(),
            "format error\nusb0.host: value does not match the regex pattern"
        );
        assert_eq!(
            audio("audio0", "AC97").unwrap_err(),
            "value without key, but schema does not define a default key"
        );
        assert!(!is_parallel_port("/dev/parport") && !is_serial_port("/dev/"));
        assert!(!is_start_date("26-06-17") && !is_generation("2"));
    }
}
