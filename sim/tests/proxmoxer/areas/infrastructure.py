"""What infrastructure tools ask besides VMs: nodes, storages' settings, the datacenter, files."""

import hashlib
import io

from kit import AUDITOR, ROOT, holds, one, refused, same, step


@step
def nodes_have_an_index_a_version_and_a_clock(lab):
    auditor = lab.connect(**AUDITOR)
    holds({"name": "qemu"} in auditor.nodes("pve1").get(), "no qemu")
    same(auditor.nodes("pve1").version.get(), auditor.version.get())
    same(auditor.nodes("pve2").time.get()["timezone"], "UTC")


@step
def bridges_are_listed(lab):
    bridge = one(lab.connect(**AUDITOR).nodes("pve2").network.get(type="bridge"), iface="vmbr0")
    same((bridge["cidr"], bridge["active"]), ("10.0.0.12/24", 1))


@step
def charts_of_nodes_and_storages_have_their_steps(lab):
    auditor = lab.connect(**AUDITOR)
    node = auditor.nodes("pve1").rrddata.get(timeframe="day")
    same((len(node), node[1]["time"] - node[0]["time"]), (1440, 60) if lab.major == 9 else (70, 1800))
    same("memavailable" in node[5], lab.major == 9)
    storage = auditor.nodes("pve1").storage("local").rrddata.get(timeframe="hour", cf="MAX")
    same(set(storage[0]), {"time", "total", "used"})


@step
def storages_show_and_change_their_settings(lab):
    root = lab.connect(**ROOT)
    nas = root.storage("nas").get()
    same((nas["type"], nas["content"], nas["prune-backups"], nas["shared"]), ("nfs", "backup,iso", "keep-last=3", 1))
    same(root.storage("nas").put(content="iso", disable=1, digest=nas["digest"]), {"storage": "nas", "type": "nfs"})
    same(root.storage("nas").get()["disable"], 1)
    refused(500, "detected modified configuration", lambda: root.storage("nas").put(content="iso", digest=nas["digest"]))
    root.storage("nas").put(content="iso,backup", delete="disable")
    same([storage["storage"] for storage in root.storage.get(type="nfs")], ["nas"])
    holds({"subdir": "content"} in root.nodes("pve1").storage("nas").get(), "no content")


@step
def a_storage_is_made_and_removed(lab):
    root = lab.connect(**ROOT)
    same(root.storage.post(storage="extra", type="dir", path="/srv/extra", content="iso,images"), {"storage": "extra", "type": "dir"})
    same(root.storage("extra").get()["path"], "/srv/extra")
    same(root.nodes("pve2").storage("extra").status.get()["active"], 1)
    root.storage("extra").put(shared=1)
    root.storage("extra").delete()
    refused(500, "storage 'extra' does not exist", root.storage("extra").get)


@step
def the_datacenter_keeps_its_options(lab):
    root = lab.connect(**ROOT)
    root.cluster.options.put(keyboard="de", migration="insecure,network=10.0.0.0/24", **{"registered-tags": "prod;test"})
    options = root.cluster.options.get()
    same((options["keyboard"], options["registered-tags"], options["mac_prefix"]), ("de", ["prod", "test"], "BC:24:11"))
    same(options["migration"], {"type": "insecure", "network": "10.0.0.0/24"})
    root.cluster.options.put(delete="keyboard,migration")
    same("keyboard" in root.cluster.options.get(), False)


@step
def the_log_tells_of_tasks(lab):
    root = lab.connect(**ROOT)
    lab.done(root.nodes("pve1").qemu(100).status.reset.post(), "qmreset")
    newest = root.cluster("log").get(max=1)
    same((len(newest), newest[0]["pri"], newest[0]["user"]), (1, 6, "root@pam"))


@step
def no_vm_is_in_a_backup_job(lab):
    root = lab.connect(**ROOT)
    same(root.cluster("backup-info").get(), [{"subdir": "not-backed-up"}])
    same(one(root.cluster("backup-info/not-backed-up").get(), vmid=101)["name"], "db1")


@step
def an_image_is_allocated(lab):
    storage = lab.connect(**ROOT).nodes("pve1").storage("local-lvm")
    same(storage.content.post(vmid=102, filename="vm-102-extra", size="1G"), "local-lvm:vm-102-extra")
    same(one(storage.content.get(vmid=102), volid="local-lvm:vm-102-extra")["size"], 1 << 30)
    refused(500, "should be 'vm-102-*'", lambda: storage.content.post(vmid=102, filename="x", size="1G"))


@step
def a_file_is_downloaded(lab):
    local = lab.connect(**ROOT).nodes("pve1").storage("local")
    form = {"content": "iso", "filename": "alpine.iso", "url": "https://example.org/alpine.iso"}
    lab.done(local("download-url").post(**form), "download")
    holds(one(local.content.get(content="iso"), volid="local:iso/alpine.iso")["size"] > 100 << 20, "too small")
    same(lab.end(local("download-url").post(**form)).split(" '")[0], "refusing to override existing file")


@step
def a_file_is_uploaded_and_its_checksum_compared(lab):
    local = lab.connect(**ROOT).nodes("pve1").storage("local")
    content = b"0123456789" * 100_000
    for digest, end in ((hashlib.sha512(content).hexdigest(), "OK"), ("00", "checksum mismatch: got")):
        file = io.BytesIO(content)
        file.name = "own.iso"
        form = {"content": "iso", "checksum": digest, "checksum-algorithm": "sha512"}
        with lab.around():
            direct = lab.connect(**ROOT).nodes("pve1").storage("local")
            holds(lab.end(direct.upload.post(filename=file, **form), "imgcopy").startswith(end), digest)
    same(one(local.content.get(content="iso"), volid="local:iso/own.iso")["size"], len(content))
