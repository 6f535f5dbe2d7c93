"""Moving VMs to other nodes and disks to other storages."""

from kit import AUDITOR, has, holds, one, refused, same, step


@step
def the_preconditions_tell_what_is_in_the_way(lab):
    found = lab.vm(100).migrate.get()
    same((int(found["running"]), found["allowed_nodes"]), (1, ["pve2"]))
    disk = one(found["local_disks"], volid="local-lvm:vm-100-disk-0")
    same((int(disk["cdrom"]), int(disk["is_unused"]), int(disk["size"])), (0, 0, 40 << 30))
    same("has-dbus-vmstate" in found, lab.major == 9)


@step
def a_node_without_the_storage_is_not_allowed(lab):
    found = lab.vm(106, "pve2").migrate.get()
    same((found["allowed_nodes"], found["not_allowed_nodes"]["pve1"]["unavailable_storages"]), ([], ["local-zfs"]))


@step
def a_stopped_vm_moves_with_its_disks(lab):
    upid = lab.vm(102).migrate.post(target="pve2")
    lab.done(upid, "qmigrate")
    has(lab.log(upid), "migration finished successfully")
    same(lab.vm(102, "pve2").config.get()["name"], "staging")
    refused(500, "'nodes/pve1/qemu-server/102.conf' does not exist", lab.vm(102).config.get)
    same(lab.effects("migrated", 102, "pve2"), 1)


@step
def a_running_vm_moves_online_and_with_local_disks(lab):
    refused(500, "can't migrate running VM without --online", lambda: lab.vm(101).migrate.post(target="pve2"))
    same(lab.end(lab.vm(101).migrate.post(target="pve2", online=1)), "migration aborted")
    lab.done(lab.vm(101).migrate.post(target="pve2", online=1, **{"with-local-disks": 1}))
    same(lab.vm(101, "pve2").status.current.get()["status"], "running")


@step
def a_storage_takes_the_place_of_another(lab):
    lab.done(lab.vm(102, "pve2").migrate.post(target="pve1", targetstorage="local-lvm:local"))
    has(lab.vm(102).config.get()["scsi0"], "local:102/vm-102-disk-0.raw")


@step
def wrong_targets_are_refused(lab):
    refused(400, "Parameter verification failed.", lambda: lab.vm(102).migrate.post(target="pve1"), target="target is local node.")
    refused(500, "no such cluster node 'pve9'", lambda: lab.vm(102).migrate.post(target="pve9"))
    refused(403, "(/vms/102, VM.Migrate)", lambda: lab.connect(**AUDITOR).nodes("pve1").qemu(102).migrate.post(target="pve2"))


@step
def a_migration_that_fails_leaves_the_vm(lab):
    lab.fault("fail-tasks", task="qmigrate", text="connection lost")
    upid = lab.vm(105).migrate.post(target="pve2", online=1, **{"with-local-disks": 1})
    same(lab.end(upid, "qmigrate"), "migration problems")
    has(lab.log(upid), "connection lost")
    same("lock" in lab.vm(105).status.current.get(), False)


@step
def a_disk_moves_and_leaves_an_unused_one(lab):
    lab.done(lab.vm(102).move_disk.post(disk="scsi0", storage="local-lvm"), "qmmove")
    config = lab.vm(102).config.get()
    has(config["scsi0"], "local-lvm:vm-102-disk-0")
    has(config["unused0"], "local:102/vm-102-disk-0.raw")
    same(lab.effects("disk-moved", 102, "scsi0"), 1)


@step
def a_disk_moves_for_good(lab):
    lab.done(lab.vm(102).move_disk.post(disk="scsi0", storage="local", format="qcow2", delete=1))
    has(lab.vm(102).config.get()["scsi0"], ".qcow2")
    images = lab.pve.nodes("pve1").storage("local-lvm").content.get(content="images", vmid=102)
    same(images, [])


@step
def what_does_not_move_is_refused(lab):
    move = lab.vm(100).move_disk.post
    text = "you can't move a disk with snapshots and delete the source"
    refused(500, text, lambda: move(disk="scsi0", storage="local", delete=1))
    refused(500, "disk 'scsi9' does not exist", lambda: move(disk="scsi9", storage="local"))
    refused(400, "Parameter verification failed.", lambda: move(disk="scsi0"), storage="both 'storage' and 'target-vmid' missing")


@step
def a_disk_changes_its_owner(lab):
    lab.act("set-running", vmid=105, running=False)
    upid = lab.vm(102).move_disk.post(disk="scsi0", **{"target-vmid": 105, "target-disk": "scsi1"})
    has(upid, ":qmmove:102-scsi0>105-scsi1:")
    same(lab.end(upid), "OK")
    has(lab.vm(105).config.get()["scsi1"], "local:105/vm-105-disk-1.qcow2")
    same("scsi0" in lab.vm(102).config.get(), False)
