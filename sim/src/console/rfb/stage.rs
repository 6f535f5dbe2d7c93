//! The VM behind a console: its screen, its keys, and whether it is still there.

use std::sync::Arc;

use super::picture::Picture;
use crate::console::guest::Pointer;
use crate::console::serial::Text;
use crate::console::{Guest, font, guest, terminal};
use crate::simulation::Simulation;
use crate::world::World;

/// What a client may ask for at most, in pixels: QEMU's limits.
const LARGEST: (u16, u16) = (5120, 2160);

/// The answers to a wish for another size, as the registry of RFB extensions numbers them.
pub(super) mod status {
    /// It was done.
    pub(in super::super) const DONE: u16 = 0;
    /// The size is too large.
    pub(in super::super) const OUT_OF_RESOURCES: u16 = 2;
    /// The monitors do not fit into it, or it is too small for anything.
    pub(in super::super) const INVALID_LAYOUT: u16 = 3;
}

/// A VM that runs, on a node.
#[derive(Debug)]
pub(crate) struct Stage {
    sim: Arc<Simulation>,
    node: String,
    vmid: u32,
    process: u32,
    name: String,
}

impl Stage {
    /// The VM, if it runs on that node and the node is there.
    pub(crate) fn of(sim: &Arc<Simulation>, node: &str, vmid: u32) -> Option<Self> {
        let world = sim.world();
        let vm = world.vm(node, vmid).ok()?;
        let process = vm.run.as_ref()?.pid;
        let name = vm.name();
        let reachable = world.nodes.get(node).is_some_and(|known| known.online);
        drop(world);
        reachable.then(|| Self {
            sim: Arc::clone(sim),
            node: node.to_owned(),
            vmid,
            process,
            name,
        })
    }

    /// The VM's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Makes challenges reproducible.
    pub(super) fn seed(&self) -> u64 {
        self.sim.world().seed
    }

    /// The cluster's time.
    pub(super) fn now(&self) -> f64 {
        self.sim.clock.now()
    }

    /// Whether the same QEMU still runs in the same place.
    pub(in crate::console) fn lives(&self) -> bool {
        self.is_in(&self.sim.world())
    }

    fn is_in(&self, world: &World) -> bool {
        let here = |vm: &&crate::world::vm::Vm| vm.run.as_ref().is_some_and(|run| run.pid == self.process);
        world.vm(&self.node, self.vmid).ok().as_ref().is_some_and(here)
            && world.nodes.get(&self.node).is_some_and(|node| node.online)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Guest) -> T) -> Option<T> {
        let mut world = self.sim.world();
        if !self.is_in(&world) {
            return None;
        }
        guest(&mut world, self.vmid, &self.sim.clock).map(act)
    }

    /// What is to be seen, unless nothing has changed since `seen`.
    pub(super) fn picture(&self, seen: u64) -> Option<Picture> {
        self.with(|guest| (guest.generation() != seen).then(|| Picture::of(guest)))
            .flatten()
    }

    /// The text that is to be seen, unless nothing has changed since `seen`.
    pub(in crate::console) fn text(&self, seen: u64) -> Option<Text> {
        let text = |guest: &mut Guest| {
            (guest.generation() != seen).then(|| Text {
                generation: guest.generation(),
                rows: guest.terminal().text(),
                cursor: guest.terminal().cursor(),
            })
        };
        self.with(text).flatten()
    }

    fn paused(&self) -> bool {
        let world = self.sim.world();
        let run = world.vms.get(&self.vmid).and_then(|vm| vm.run.as_ref());
        run.is_none_or(|run| run.paused)
    }

    /// A key was pressed or let go. A paused guest does not see it.
    pub(in crate::console) fn key(&self, keysym: u32, down: bool) {
        if !self.paused() {
            let now = self.now();
            self.with(|guest| guest.key(keysym, down, now));
        }
    }

    /// The pointer moved.
    pub(super) fn point(&self, pointer: Pointer) {
        if !self.paused() {
            self.with(|guest| guest.point(pointer));
        }
    }

    /// Gives the screen another size, and says how that went.
    pub(super) fn resize(&self, width: u16, height: u16, sound: bool) -> u16 {
        let (columns, rows) = terminal::SMALLEST;
        let too_small =
            usize::from(width / font::CELL_WIDTH) < columns || usize::from(height / font::CELL_HEIGHT) < rows;
        if !sound || too_small {
            return status::INVALID_LAYOUT;
        }
        if width > LARGEST.0 || height > LARGEST.1 {
            return status::OUT_OF_RESOURCES;
        }
        self.with(|guest| guest.resize(width, height));
        status::DONE
    }
}
