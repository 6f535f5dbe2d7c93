//! QEMU begins and ends. When it begins or is ended, what was pending becomes real, and volumes that lose their place by
//! that are put aside or freed.

use indexmap::IndexMap;

use super::World;
use crate::config::settle::settle;

impl World {
    /// QEMU begins for a VM, and the guest in it.
    pub(crate) fn begin_run(&mut self, vmid: u32, now: f64) {
        self.begin_prelaunch(vmid, now);
        if let Some(vm) = self.vms.get_mut(&vmid) {
            vm.set_paused(false, now);
        }
    }

    /// QEMU begins for a VM, the guest does not.
    pub(crate) fn begin_prelaunch(&mut self, vmid: u32, now: f64) {
        self.apply_pending(vmid);
        let pid = self.pid();
        if let Some(vm) = self.vms.get_mut(&vmid) {
            vm.begin_prelaunch(now, pid);
        }
    }

    /// QEMU is ended for a VM.
    pub(crate) fn end_run(&mut self, vmid: u32, now: f64) {
        self.lose_run(vmid, now);
        self.apply_pending(vmid);
    }

    /// QEMU ends by itself: the guest powered off, or the node went. What is pending waits for the next start.
    pub(crate) fn lose_run(&mut self, vmid: u32, now: f64) {
        if let Some(vm) = self.vms.get_mut(&vmid) {
            vm.end_run(now);
        }
    }

    /// Makes a stopped VM's pending changes real. What cannot be done stays pending, as in PVE, which only warns.
    fn apply_pending(&mut self, vmid: u32) {
        let Some(vm) = self.vms.get_mut(&vmid) else { return };
        for volid in settle(vm, None, IndexMap::new()).freed {
            self.remove_volume(&volid);
        }
    }
}
