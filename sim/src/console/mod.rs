//! Consoles: what `vncproxy` and `vncwebsocket` lead to.
//!
//! `vncproxy` hands out a [`ticket`] and begins a task that waits on a port ([`session`]); `vncwebsocket` checks the
//! ticket, upgrades the connection by the rules of pveproxy ([`socket`], [`frame`]) and connects it to the port.
//! Behind it an [`rfb`] server shows the screen of a [`mod@guest`], which is a [`terminal`] drawn with [`font`]:
//! it prints its [`boot`] log, asks for a login, and has a small [`shell`]. What `termproxy` hands out leads to the same
//! text as a [`serial`] terminal. [`keys`] knows the names of keys.
//!
//! A port belongs to the host that answered `vncproxy` and takes one connection. The screen belongs to the VM: it
//! outlives connections, is shared by all of them, and begins anew when the VM boots.
//!
//! Deliberately not here: real TCP ports (only the WebSocket way is offered), SPICE, audio, clipboards.

mod boot;
mod font;
mod frame;
mod guest;
pub(crate) mod keys;
mod rfb;
mod serial;
mod session;
mod shell;
pub(crate) mod socket;
mod terminal;
pub(crate) mod ticket;

use std::collections::BTreeMap;

use tokio::io::DuplexStream;
use tokio::sync::oneshot;

pub(crate) use self::guest::Guest;
pub(crate) use self::session::{Asked, Line, admits, attach, open, open_terminal};
use crate::clock::Clock;
use crate::world::World;

/// The ports that PVE gives to VNC.
const PORTS: std::ops::RangeInclusive<u16> = 5900..=5999;

/// A port that waits for its one connection.
#[derive(Debug)]
struct Waiting {
    /// Tells it from a later one on the same port.
    serial: u64,
    /// The host on which it listens.
    host: usize,
    /// Takes the connection.
    connect: oneshot::Sender<DuplexStream>,
}

/// The ports that wait and the screens that were looked at.
#[derive(Debug, Default)]
pub(crate) struct Consoles {
    /// Whether tickets have the form from before April 2026.
    pub(crate) old_tickets: bool,
    waiting: BTreeMap<u16, Waiting>,
    guests: BTreeMap<u32, Guest>,
    serial: u64,
}

impl Consoles {
    /// Lets a free port of a host wait; `None` if all are taken.
    fn listen(&mut self, host: usize) -> Option<(u16, u64, oneshot::Receiver<DuplexStream>)> {
        let port = PORTS.into_iter().find(|port| !self.waiting.contains_key(port))?;
        self.serial += 1;
        let (connect, connected) = oneshot::channel();
        let waiting = Waiting {
            serial: self.serial,
            host,
            connect,
        };
        self.waiting.insert(port, waiting);
        Some((port, self.serial, connected))
    }

    /// Ends the wait of a port, if it still is this one.
    fn forget(&mut self, port: u16, serial: u64) {
        if self
            .waiting
            .get(&port)
            .is_some_and(|known| known.serial == serial)
        {
            self.waiting.remove(&port);
        }
    }

    /// Takes the place at a port of a host, which nobody else gets then; `None` when nothing waits there.
    pub(crate) fn connect(&mut self, host: usize, port: u16) -> Option<oneshot::Sender<DuplexStream>> {
        if self.waiting.get(&port)?.host != host {
            return None;
        }
        Some(self.waiting.remove(&port)?.connect)
    }

    /// A VM was reset: its guest boots again, if anybody has seen it.
    pub(crate) fn reset(&mut self, vmid: u32, now: f64) {
        if let Some(guest) = self.guests.get_mut(&vmid) {
            guest.boot_again(now);
        }
    }
}

/// Another QEMU process takes a running VM's guest over, as in a migration: its screen stays what it is.
pub(crate) fn take_over(world: &mut World, vmid: u32, process: u32, clock: &Clock) {
    if let Some(guest) = guest(world, vmid, clock) {
        guest.shown_by(process);
    }
}

/// Presses keys of a VM that runs, one after the other, and lets them go; a paused guest does not see them.
pub(crate) fn press(world: &mut World, vmid: u32, keysyms: &[u32], clock: &Clock) {
    let paused = world.vms.get(&vmid).and_then(|vm| vm.run.as_ref());
    if paused.is_none_or(|run| run.paused) {
        return;
    }
    let now = clock.now();
    if let Some(guest) = guest(world, vmid, clock) {
        for keysym in keysyms {
            guest.key(*keysym, true, now);
        }
        for keysym in keysyms.iter().rev() {
            guest.key(*keysym, false, now);
        }
    }
}

/// The guest of a VM that runs, brought up to now; `None` if the VM does not run.
pub(crate) fn guest<'a>(world: &'a mut World, vmid: u32, clock: &Clock) -> Option<&'a mut Guest> {
    let vm = world.vms.get(&vmid)?;
    let run = vm.run.as_ref()?;
    let guests = &mut world.consoles.guests;
    if guests.get(&vmid).is_none_or(|known| known.process() != run.pid) {
        guests.insert(vmid, Guest::of(vm, run));
    }
    let guest = guests.get_mut(&vmid)?;
    if !run.paused {
        guest.advance(clock);
    }
    Some(guest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_takes_one_connection_and_only_on_its_own_host() {
        let mut consoles = Consoles::default();
        let (first, _, _first) = consoles.listen(0).unwrap();
        let (second, _, _second) = consoles.listen(1).unwrap();
        assert_eq!((first, second), (5900, 5901));
        assert!(consoles.connect(1, first).is_none());
        assert!(consoles.connect(0, first).is_some());
        assert!(consoles.connect(0, first).is_none());
    }

    #[test]
    fn a_port_that_was_given_anew_is_not_forgotten_with_the_old_one() {
        let mut consoles = Consoles::default();
        let (port, serial, _connected) = consoles.listen(0).unwrap();
        assert!(consoles.connect(0, port).is_some());
        let (again, _, _connected) = consoles.listen(0).unwrap();
        assert_eq!(again, port);
        consoles.forget(port, serial);
        assert!(consoles.connect(0, again).is_some());
    }

    #[test]
    fn a_hundred_ports_can_wait_and_no_more() {
        let mut consoles = Consoles::default();
        let held = (0..100).map(|_| consoles.listen(0)).collect::<Option<Vec<_>>>();
        assert_eq!(held.unwrap().len(), 100);
        assert!(consoles.listen(0).is_none());
    }
}
