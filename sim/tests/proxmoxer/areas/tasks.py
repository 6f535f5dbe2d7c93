"""Tasks: status, log, list, stopping."""

from kit import AUDITOR, BARE, PANEL, has, holds, one, refused, same, step
from proxmoxer.tools import Tasks

REFERENCE = {}


@step
def a_task_ends_with_a_status_and_a_log(lab):
    upid = lab.vm(102).status.start.post()
    parts = Tasks.decode_upid(upid)
    same((parts["node"], parts["type"], parts["id"], parts["user"], parts["comment"]), ("pve1", "qmstart", "102", "portico@pve", ""))
    lab.done(upid)
    status = lab.pve.nodes("pve1").tasks(upid).status.get()
    same((status["status"], status["exitstatus"], status["upid"], status["type"], status["id"]), ("stopped", "OK", upid, "qmstart", "102"))
    same((status["user"], status["tokenid"]), ("portico@pve", "panel"))
    same((status["pid"], status["pstart"], status["starttime"]), (parts["pid"], parts["pstart"], parts["starttime"]))
    has(lab.log(upid), "TASK OK")
    REFERENCE["upid"] = upid


@step
def a_log_is_read_in_parts(lab):
    log = lab.pve.nodes("pve1").tasks(REFERENCE["upid"]).log
    whole = log.get(limit=0)
    same(log.get(start=len(whole) - 1, limit=1), [whole[-1]])
    same([line["n"] for line in whole], list(range(1, len(whole) + 1)))


@step
def a_node_lists_its_tasks(lab):
    entry = one(lab.pve.nodes("pve1").tasks.get(vmid=102, typefilter="qmstart"), upid=REFERENCE["upid"])
    same(entry["status"], "OK")
    holds(entry["endtime"] >= entry["starttime"], entry)
    same(lab.pve.nodes("pve1").tasks.get(vmid=102, errors=1), [])
    same(lab.pve.nodes("pve2").tasks.get(vmid=102), [])


@step
def a_failed_task_says_why(lab):
    upid = lab.vm(102).status.start.post()
    same(lab.end(upid), "VM 102 already running")
    has(lab.log(upid), "TASK ERROR: VM 102 already running")
    same(one(lab.pve.nodes("pve1").tasks.get(errors=1, vmid=102), upid=upid)["status"], "VM 102 already running")


@step
def a_stuck_task_runs_until_it_is_stopped(lab):
    lab.fault("stick-tasks", task="qmsnapshot", vmid=101)
    upid = lab.vm(101).snapshot.post(snapname="stuck")
    lab.until("it holds the VM", lambda: lab.vm(101).status.current.get().get("lock") == "snapshot")
    same(Tasks.blocking_status(lab.pve, upid, timeout=0.05, polling_interval=0.01), None)
    same(one(lab.pve.nodes("pve1").tasks.get(source="active"), upid=upid).get("status", "RUNNING"), "RUNNING")
    same([task for task in lab.pve.nodes("pve1").tasks.get() if task["upid"] == upid], [])
    same(lab.pve.nodes("pve1").tasks(upid).delete(), None)
    holds(lab.end(upid) in ("received interrupt", "interrupted by signal", "unexpected status"), lab.end(upid))


@step
def a_killed_task_leaves_its_lock(lab):
    lab.fault("kill-tasks", task="qmsnapshot", vmid=106)
    upid = lab.vm(106, "pve2").snapshot.post(snapname="half")
    same(lab.end(upid), "unexpected status")
    same(lab.vm(106, "pve2").status.current.get()["lock"], "snapshot")


@step
def others_tasks_are_not_shown(lab):
    upid = REFERENCE["upid"]
    refused(403, "Permission check failed", lab.connect(**BARE).nodes("pve1").tasks(upid).status.get)
    same(lab.connect(**BARE).nodes("pve1").tasks.get(source="all"), [])
    same(lab.connect(**AUDITOR).nodes("pve1").tasks(upid).status.get()["exitstatus"], "OK")


@step
def unknown_and_malformed_tasks_are_wrong_parameters(lab):
    unknown = "UPID:pve1:00000001:00000002:68A00000:qmstart:102:portico@pve!panel:"
    refused(400, "Parameter verification failed.", lab.pve.nodes("pve1").tasks(unknown).status.get, upid="no such task")
    refused(400, "Parameter verification failed.", lab.pve.nodes("pve1").tasks("UPID:x").status.get, upid="unable to parse worker upid")


@step
def a_lost_answer_leaves_a_task_that_can_be_found(lab):
    before = lab.effects("started", 105)
    lab.done(lab.vm(105).status.stop.post())
    lab.fault("cut", moment="after-effect", method="POST", path="/nodes/{node}/qemu/{vmid}/status/start", vmid=105)
    try:
        lab.vm(105).status.start.post()
    except Exception as error:  # pylint: disable=broad-except
        # A proxy in between makes a status of it.
        has(type(error).__module__, "proxmoxer" if lab.proxied else "requests")
    else:
        raise AssertionError("the connection was not cut")
    upid = one(lab.pve.nodes("pve1").tasks.get(vmid=105, typefilter="qmstart", source="all"))["upid"]
    lab.done(upid)
    same(lab.effects("started", 105), before + 1)
