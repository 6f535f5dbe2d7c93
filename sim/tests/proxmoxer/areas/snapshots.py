"""Snapshots."""

from kit import has, holds, one, refused, same, step


def listed(lab, vmid, node="pve1"):
    return lab.vm(vmid, node).snapshot.get()


@step
def snapshots_are_listed_with_the_present_state(lab):
    entries = listed(lab, 100)
    first = one(entries, name="before-upgrade")
    same((first["description"], first["vmstate"]), ("Before the upgrade to Debian 13", 0))
    current = one(entries, name="current")
    same((current["description"], current["running"], current["parent"]), ("You are here!", 1, "before-upgrade"))
    holds(len(current["digest"]) == 40, current)


@step
def whether_snapshots_are_possible_depends_on_the_storage(lab):
    same(lab.vm(100).feature.get(feature="snapshot")["hasFeature"], 1)
    same(lab.vm(105).feature.get(feature="snapshot")["hasFeature"], 0)


@step
def a_snapshot_is_taken_with_memory(lab):
    upid = lab.vm(100).snapshot.post(snapname="with-memory", vmstate=1, description="two\nlines")
    lab.done(upid, "qmsnapshot")
    taken = one(listed(lab, 100), name="with-memory")
    same((taken["vmstate"], taken["parent"], taken["description"].strip()), (1, "before-upgrade", "two\nlines"))
    same(lab.effects("snapshot-created", 100, "with-memory"), 1)


@step
def a_name_is_used_once(lab):
    same(lab.end(lab.vm(100).snapshot.post(snapname="with-memory")), "snapshot name 'with-memory' already used")


@step
def reserved_and_impossible_names_are_refused(lab):
    refused(500, "unable to use snapshot name 'current' (reserved name)", lambda: lab.vm(100).snapshot.post(snapname="current"))
    refused(400, "Parameter verification failed.", lambda: lab.vm(100).snapshot.post(snapname="a"), snapname="invalid configuration ID 'a'")
    refused(400, "Parameter verification failed.", lambda: lab.vm(100).snapshot.post(snapname="a" * 41), snapname="value may only be 40 characters long")
    refused(400, "Parameter verification failed.", lambda: lab.vm(100).snapshot.post(), snapname="property is missing and it is not optional")


@step
def a_storage_without_snapshots_fails_in_the_task(lab):
    same(lab.end(lab.vm(105).snapshot.post(snapname="never")), "snapshot feature is not available")


@step
def a_description_can_be_changed(lab):
    lab.vm(100).snapshot("with-memory").config.put(description="another")
    same(lab.vm(100).snapshot("with-memory").config.get()["description"], "another")


@step
def a_rollback_brings_the_old_configuration_back(lab):
    same(lab.vm(100).config.get()["cores"], 2)
    lab.done(lab.vm(100).snapshot("before-upgrade").rollback.post(), "qmrollback")
    config = lab.vm(100).config.get()
    same((config["cores"], config["memory"], config["parent"]), (1, "2048", "before-upgrade"))
    same(lab.vm(100).status.current.get()["status"], "stopped")


@step
def a_rollback_to_saved_memory_runs_again(lab):
    lab.done(lab.vm(100).snapshot("with-memory").rollback.post())
    same((lab.vm(100).status.current.get()["status"], lab.vm(100).config.get()["cores"]), ("running", 2))


@step
def a_rollback_can_start_the_vm(lab):
    lab.done(lab.vm(100).snapshot("before-upgrade").rollback.post(start=1))
    # The start is another task, which may still run.
    lab.until("it runs", lambda: lab.vm(100).status.current.get()["status"] == "running")


@step
def zfs_rolls_back_only_to_the_newest(lab):
    vm = lab.vm(106, "pve2")
    has(lab.end(vm.snapshot("monday").rollback.post()), "can't rollback, 'monday' is not most recent snapshot on")
    lab.done(vm.snapshot("tuesday").rollback.post())


@step
def a_missing_snapshot_fails_in_the_task(lab):
    same(lab.end(lab.vm(100).snapshot("nothing").rollback.post()), "snapshot 'nothing' does not exist")


@step
def a_snapshot_is_removed_and_its_children_move_up(lab):
    lab.done(lab.vm(100).snapshot.post(snapname="third"))
    lab.done(lab.vm(100).snapshot("before-upgrade").delete(), "qmdelsnapshot")
    entries = listed(lab, 100)
    same({entry["name"] for entry in entries}, {"current", "with-memory", "third"})
    same("parent" in one(entries, name="third"), False)
    same(lab.effects("snapshot-removed", 100, "before-upgrade"), 1)


@step
def a_locked_vm_takes_none(lab):
    lab.act("set-lock", vmid=101, lock="migrate")
    same(lab.end(lab.vm(101).snapshot.post(snapname="locked")), "VM is locked (migrate)")
    lab.act("set-lock", vmid=101)


@step
def a_task_that_fails_midway_leaves_nothing(lab):
    lab.fault("fail-tasks", task="qmsnapshot", vmid=101, text="no space left on device")
    has(lab.end(lab.vm(101).snapshot.post(snapname="full")), "no space left on device")
    same([entry["name"] for entry in listed(lab, 101)], ["current"])
    same(lab.vm(101).status.current.get().get("lock"), None)
