"""The configuration: reading, changing, what is pending, cloud-init."""

from urllib.parse import quote

from kit import AUDITOR, ROOT, has, holds, one, refused, same, step

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF2xu2j0Vyrnlm8Zq7x4dcP7G1f8YV+nXqSgqV/H5G9k me@example"


@step
def values_have_the_types_of_pve(lab):
    config = lab.vm(100).config.get()
    same((config["cores"], config["memory"], config["onboot"], config["name"]), (2, "4096", 1, "web1"))
    same(len(config["digest"]), 40)
    has(config["scsi0"], "local-lvm:vm-100-disk-0,discard=on,iops_rd=2000")
    same(config["net0"], "virtio=BC:24:11:10:00:01,bridge=vmbr0,firewall=1,rate=12.5,tag=20")


@step
def a_stopped_vm_takes_everything_at_once(lab):
    lab.vm(102).config.put(cores=3, memory=3072, cpulimit=1.5, tags="Zebra;alpha")
    config = lab.vm(102).config.get(current=1)
    same((config["cores"], config["memory"], config["tags"]), (3, "3072", "alpha;zebra"))
    same(float(config["cpulimit"]), 1.5)
    same(lab.effects("config-changed", 102), 1)


@step
def a_running_vm_keeps_some_values_pending(lab):
    lab.vm(100).config.put(cores=4, description="while it runs")
    same((lab.vm(100).config.get()["cores"], lab.vm(100).config.get(current=1)["cores"]), (4, 2))
    same(lab.vm(100).config.get(current=1)["description"], "while it runs")
    entry = one(lab.vm(100).pending.get(), key="cores")
    same((entry["value"], entry["pending"]), (2, 4))


@step
def what_is_pending_can_be_taken_back(lab):
    lab.vm(100).config.put(revert="cores")
    same(lab.vm(100).config.get()["cores"], 2)
    same("pending" in one(lab.vm(100).pending.get(), key="cores"), False)


@step
def what_is_pending_comes_with_a_cold_start(lab):
    lab.vm(101).config.put(cores=5)
    lab.done(lab.vm(101).status.stop.post())
    lab.done(lab.vm(101).status.start.post())
    same(lab.vm(101).config.get(current=1)["cores"], 5)


@step
def a_digest_keeps_two_writers_apart(lab):
    digest = lab.vm(102).config.get()["digest"]
    lab.vm(102).config.put(description="first", digest=digest)
    refused(500, "checksum mismatch (file change by other user?)", lambda: lab.vm(102).config.put(description="second", digest=digest))
    same(lab.vm(102).config.get()["description"], "first")


@step
def nothing_to_change_is_refused(lab):
    refused(500, "no options specified", lab.vm(102).config.put)


@step
def keys_can_be_deleted_and_unknown_ones_are_named(lab):
    lab.vm(102).config.put(delete="description,cpulimit")
    same("description" in lab.vm(102).config.get(), False)
    refused(400, "Parameter verification failed.", lambda: lab.vm(102).config.put(delete="colour"), delete="unknown option 'colour'")


@step
def wrong_values_are_named(lab):
    refused(400, "Parameter verification failed.", lambda: lab.vm(102).config.put(cores=0), cores="value must have a minimum value of 1")
    refused(400, "Parameter verification failed.", lambda: lab.vm(102).config.put(onboot="true"), onboot="type check ('boolean') failed - got 'true'")
    refused(400, "Parameter verification failed.", lambda: lab.vm(102).config.put(scsi3="rubbish,=,"), scsi3="")


@step
def a_locked_vm_is_not_changed(lab):
    lab.act("set-lock", vmid=102, lock="snapshot")
    refused(500, "VM is locked (snapshot)", lambda: lab.vm(102).config.put(description="locked"))
    lab.act("set-lock", vmid=102)


@step
def a_lock_of_the_file_that_is_held_times_out(lab):
    lab.act("hold-flock", vmid=102, held=True)
    text = "can't lock file '/var/lock/qemu-server/lock-102.conf' - got timeout"
    refused(500, text, lambda: lab.vm(102).config.put(description="waiting"))
    lab.act("hold-flock", vmid=102, held=False)


@step
def some_options_are_only_for_root(lab):
    refused(500, "only root can set 'args' config", lambda: lab.vm(102).config.put(args="-nographic"))
    lab.connect(**ROOT).nodes("pve1").qemu(102).config.put(args="-nographic")
    same(lab.vm(102).config.get()["args"], "-nographic")


@step
def an_auditor_changes_nothing(lab):
    refused(403, "Permission check failed", lambda: lab.connect(**AUDITOR).nodes("pve1").qemu(102).config.put(cores=1))


