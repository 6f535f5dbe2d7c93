"""Making, copying and removing VMs."""

from kit import has, holds, one, refused, same, step


@step
def a_template_is_cloned_linked(lab):
    upid = lab.vm(9000).clone.post(newid=300, name="linked")
    lab.done(upid, "qmclone")
    config = lab.vm(300).config.get()
    same((config["name"], "template" in config), ("linked", False))
    has(config["scsi0"], "local-lvm:")
    holds(config["net0"] != lab.vm(9000).config.get()["net0"], "the same MAC address")
    same(lab.effects("cloned", 300), 1)


@step
def a_template_is_cloned_in_full(lab):
    lab.done(lab.vm(9000).clone.post(newid=301, name="full", full=1, storage="local-lvm", description="a copy"))
    same(lab.vm(301).config.get()["description"].strip(), "a copy")
    same(lab.vm(301).status.current.get()["status"], "stopped")


@step
def a_linked_clone_takes_no_storage(lab):
    call = lambda: lab.vm(9000).clone.post(newid=302, storage="local-lvm")
    refused(500, "parameter 'storage' not allowed for linked clones", call)


@step
def a_taken_vmid_is_refused(lab):
    refused(500, "unable to create VM 300: config file already exists", lambda: lab.vm(9000).clone.post(newid=300))


@step
def a_clone_that_fails_leaves_nothing(lab):
    lab.fault("fail-tasks", task="qmclone", text="no space")
    has(lab.end(lab.vm(9000).clone.post(newid=303, full=1)), "clone failed: ")
    refused(500, "does not exist", lab.vm(303).config.get)


@step
def a_clone_is_set_up_grows_and_starts(lab):
    lab.vm(301).config.put(cores=2, memory=2048, net0="virtio=BC:24:11:AA:BB:CC,bridge=vmbr0,firewall=1,rate=12.5")
    lab.done(lab.vm(301).resize.put(disk="scsi0", size="10G"))
    config = lab.vm(301).config.get()
    has(config["scsi0"], "size=10G")
    same(config["net0"], "virtio=BC:24:11:AA:BB:CC,bridge=vmbr0,firewall=1,rate=12.5")
    lab.done(lab.vm(301).status.start.post())


@step
def a_running_vm_is_not_destroyed(lab):
    refused(500, "VM 301 is running - destroy failed", lab.vm(301).delete)


@step
def a_protected_vm_is_not_destroyed(lab):
    lab.vm(300).config.put(protection=1)
    refused(500, "can't remove VM 300 - protection mode enabled", lab.vm(300).delete)
    lab.vm(300).config.put(protection=0)


@step
def a_template_in_use_is_not_destroyed(lab):
    # Only storages of files and ZFS know whose base an image is; thin LVM does not.
    create = lab.pve.nodes("pve1").qemu.post
    lab.done(create(vmid=330, name="base", memory=512, scsi0="local:2,format=qcow2"))
    lab.done(lab.vm(330).template.post())
    lab.done(lab.vm(330).clone.post(newid=331))
    has(lab.vm(331).config.get()["scsi0"], "local:330/base-330-disk-0.qcow2/331/vm-331-disk-0.qcow2")
    has(lab.end(lab.vm(330).delete()), "is still in use by linked clone")
    same(lab.vm(330).config.get()["template"], 1)
    lab.done(lab.vm(331).delete())
    lab.done(lab.vm(330).delete())


@step
def a_vm_is_destroyed_with_its_disks(lab):
    lab.done(lab.vm(301).status.stop.post())
    upid = lab.vm(301).delete(purge=1, **{"destroy-unreferenced-disks": 1})
    lab.done(upid, "qmdestroy")
    refused(500, "Configuration file 'nodes/pve1/qemu-server/301.conf' does not exist", lab.vm(301).config.get)
    images = lab.pve.nodes("pve1").storage("local-lvm").content.get(content="images")
    same([image for image in images if image.get("vmid") == 301], [])
    same([vm for vm in lab.pve.cluster.resources.get(type="vm") if vm["vmid"] == 301], [])
    same(lab.effects("destroyed", 301), 1)


@step
def a_vm_is_made_from_nothing(lab):
    upid = lab.pve.nodes("pve1").qemu.post(
        vmid=310, name="fresh", cores=1, memory=512, scsi0="local-lvm:8", ide2="none,media=cdrom", net0="virtio,bridge=vmbr0"
    )
    lab.done(upid, "qmcreate")
    config = lab.vm(310).config.get()
    has(config["scsi0"], "size=8G")
    holds(config["net0"].startswith("virtio=BC:24:11:"), config["net0"])
    same(config["memory"], "512")
    call = lambda: lab.pve.nodes("pve1").qemu.post(vmid=310)
    refused(500, "unable to create VM 310", call)


@step
def a_disk_is_replaced_in_place_by_an_import(lab):
    lab.done(lab.vm(310).config.post(scsi0="local-lvm:0,import-from=local-lvm:base-9000-disk-0"), "qmconfig")
    config = lab.vm(310).config.get()
    has(config["scsi0"], "size=4G")
    same("import-from" in config["scsi0"], False)
    unused = [key for key in config if key.startswith("unused")]
    same(len(unused), 1)
    lab.done(lab.vm(310).config.post(delete=unused[0]))


@step
def a_vm_becomes_a_template_unless_it_has_snapshots(lab):
    lab.done(lab.vm(310).snapshot.post(snapname="keep"))
    refused(500, "because VM contains snapshots", lab.vm(310).template.post)
    lab.done(lab.vm(310).snapshot("keep").delete())
    lab.done(lab.vm(310).template.post(), "qmtemplate")
    # The list has it when the node tells its figures again.
    lab.until("it is listed as one", lambda: one(lab.pve.cluster.resources.get(type="vm"), vmid=310).get("template") == 1)


@step
def a_node_that_has_not_the_storage_cannot_take_a_clone(lab):
    refused(500, "can't clone VM to node 'pve2' (VM uses local storage)", lambda: lab.vm(9000).clone.post(newid=320, target="pve2"))


@step
def a_migration_moves_the_configuration(lab):
    lab.act("migrate-vm", vmid=102, node="pve2")
    lab.until("it has moved", lambda: one(lab.pve.cluster.resources.get(type="vm"), vmid=102)["node"] == "pve2")
    refused(500, "'nodes/pve1/qemu-server/102.conf' does not exist", lab.vm(102).config.get)
    same(lab.vm(102, "pve2").config.get()["name"], "staging")
