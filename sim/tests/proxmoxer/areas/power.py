"""Status and power of a VM."""

from kit import has, holds, one, refused, same, step


@step
def the_status_of_a_running_vm_has_all_its_figures(lab):
    status = lab.vm(100).status.current.get()
    same((status["vmid"], status["status"], status["qmpstatus"], status["name"]), (100, "running", "running", "web1"))
    same((status["cpus"], status["maxmem"], status["maxdisk"], status["disk"]), (2, 4 << 30, 40 << 30, 0))
    holds(status["pid"] > 0 and status["uptime"] > 0 and status["netin"] > 0 and status["diskread"] > 0, status)
    same(status["ha"]["managed"], 0)
    same(("memhost" in status, "pressurecpusome" in status), (lab.major == 9, lab.major == 9))


@step
def the_vms_of_a_node_are_listed(lab):
    vms = lab.pve.nodes("pve1").qemu.get()
    same((one(vms, vmid=100)["name"], "qmpstatus" in one(vms, vmid=100)), ("web1", False))
    same(one(lab.pve.nodes("pve1").qemu.get(full=1), vmid=100)["qmpstatus"], "running")


@step
def a_stopped_vm_starts(lab):
    upid = lab.vm(102).status.start.post()
    lab.done(upid, "qmstart")
    same(lab.vm(102).status.current.get()["status"], "running")
    same(lab.effects("started", 102), 1)
    has(lab.log(upid), "TASK OK")


@step
def starting_twice_fails_in_the_task(lab):
    same(lab.end(lab.vm(102).status.start.post()), "VM 102 already running")
    same(lab.effects("started", 102), 1)


@step
def a_guest_shuts_down_when_asked(lab):
    lab.done(lab.vm(102).status.shutdown.post(timeout=60), "qmshutdown")
    same(lab.vm(102).status.current.get()["status"], "stopped")
    same(lab.effects("shut-down", 102), 1)


@step
def shutting_down_and_stopping_what_is_stopped_succeeds(lab):
    lab.done(lab.vm(102).status.shutdown.post())
    lab.done(lab.vm(102).status.stop.post())


@step
def a_stopped_vm_cannot_be_reset_rebooted_or_paused(lab):
    for action in ("reset", "reboot", "suspend", "resume"):
        refused(500, "VM 102 not running", lab.vm(102).status(action).post)


@step
def a_guest_that_ignores_the_button_is_not_shut_down_in_time(lab):
    upid = lab.vm(104, "pve2").status.shutdown.post(timeout=5)
    same(lab.end(upid), "VM quit/powerdown failed - got timeout")
    same(lab.vm(104, "pve2").status.current.get()["status"], "running")


@step
def a_shutdown_may_be_forced(lab):
    lab.done(lab.vm(104, "pve2").status.shutdown.post(timeout=5, forceStop=1))
    same(lab.vm(104, "pve2").status.current.get()["status"], "stopped")


@step
def a_reset_leaves_the_process(lab):
    before = lab.vm(101).status.current.get()["pid"]
    lab.done(lab.vm(101).status.reset.post(), "qmreset")
    same(lab.vm(101).status.current.get()["pid"], before)
    same(lab.effects("reset", 101), 1)


@step
def a_reboot_is_a_shutdown_and_a_start_of_roots(lab):
    before = lab.vm(101).status.current.get()["pid"]
    lab.done(lab.vm(101).status.reboot.post(timeout=60), "qmreboot")
    current = lab.vm(101).status.current.get
    lab.until("it runs again", lambda: current().get("pid") not in (None, before))
    same(lab.effects("started", 101), 1)


@step
def a_vm_is_paused_and_resumed(lab):
    lab.done(lab.vm(101).status.suspend.post(), "qmpause")
    status = lab.vm(101).status.current.get()
    same((status["status"], status["qmpstatus"]), ("running", "paused"))
    lab.done(lab.vm(101).status.resume.post(), "qmresume")
    same(lab.vm(101).status.current.get()["qmpstatus"], "running")


@step
def a_paused_vm_cannot_be_shut_down(lab):
    refused(500, "VM is paused - cannot shutdown", lab.vm(103, "pve2").status.shutdown.post)


@step
def a_vm_suspended_to_disk_is_stopped_and_locked_and_resumes_by_a_start(lab):
    lab.done(lab.vm(105).status.suspend.post(todisk=1), "qmsuspend")
    status = lab.vm(105).status.current.get()
    same((status["status"], status["lock"]), ("stopped", "suspended"))
    lab.done(lab.vm(105).status.start.post())
    status = lab.vm(105).status.current.get()
    same((status["status"], status.get("lock")), ("running", None))


@step
def a_locked_vm_does_not_stop(lab):
    lab.act("set-lock", vmid=100, lock="backup")
    same(lab.end(lab.vm(100).status.stop.post()), "VM is locked (backup)")
    same(lab.vm(100).status.current.get()["lock"], "backup")
    same(one(lab.pve.cluster.resources.get(type="vm"), vmid=100)["lock"], "backup")
    lab.act("set-lock", vmid=100)
    same(lab.effects("stopped", 100), 0)


@step
def a_template_does_not_start(lab):
    has(lab.end(lab.vm(9000).status.start.post()), "you can't start a vm if it's a template")


@step
def only_root_may_skip_a_lock(lab):
    refused(400, "Parameter verification failed.", lambda: lab.vm(102).status.start.post(skiplock=1), skiplock="root")


@step
def wrong_parameters_are_named(lab):
    call = lambda: lab.vm(102).status.start.post(timeout="soon", speed=9)
    refused(400, "Parameter verification failed.", call, timeout="type check ('integer') failed - got 'soon'", speed="not defined in schema")
