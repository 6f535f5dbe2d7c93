"""Storages and what is on them."""

from kit import BARE, holds, one, refused, same, step


@step
def the_storages_of_a_node_are_listed(lab):
    storages = lab.pve.nodes("pve1").storage.get()
    local = one(storages, storage="local")
    same((local["type"], local["active"], local["enabled"], local["shared"]), ("dir", 1, 1, 0))
    holds(local["total"] == local["used"] + local["avail"], local)
    same([entry["storage"] for entry in storages if entry["storage"] == "local-zfs"], [])
    holds("local-zfs" in {entry["storage"] for entry in lab.pve.nodes("pve2").storage.get()}, "no ZFS on pve2")


@step
def storages_are_chosen_by_what_they_hold(lab):
    for kind in ("iso", "backup", "images"):
        for entry in lab.pve.nodes("pve1").storage.get(content=kind):
            holds(kind in entry["content"].split(","), entry)


@step
def one_storage_tells_its_room(lab):
    status = lab.pve.nodes("pve1").storage("local").status.get()
    same((status["type"], status["active"]), ("dir", 1))
    holds(status["total"] > status["used"] > 0, status)


@step
def isos_are_listed(lab):
    isos = lab.pve.nodes("pve1").storage("local").content.get(content="iso")
    same(len(isos), 3)
    debian = one(isos, volid="local:iso/debian-13.1.0-amd64-netinst.iso")
    same((debian["content"], debian["format"], debian["size"]), ("iso", "iso", 783 << 20))
    holds(debian["ctime"] > 0, debian)


@step
def one_volume_tells_its_path(lab):
    volume = lab.pve.nodes("pve1").storage("local").content("local:iso/debian-13.1.0-amd64-netinst.iso").get()
    same((volume["format"], volume["size"]), ("iso", 783 << 20))
    holds(volume["path"].endswith("debian-13.1.0-amd64-netinst.iso"), volume)


@step
def the_disks_of_a_vm_are_listed(lab):
    images = lab.pve.nodes("pve1").storage("local-lvm").content.get(content="images", vmid=101)
    same({image["volid"] for image in images}, {"local-lvm:vm-101-disk-0", "local-lvm:vm-101-disk-1"})


@step
def a_storage_of_another_node_is_not_available(lab):
    refused(500, "storage 'local-zfs' is not available on node 'pve1'", lab.pve.nodes("pve1").storage("local-zfs").content.get)


@step
def an_unknown_storage_is_refused(lab):
    refused(500, "storage 'nothing' does not exist", lab.pve.nodes("pve1").storage("nothing").content.get)


@step
def without_rights_there_is_no_storage(lab):
    same(lab.connect(**BARE).nodes("pve1").storage.get(), [])
    refused(403, "Datastore.Audit|Datastore.AllocateSpace", lab.connect(**BARE).nodes("pve1").storage("local").content.get)
