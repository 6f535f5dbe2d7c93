//! Property strings round-trip byte for byte: those that PVE prints, those that people write, those of the
//! examples, and those that nobody would write.

use portico_proxmox::VmConfig;
use portico_proxmox::property::{
    Agent, BootOrder, Disk, IpConfig, Net, PropertyString, Throttle, Vga, format_size, parse_size,
};
use proptest::prelude::*;

/// (key, value) as real configs have them.
const EXAMPLES: &[(&str, &str)] = &[
    (
        "scsi0",
        "local-lvm:vm-100-disk-0,discard=on,iothread=1,mbps_rd=100,size=32G",
    ),
    (
        "scsi1",
        "local:9000/base-9000-disk-0.qcow2/100/vm-100-disk-0.qcow2,size=8G",
    ),
    ("scsi2", "zfs:base-9000-disk-0/vm-100-disk-1,iops_rd=1000,size=1T"),
    ("scsi3", "local-lvm:0,import-from=local-lvm:base-9000-disk-0"),
    ("scsi4", "local-lvm:32"),
    ("ide2", "local:iso/debian.iso,media=cdrom,size=629M"),
    ("ide0", "none,media=cdrom"),
    ("ide1", "local-lvm:vm-100-cloudinit,media=cdrom,size=4M"),
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
    (
        "net2",
        "model=virtio,macaddr=bc:24:11:aa:bb:ce,bridge=vmbr0,trunks=1;2;3",
    ),
    (
        "ipconfig0",
        "gw=192.0.2.1,gw6=2001:db8::1,ip=192.0.2.10/24,ip6=2001:db8::10/64",
    ),
    ("ipconfig1", "ip=dhcp,ip6=auto"),
    ("agent", "1"),
    ("agent", "enabled=1,fstrim_cloned_disks=1,type=virtio"),
    ("boot", "order=scsi0;ide2;net0"),
    ("boot", "cdn"),
    ("boot", "legacy=cdn"),
    ("vga", "std"),
    ("vga", "virtio,memory=64"),
    ("vga", "serial0"),
    ("smbios1", "uuid=4b8f6c0e-6c0b-4a9e-8d62-2f7a0c1e1000"),
    ("startup", "order=1,up=30,down=60"),
];

/// What the type of a key makes of its value.
fn printed(key: &str, value: &str) -> Option<String> {
    let family = key.trim_end_matches(|c: char| c.is_ascii_digit());
    Some(match family {
        "scsi" | "ide" | "efidisk" | "unused" => Disk::parse(value).ok()?.to_string(),
        "net" => Net::parse(value).ok()?.to_string(),
        "ipconfig" => IpConfig::parse(value).to_string(),
        "agent" => Agent::parse(value).to_string(),
        "boot" => BootOrder::parse(value).to_string(),
        "vga" => Vga::parse(value).to_string(),
        _ => PropertyString::from(value).to_string(),
    })
}

#[test]
fn every_example_round_trips_through_its_type() {
    for (key, value) in EXAMPLES {
        assert_eq!(printed(key, value).as_deref(), Some(*value), "{key}");
    }
}

#[test]
fn every_example_round_trips_through_a_config() {
    for (key, value) in EXAMPLES {
        let json = serde_json::json!({ *key: value }).to_string();
        let config: VmConfig = serde_json::from_str(&json).unwrap();
        assert_eq!(config.text(key).as_deref(), Some(*value), "{key}");
        for (slot, disk) in config.drives() {
            assert_eq!(
                (slot.to_string().as_str(), disk.to_string().as_str()),
                (*key, *value)
            );
        }
        for (_, net) in config.nets() {
            assert_eq!(net.to_string(), *value);
        }
        for (_, ip) in config.ipconfigs() {
            assert_eq!(ip.to_string(), *value);
        }
    }
}

/// Options as people and versions to come write them: any order, known and unknown, odd booleans.
fn options(keys: &'static [&'static str]) -> impl Strategy<Value = String> {
    let known = prop::sample::select(keys).prop_map(str::to_owned);
    let key = prop_oneof![3 => known, 1 => "[a-z][a-z0-9_-]{0,8}"];
    let value = prop_oneof![
        "[0-9]{1,4}",
        "[01]",
        "on|off|yes|no",
        "[A-Za-z0-9.:;/_=-]{1,12}",
        Just(String::new())
    ];
    let option = (key, value).prop_map(|(key, value)| format!(",{key}={value}"));
    prop::collection::vec(option, 0..8).prop_map(|options| options.concat())
}

fn disk() -> impl Strategy<Value = String> {
    let volume = prop_oneof![
        "[a-z][a-z0-9-]{1,8}:vm-[1-9][0-9]{2}-disk-[0-9]",
        "[a-z][a-z0-9-]{1,8}:[1-9][0-9]{2}/vm-[1-9][0-9]{2}-disk-[0-9]\\.(raw|qcow2)",
        "[a-z][a-z0-9-]{1,8}:iso/[a-z0-9.-]{1,12}\\.iso",
        "none|cdrom",
        "file=[a-z]{2,5}:vm-100-disk-0",
    ];
    let keys = &[
        "size", "discard", "ssd", "iothread", "mbps", "mbps_rd", "mbps_wr", "iops", "iops_rd", "backup",
        "media", "aio", "cache", "serial",
    ];
    (volume, options(keys)).prop_map(|(volume, options)| volume + &options)
}

