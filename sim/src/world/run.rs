//! QEMU begins and ends. Both are cold: what was pending becomes real, and volumes that lose their place by that are put
//! aside or freed.

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

    /// QEMU ends for a VM.
    pub(crate) fn end_run(&mut self, vmid: u32, now: f64) {
        if let Some(vm) = self.vms.get_mut(&vmid) {
            vm.end_run(now);
        }
        self.apply_pending(vmid);
    }

    /// Makes a stopped VM's pending changes real. What cannot be done stays pending, as in PVE, which only warns.
    fn apply_pending(&mut self, vmid: u32) {
        let Some(vm) = self.vms.get_mut(&vmid) else { return };
        for volid in settle(vm, None, IndexMap::new()).freed {
            self.remove_volume(&volid);
        }
    }
}
