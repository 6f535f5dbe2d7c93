"""The datacenter's firewall: security groups with rules, rules, sets and aliases of its own."""

from kit import ROOT, holds, one, refused, same, step


def datacenter(lab):
    return lab.connect(**ROOT).cluster.firewall


@step
def a_group_has_rules(lab):
    group = datacenter(lab).groups("webserver")
    same([rule.get("macro") for rule in group.get()], ["Web", "SSH"])
    group.post(type="in", action="ACCEPT", macro="Ping", enable=1, comment="reachable")
    same(group.get()[0]["comment"], "reachable")
    same(group(0).get()["macro"], "Ping")


@step
def rules_of_a_group_are_changed_moved_and_removed(lab):
    group = datacenter(lab).groups("webserver")
    group(0).put(comment="changed", enable=0)
    same((group.get()[0]["comment"], int(group.get()[0]["enable"])), ("changed", 0))
    group(0).put(moveto=3)
    same([rule.get("macro") for rule in group.get()], ["Web", "SSH", "Ping"])
    group(2).delete(digest=group.get()[0]["digest"])
    same(len(group.get()), 2)


@step
def a_group_is_used_by_a_vm_and_renamed(lab):
    rules = lab.vm(100).firewall.rules
    rules.post(type="group", action="webserver", enable=1)
    datacenter(lab).groups.post(group="sites", rename="webserver", comment="all of them")
    same(rules.get()[0]["action"], "sites")
    same(one(datacenter(lab).groups.get(), group="sites")["comment"], "all of them")


@step
def a_group_with_rules_is_not_removed(lab):
    group = datacenter(lab).groups("sites")
    refused(500, "Security group 'sites' is not empty", group.delete)
    for _ in range(2):
        group(0).delete()
    group.delete()
    refused(500, "no such security group 'sites'", group.get)


@step
def the_datacenter_has_rules(lab):
    rules = datacenter(lab).rules
    rules.post(type="in", action="ACCEPT", macro="SSH", iface="vmbr0", enable=1)
    same([(int(rule["pos"]), rule["iface"]) for rule in rules.get()], [(0, "vmbr0")])
    rules(0).delete()
    same(rules.get(), [])


@step
def the_datacenter_has_sets_and_aliases(lab):
    firewall = datacenter(lab)
    firewall.ipset.post(name="offices", comment="ours")
    firewall.ipset("offices").post(cidr="203.0.113.0/24")
    same(one(firewall.ipset("offices").get(), cidr="203.0.113.0/24").get("nomatch"), None)
    firewall.aliases.post(name="home", cidr="203.0.113.9")
    firewall.aliases("home").put(cidr="203.0.113.10", rename="flat")
    same(firewall.aliases("flat").get()["cidr"], "203.0.113.10")
    holds("flat" in [ref["name"] for ref in firewall.refs.get()], "no reference")
    refused(500, "IPSet 'offices' is not empty", firewall.ipset("offices").delete)
    firewall.ipset("offices").delete(force=1)
    firewall.aliases("flat").delete()


@step
def rights_on_vms_do_not_reach_it(lab):
    refused(403, "(/, Sys.Audit)", lab.pve.cluster.firewall.rules.get)
    refused(403, "(/, Sys.Modify)", lambda: lab.pve.cluster.firewall.groups("webserver").post(type="in", action="DROP"))
