"""The cluster as a whole: resources, nodes, the next free VMID."""

from kit import AUDITOR, holds, one, refused, same, step


@step
def vms_are_listed_with_their_figures(lab):
    vms = lab.pve.cluster.resources.get(type="vm")
    web = one(vms, vmid=100)
    same((web["id"], web["type"], web["node"], web["name"], web["status"]), ("qemu/100", "qemu", "pve1", "web1", "running"))
    same((web["maxcpu"], web["maxmem"], web["maxdisk"]), (2, 4 << 30, 40 << 30))
    holds(0 <= web["cpu"] <= 1 and web["uptime"] > 1_000_000 and web["mem"] > 0, web)
    same("memhost" in web, lab.major == 9)
    same(one(vms, vmid=9000)["template"], 1)
    same({vm["type"] for vm in vms}, {"qemu"})


@step
def nodes_and_storages_are_listed_too(lab):
    everything = lab.pve.cluster.resources.get()
    same({entry["node"] for entry in everything if entry["type"] == "node"}, {"pve1", "pve2"})
    local = one(everything, type="storage", storage="local", node="pve1")
    same((local["id"], local["plugintype"], local["shared"]), ("storage/pve1/local", "dir", 0))
    holds("iso" in local["content"].split(","), local)


@step
def nodes_are_listed(lab):
    same({(node["node"], node["status"]) for node in lab.pve.nodes.get()}, {("pve1", "online"), ("pve2", "online")})
    status = lab.pve.nodes("pve1").status.get()
    holds(status["uptime"] > 0, status)


@step
def the_next_vmid_is_free_and_a_taken_one_is_refused(lab):
    free = int(lab.pve.cluster.nextid.get())
    taken = {vm["vmid"] for vm in lab.pve.cluster.resources.get(type="vm")}
    holds(free >= 100 and free not in taken, free)
    same(int(lab.pve.cluster.nextid.get(vmid=5000)), 5000)
    refused(400, "Parameter verification failed.", lambda: lab.pve.cluster.nextid.get(vmid=100), vmid="VM 100 already exists")


@step
def the_quorum_is_shown_to_an_auditor(lab):
    status = lab.connect(**AUDITOR).cluster.status.get()
    same(one(status, type="cluster")["quorate"], 1)
    same(len([entry for entry in status if entry["type"] == "node"]), 2)
    refused(403, "Sys.Audit", lab.pve.cluster.status.get)


@step
def the_tasks_of_the_cluster_are_not_shown_to_a_token(lab):
    lab.done(lab.vm(102).status.start.post(), "qmstart")
    same([task for task in lab.pve.cluster.tasks.get() if task["id"] == "102"], [])


@step
def a_vm_that_does_not_exist_is_a_500_with_its_file(lab):
    text = "Configuration file 'nodes/pve1/qemu-server/555.conf' does not exist"
    refused(500, text, lab.vm(555).status.current.get)
    refused(500, text, lab.vm(555).config.get)


@step
def an_unknown_node_is_a_failed_lookup(lab):
    refused(500, "hostname lookup 'pve7' failed", lab.vm(100, "pve7").status.current.get)


@step
def a_node_that_is_off_gives_595_and_its_vms_are_unknown(lab):
    lab.act("set-node-online", node="pve2", online=False)
    refused(595, "No route to host", lab.vm(106, "pve2").status.current.get)
    vm = one(lab.pve.cluster.resources.get(type="vm"), vmid=106)
    same((vm["status"], "name" in vm), ("unknown", False))
    same(one(lab.pve.nodes.get(), node="pve2")["status"], "offline")
    lab.act("set-node-online", node="pve2", online=True)
    same(lab.vm(106, "pve2").status.current.get()["status"], "running")


@step
def a_cluster_without_quorum_is_read_only(lab):
    lab.act("set-quorum", quorate=False)
    refused(500, "cluster not ready - no quorum?", lab.vm(102).status.start.post)
    refused(500, "Permission denied", lambda: lab.vm(102).config.put(description="late"))
    same(one(lab.connect(**AUDITOR).cluster.status.get(), type="cluster")["quorate"], 0)
    same(lab.vm(102).config.get().get("description"), None)
    lab.act("set-quorum", quorate=True)


@step
def a_vm_that_moved_is_gone_from_its_node_and_listed_on_the_other(lab):
    lab.act("move-vm", vmid=101, node="pve2")
    refused(500, "'nodes/pve1/qemu-server/101.conf' does not exist", lab.vm(101).status.current.get)
    same(one(lab.pve.cluster.resources.get(type="vm"), vmid=101)["node"], "pve2")
    same(lab.vm(101, "pve2").status.current.get()["status"], "running")