@step
def the_cloud_init_password_is_stored_hashed_and_shown_masked(lab):
    lab.vm(102).config.put(ciuser="debian", cipassword="correct horse")
    same(lab.vm(102).config.get()["cipassword"], "**********")
    stored = lab.inside(102)["config"]["cipassword"]
    holds(stored.startswith("$") and "correct" not in stored, stored[:3])
    holds("correct horse" not in str(lab.control("GET", "/requests/log?last=50")), "the log holds a password")


@step
def ssh_keys_are_escaped_twice_on_the_way_in_and_come_back_escaped(lab):
    lab.vm(102).config.put(sshkeys=quote(KEY, safe=""))
    same(lab.vm(102).config.get()["sshkeys"].replace("%0A", ""), quote(KEY, safe=""))
    refused(400, "Parameter verification failed.", lambda: lab.vm(102).config.put(sshkeys=KEY), sshkeys="invalid urlencoded string")


@step
def addresses_are_checked(lab):
    lab.vm(102).config.put(ipconfig0="ip=198.51.100.12/24,gw=198.51.100.1,ip6=auto")
    same(lab.vm(102).config.get()["ipconfig0"], "ip=198.51.100.12/24,gw=198.51.100.1,ip6=auto")
    refused(400, "Parameter verification failed.", lambda: lab.vm(102).config.put(ipconfig0="ip=300.1.2.3/24"), ipconfig0="")


@step
def the_cloud_init_data_are_shown_beside_what_the_image_has(lab):
    lab.vm(100).config.put(ciuser="admin")
    entry = one(lab.vm(100).cloudinit.get(), key="ciuser")
    same((entry.get("value"), entry["pending"]), ("debian", "admin"))
    lab.vm(100).cloudinit.put()
    entry = one(lab.vm(100).cloudinit.get(), key="ciuser")
    same((entry["value"], "pending" in entry), ("admin", False))


@step
def the_cloud_init_files_can_be_read(lab):
    has(lab.vm(100).cloudinit.dump.get(type="user"), "admin")
    has(lab.vm(100).cloudinit.dump.get(type="network"), "192.0.2.10")
    has(lab.vm(100).cloudinit.dump.get(type="meta"), "instance-id")


@step
def an_iso_is_mounted_and_taken_out(lab):
    iso = "local:iso/debian-13.1.0-amd64-netinst.iso"
    lab.vm(102).config.put(ide2=f"{iso},media=cdrom", boot="order=ide2;scsi0")
    config = lab.vm(102).config.get()
    same((config["ide2"], config["boot"]), (f"{iso},media=cdrom,size=783M", "order=ide2;scsi0"))
    lab.vm(102).config.put(ide2="none,media=cdrom")
    same(lab.vm(102).config.get()["ide2"], "none,media=cdrom")
    refused(400, "Parameter verification failed.", lambda: lab.vm(102).config.put(ide2=iso), ide2="explicit 'media=cdrom' is required for iso images")
    call = lambda: lab.vm(102).config.put(ide2="local:iso/absent.iso,media=cdrom")
    refused(500, "does not exist", call)


@step
def a_change_in_the_background_is_a_task(lab):
    upid = lab.vm(102).config.post(description="by a task")
    lab.done(upid, "qmconfig")
    same(lab.vm(102).config.get()["description"], "by a task")
    same(lab.vm(102).config.post(description="waited for", background_delay=30), None)


@step
def a_disk_is_added_detached_and_freed(lab):
    lab.done(lab.vm(102).config.post(scsi1="local-lvm:3"))
    has(lab.vm(102).config.get()["scsi1"], "size=3G")
    lab.done(lab.vm(102).config.post(delete="scsi1"))
    config = lab.vm(102).config.get()
    unused = [key for key in config if key.startswith("unused")]
    same(("scsi1" in config, len(unused)), (False, 1))
    lab.done(lab.vm(102).config.post(delete=unused[0]))
    same([key for key in lab.vm(102).config.get() if key.startswith("unused")], [])


@step
def a_disk_grows_and_does_not_shrink(lab):
    lab.done(lab.vm(102).resize.put(disk="scsi0", size="+5G"), "resize")
    has(lab.vm(102).config.get()["scsi0"], "size=25G")
    has(lab.end(lab.vm(102).resize.put(disk="scsi0", size="10G")), "shrinking disks is not supported")
    has(lab.end(lab.vm(102).resize.put(disk="scsi9", size="+1G")), "disk 'scsi9' does not exist")
    refused(400, "Parameter verification failed.", lambda: lab.vm(102).resize.put(disk="scsi0", size="lots"), size="value does not match the regex pattern")
