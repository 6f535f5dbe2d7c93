//! What a guest prints while it boots.

use super::guest::Machine;

/// When each line appears, in seconds after power-on, and the line.
pub(super) fn log(machine: &Machine) -> Vec<(f64, String)> {
    let kib = machine.memory / 1024;
    let (name, cpus) = (&machine.hostname, machine.cpus);
    [
        (
            0.0,
            "SeaBIOS (version rel-1.16.3-0-ga6ed6b701f0a-prebuilt.qemu.org)".to_owned(),
        ),
        (0.2, "Booting from Hard Disk...".to_owned()),
        (0.6, "GRUB loading..".to_owned()),
        (
            1.0,
            "[    0.000000] Linux version 6.12.48+deb13-amd64 (debian-kernel@lists.debian.org)".to_owned(),
        ),
        (
            1.0,
            "[    0.000000] DMI: QEMU Standard PC (i440FX + PIIX, 1996)".to_owned(),
        ),
        (
            1.1,
            format!(
                "[    0.041231] Memory: {}K/{kib}K available",
                kib.saturating_sub(63_488)
            ),
        ),
        (1.2, format!("[    0.172214] smp: Brought up 1 node, {cpus} CPUs")),
        (
            1.4,
            "[    0.611900] virtio_blk virtio2: [vda] 512-byte logical blocks".to_owned(),
        ),
        (
            1.6,
            "[    0.934187] EXT4-fs (vda1): mounted filesystem with ordered data mode".to_owned(),
        ),
        (1.8, String::new()),
        (1.8, "Welcome to Debian GNU/Linux 13 (trixie)!".to_owned()),
        (2.0, String::new()),
        (2.0, format!("[  OK  ] Set hostname to {name}.")),
        (2.2, "[  OK  ] Mounted boot-efi.mount - /boot/efi.".to_owned()),
        (
            2.4,
            "[  OK  ] Reached target local-fs.target - Local File Systems.".to_owned(),
        ),
        (
            2.8,
            "[  OK  ] Started cloud-init-local.service - Cloud-init: Local Stage.".to_owned(),
        ),
        (
            3.2,
            "[  OK  ] Reached target network-online.target - Network is Online.".to_owned(),
        ),
        (
            3.6,
            "[  OK  ] Started ssh.service - OpenBSD Secure Shell server.".to_owned(),
        ),
        (
            3.8,
            "[  OK  ] Started qemu-guest-agent.service - QEMU Guest Agent.".to_owned(),
        ),
        (
            4.0,
            "[  OK  ] Reached target multi-user.target - Multi-User System.".to_owned(),
        ),
        (4.2, String::new()),
    ]
    .into()
}
