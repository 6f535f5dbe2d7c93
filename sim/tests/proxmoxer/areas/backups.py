"""Backups and restores."""

from kit import has, holds, one, refused, same, step


def backups(lab, storage, vmid, node="pve1"):
    return lab.pve.nodes(node).storage(storage).content.get(content="backup", vmid=vmid)


def volume(lab, storage, volid, node="pve1"):
    return lab.pve.nodes(node).storage(storage).content(volid)


def back_up(lab, vmid, **options):
    options = {"storage": "local", "mode": "snapshot", "compress": "zstd", "remove": 0, **options}
    return lab.pve.nodes("pve1").vzdump.post(vmid=vmid, **options)


KEPT = {}


@step
def a_backup_is_made_with_progress_in_its_log(lab):
    before = backups(lab, "local", 100)
    upid = back_up(lab, 100, **{"notes-template": "{{guestname}} of {{vmid}}"})
    lab.done(upid, "vzdump")
    log = lab.log(upid)
    for part in ("INFO: starting new backup job", "INFO: Starting Backup of VM 100 (qemu)", "%", "TASK OK"):
        has(log, part)
    made = [entry for entry in backups(lab, "local", 100) if entry not in before]
    same(len(made), 1)
    same((made[0]["format"], made[0]["vmid"], made[0]["subtype"], made[0]["notes"]), ("vma.zst", 100, "qemu", "web1 of 100"))
    holds(made[0]["volid"].startswith("local:backup/vzdump-qemu-100-") and made[0]["size"] > 0, made[0])
    same(lab.effects("backup-created", 100), 1)
    KEPT["volid"] = made[0]["volid"]


@step
def its_notes_and_protection_are_changed(lab):
    volid = KEPT["volid"]
    volume(lab, "local", volid).put(notes="first line\nsecond line", protected=1)
    same(volume(lab, "local", volid).get()["notes"].strip(), "first line\nsecond line")
    same(one(backups(lab, "local", 100), volid=volid)["notes"], "first line")
    has(lab.end(volume(lab, "local", volid).delete()), "cannot remove protected")
    volume(lab, "local", volid).put(protected=0)


@step
def its_configuration_can_be_read(lab):
    text = lab.pve.nodes("pve1").vzdump.extractconfig.get(volume=KEPT["volid"])
    has(text, "name: web1")


@step
def a_restore_needs_force_and_a_stopped_vm(lab):
    text = "unable to restore VM 100 - VM 100 already exists on node 'pve1'"
    refused(500, text, lambda: lab.pve.nodes("pve1").qemu.post(vmid=100, archive=KEPT["volid"]))
    has(lab.end(lab.pve.nodes("pve1").qemu.post(vmid=100, archive=KEPT["volid"], force=1)), "is running")


@step
def a_restore_brings_the_configuration_of_then_and_drops_snapshots(lab):
    lab.vm(100).config.put(description="after the backup")
    lab.done(lab.vm(100).status.stop.post())
    lab.done(lab.pve.nodes("pve1").qemu.post(vmid=100, archive=KEPT["volid"], force=1), "qmrestore")
    config = lab.vm(100).config.get()
    same((config["name"], config["description"].strip()), ("web1", "Web server of the demo"))
    same([entry["name"] for entry in lab.vm(100).snapshot.get()], ["current"])
    same(lab.effects("restored", 100), 1)


@step
def a_restore_takes_values_that_shall_not_come_back_and_may_start(lab):
    call = lab.pve.nodes("pve1").qemu.post
    lab.done(call(vmid=100, archive=KEPT["volid"], force=1, cores=7, start=1))
    same(lab.vm(100).config.get()["cores"], 7)
    lab.until("it runs", lambda: lab.vm(100).status.current.get()["status"] == "running")
    refused(400, "Parameter verification failed.", lambda: call(vmid=100, archive=KEPT["volid"], force=1, scsi0="local-lvm:1"), scsi0="option conflicts with option 'archive'")


@step
def a_backup_is_restored_as_another_vm(lab):
    lab.done(lab.pve.nodes("pve1").qemu.post(vmid=400, archive=KEPT["volid"], unique=1), "qmrestore")
    holds(lab.vm(400).config.get()["net0"] != lab.vm(100).config.get()["net0"], "the same MAC address")


@step
def a_restore_that_fails_midway_leaves_little(lab):
    lab.fault("fail-tasks", task="qmrestore", vmid=400, text="error before or during data restore")
    has(lab.end(lab.pve.nodes("pve1").qemu.post(vmid=400, archive=KEPT["volid"], force=1)), "error before or during data restore")
    same("scsi0" in lab.vm(400).config.get(), False)


@step
def a_locked_vm_is_not_backed_up_and_the_log_says_so(lab):
    lab.act("set-lock", vmid=101, lock="snapshot")
    upid = back_up(lab, 101)
    same(lab.end(upid), "job errors")
    has(lab.log(upid), "ERROR: Backup of VM 101 failed - VM is locked (snapshot)")
    lab.act("set-lock", vmid=101)


@step
def a_vm_of_another_node_is_only_ok(lab):
    same(back_up(lab, 106), "OK")
    same(backups(lab, "local", 106), [])


@step
def two_backups_wait_for_each_other(lab):
    lab.fault("stick-tasks", task="vzdump", vmid=101)
    first = back_up(lab, 101)
    lab.until("the first holds the lock", lambda: lab.vm(101).status.current.get().get("lock") == "backup")
    second = back_up(lab, 102)
    lab.until("the second waits", lambda: "trying to get global lock - waiting" in lab.log(second))
    lab.pve.nodes("pve1").tasks(first).delete()
    holds(lab.end(first) != "OK", lab.end(first))
    lab.done(second)


@step
def a_backup_server_lists_its_own_way(lab):
    lab.done(back_up(lab, 105, storage="backups"))
    entry = backups(lab, "backups", 105)[-1]
    same((entry["format"], entry["volid"].startswith("backups:backup/vm/105/")), ("pbs-vm", True))


@step
def a_backup_is_removed_by_a_task_or_waited_for(lab):
    lab.done(volume(lab, "local", KEPT["volid"]).delete(), "imgdel")
    same([entry for entry in backups(lab, "local", 100) if entry["volid"] == KEPT["volid"]], [])
    other = backups(lab, "local", 102)[0]["volid"]
    same(volume(lab, "local", other).delete(delay=20), None)
    same(backups(lab, "local", 102), [])


@step
def what_is_wrong_with_a_job_is_named(lab):
    refused(400, "Parameter verification failed.", lambda: back_up(lab, 100, mode="fast"), mode="does not have a value in the enumeration")
    refused(403, "Permission check failed", lambda: back_up(lab, 100, **{"prune-backups": "keep-last=1", "remove": 1}))
