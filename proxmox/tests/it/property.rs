//! Property strings round-trip byte for byte: those that PVE prints, those that people write, those of the
//! examples, and those that nobody would write. And a change of one part changes no other.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use portico_proxmox::VmConfig;
use portico_proxmox::property::{
    Agent, BootOrder, Disk, Ip4, IpConfig, Net, PropertyString, Throttle, Vga, format_size, parse_size,
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
    (
        "scsi5",
        "local-lvm:0,import-from=local:base-9000-disk-0,iops_wr=500,mbps_rd=100",
    ),
    ("sata0", "local:iso/x.iso,media=cdrom"),
    ("sata1", "cdrom,media=cdrom"),
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
    ("ipconfig2", "ip=192.0.2.10/24,gw=192.0.2.1,ip6=dhcp,gw6=fe80::1"),
    ("agent", "1"),
    ("agent", "enabled=1,fstrim_cloned_disks=1,type=virtio"),
    ("boot", "order=scsi0;ide2;net0"),
    ("boot", "order=ide2;scsi0"),
    ("boot", "cdn"),
    ("boot", "legacy=cdn"),
    ("memory", "current=2048"),
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
        "scsi" | "ide" | "sata" | "efidisk" | "unused" => Disk::parse(value).ok()?.to_string(),
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

/// The parts in order, without those of some keys.
fn others(properties: &PropertyString, without: &[&str]) -> Vec<(Option<String>, String)> {
    let parts = properties.iter();
    let parts = parts.filter(|(key, _)| key.is_none_or(|key| !without.contains(&key)));
    parts
        .map(|(key, value)| (key.map(str::to_owned), value.to_owned()))
        .collect()
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
        prop_assert_eq!(others(after.properties(), &["rate"]), others(before.properties(), &["rate"]));
        prop_assert_eq!(Net::parse(&after.to_string()).unwrap(), after);
    }

    #[test]
    fn changing_a_cards_firewall_changes_no_other_part(text in net(), on in any::<bool>()) {
        let before = Net::parse(&text).unwrap();
        let mut after = before.clone();
        after.set_firewall(on).unwrap();
        prop_assert_eq!(after.firewall(), on);
        prop_assert_eq!(others(after.properties(), &["firewall"]), others(before.properties(), &["firewall"]));
        prop_assert_eq!(Net::parse(&after.to_string()).unwrap(), after);
    }

    #[test]
    fn changing_a_cards_addresses_changes_no_other_part(
        text in ipconfig(),
        address in any::<u32>(),
        prefix in 8_u8..=32,
        gateway in prop::option::of(any::<u32>()),
    ) {
        let before = IpConfig::parse(&text);
        let (address, gateway) = (Ipv4Net::new(address.into(), prefix).unwrap(), gateway.map(Ipv4Addr::from));
        let mut after = before.clone();
        after.set_ip(Some(Ip4::Static(address)), gateway).unwrap();
        prop_assert_eq!((after.ip(), after.gateway()), (Some(Ip4::Static(address)), gateway));
        prop_assert_eq!((after.ip6(), after.gateway6()), (before.ip6(), before.gateway6()));
        let mine = ["ip", "gw"];
        prop_assert_eq!(others(after.properties(), &mine), others(before.properties(), &mine));
        let printed = after.to_string();
        prop_assert!(!printed.starts_with(',') && !printed.ends_with(','), "{}", printed);
        prop_assert_eq!(&IpConfig::parse(&printed), &after);
        after.set_ip(None, None).unwrap();
        prop_assert_eq!((after.ip(), after.gateway()), (None, None));
        prop_assert_eq!(others(after.properties(), &[]), others(before.properties(), &mine));
        prop_assert_eq!(IpConfig::parse(&after.to_string()), after);
    }

    #[test]
    fn switching_an_agent_changes_no_other_part(
        text in "|(enabled=)?[01](,(fstrim_cloned_disks|type|freeze-fs)=[a-z0-9]{0,6}){0,3}|type=(isa|virtio)",
        on in any::<bool>(),
    ) {
        let before = Agent::parse(&text);
        let mut after = before.clone();
        after.set_enabled(on).unwrap();
        prop_assert_eq!(after.enabled(), on);
        let rest = |agent: &Agent| {
            let mut rest = others(agent.properties(), &["enabled"]);
            rest.retain(|(key, _)| key.is_some());
            rest
        };
        prop_assert_eq!(rest(&after), rest(&before));
        prop_assert_eq!(Agent::parse(&after.to_string()), after);
    }

    #[test]
    fn a_boot_order_of_devices_is_read_back(devices in prop::collection::vec("(scsi|ide|net)[0-9]{1,2}", 0..6)) {
        let devices = devices.iter().map(String::as_str).collect::<Vec<_>>();
        let boot = BootOrder::of(&devices);
        prop_assert_eq!(boot.devices(), Some(devices));
        prop_assert_eq!(BootOrder::parse(&boot.to_string()), boot);
    }

    #[test]
    fn booting_from_a_medium_and_back_moves_cd_drives_alone(
        mut devices in Just(vec!["scsi0", "ide2", "net0", "scsi1", "sata0", "net1"]).prop_shuffle(),
        length in 0_usize..=6,
    ) {
        devices.truncate(length);
        let config: VmConfig = serde_json::from_value(serde_json::json!({
            "boot": BootOrder::of(&devices).to_string(),
            "ide2": "local:iso/a.iso,media=cdrom",
            "sata0": "none,media=cdrom",
            "scsi0": "a1:vm-100-disk-0",
            "scsi1": "a1:vm-100-disk-1",
        }))
        .unwrap();
        let without = |names: &[&str]| {
            let rest = devices.iter().filter(|device| !names.contains(device));
            rest.copied().collect::<Vec<_>>()
        };
        let medium = config.boot_from_medium().unwrap();
        prop_assert_eq!(medium.devices().unwrap(), [vec!["ide2"], without(&["ide2"])].concat());
        let cds = ["ide2", "sata0"];
        let behind = devices.iter().filter(|device| cds.contains(device)).copied().collect::<Vec<_>>();
        let disk = config.boot_from_disk().unwrap();
        prop_assert_eq!(disk.devices().unwrap(), [without(&cds), behind].concat());
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