fn net() -> impl Strategy<Value = String> {
    let mac = "([0-9A-F]{2}:){5}[0-9A-F]{2}";
    let card = prop_oneof![
        mac.prop_map(|mac| format!("virtio={mac}")),
        mac.prop_map(|mac| format!("model=e1000,macaddr={mac}")),
        Just("virtio".to_owned()),
    ];
    let keys = &[
        "bridge",
        "firewall",
        "rate",
        "tag",
        "mtu",
        "queues",
        "link_down",
        "trunks",
    ];
    (card, options(keys)).prop_map(|(card, options)| card + &options)
}

fn ipconfig() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "ip=(dhcp|([0-9]{1,3}\\.){3}[0-9]{1,3}/[0-9]{1,2})",
        "ip6=(auto|dhcp|2001:db8::[0-9a-f]{1,4}/[0-9]{1,3})",
        "gw=([0-9]{1,3}\\.){3}[0-9]{1,3}",
        "gw6=fe80::[0-9a-f]{1,4}",
        "[a-z]{1,5}=[a-z0-9]{0,5}",
    ];
    prop::collection::vec(part, 0..5).prop_map(|parts| parts.join(","))
}

proptest! {
    #[test]
    fn disks_round_trip(text in disk()) {
        prop_assert_eq!(Disk::parse(&text).unwrap().to_string(), text);
    }

    #[test]
    fn cards_round_trip(text in net()) {
        prop_assert_eq!(Net::parse(&text).unwrap().to_string(), text);
    }

    #[test]
    fn addresses_round_trip(text in ipconfig()) {
        let config = IpConfig::parse(&text);
        // Looking at it must neither change nor break it.
        let _ = (config.ip(), config.ip6(), config.gateway(), config.gateway6());
        prop_assert_eq!(config.to_string(), text);
    }

    #[test]
    fn boot_orders_agents_and_displays_round_trip(
        boot in "(order=)?[a-z0-9;, ]{0,30}|legacy=[acdn]{1,4}",
        agent in "(enabled=)?[01](,(fstrim_cloned_disks|type|freeze-fs)=[a-z0-9]{0,6}){0,3}",
        vga in "(type=)?(std|qxl|virtio|serial[0-3]|none)(,(memory|clipboard)=[a-z0-9]{0,4}){0,2}",
    ) {
        prop_assert_eq!(BootOrder::parse(&boot).to_string(), boot);
        prop_assert_eq!(Agent::parse(&agent).to_string(), agent);
        prop_assert_eq!(Vga::parse(&vga).to_string(), vga);
    }

    #[test]
    fn any_text_round_trips_through_every_type_that_takes_it(text in "(?s).{0,60}") {
        for key in ["scsi0", "net0", "ipconfig0", "agent", "boot", "vga"] {
            if let Some(printed) = printed(key, &text) {
                prop_assert_eq!(&printed, &text, "{}", key);
            }
        }
    }

    #[test]
    fn a_limit_that_is_set_and_taken_away_leaves_no_trace(text in disk(), limit in 1_u16..) {
        let before = Disk::parse(&text).unwrap();
        let mut disk = before.clone();
        disk.set_throttle(Throttle::IopsReadMax, Some(f64::from(limit))).unwrap();
        prop_assert_eq!(disk.throttle(Throttle::IopsReadMax), Some(f64::from(limit)));
        disk.set_throttle(Throttle::IopsReadMax, None).unwrap();
        prop_assert_eq!(disk.to_string(), text);
    }

    #[test]
    fn changing_a_cards_rate_changes_no_other_part(text in net(), rate in 1_u16..) {
        let before = Net::parse(&text).unwrap();
        let mut after = before.clone();
        after.set_rate(Some(f64::from(rate))).unwrap();
        prop_assert_eq!(after.rate(), Some(f64::from(rate)));
        let others = |net: &Net| {
            let parts = net.properties().iter().filter(|(key, _)| *key != Some("rate"));
            parts.map(|(key, value)| (key.map(str::to_owned), value.to_owned())).collect::<Vec<_>>()
        };
        // Of a key that is there twice only the first counts, and only it is changed.
        if text.matches(",rate=").count() < 2 {
            prop_assert_eq!(others(&after), others(&before));
        }
    }

    #[test]
    fn configs_keep_every_value_as_it_came(
        entries in prop::collection::btree_map("[a-z]{2,8}[0-9]{0,2}", "(?s).{0,40}", 0..10)
    ) {
        let config: VmConfig = serde_json::from_value(serde_json::json!(entries)).unwrap();
        for (key, value) in &entries {
            let kept = config.text(key);
            prop_assert_eq!(kept.as_deref(), Some(value.as_str()));
        }
    }

    #[test]
    fn sizes_round_trip(bytes in any::<u64>(), shift in 0_u32..40) {
        let bytes = bytes.checked_shl(shift).unwrap_or(bytes);
        prop_assert_eq!(parse_size(&format_size(bytes)), Some(bytes));
    }
}
