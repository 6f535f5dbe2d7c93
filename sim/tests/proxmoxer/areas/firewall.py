"""The firewall of a VM."""

from kit import AUDITOR, has, holds, one, refused, same, step


def firewall(lab, vmid):
    return lab.vm(vmid).firewall


def order(lab, vmid):
    return [rule.get("comment") for rule in firewall(lab, vmid).rules.get()]


@step
def options_are_read_and_changed(lab):
    options = firewall(lab, 101).options
    same(options.get().get("enable", 0), 0)
    options.put(enable=1, policy_in="REJECT", macfilter=0)
    got = options.get()
    same((got["enable"], got["policy_in"], got["macfilter"]), (1, "REJECT", 0))
    options.put(delete="policy_in")
    same("policy_in" in options.get(), False)
    refused(400, "Parameter verification failed.", lambda: firewall(lab, 101).options.put(policy_in="ALLOW"), policy_in="does not have a value in the enumeration")


@step
def a_new_rule_is_the_first_and_off_unless_said(lab):
    rules = firewall(lab, 101).rules
    rules.post(type="in", action="ACCEPT", proto="tcp", dport="22", comment="ssh", enable=1)
    rules.post(type="in", action="ACCEPT", macro="HTTPS", comment="web")
    same(order(lab, 101), ["web", "ssh"])
    same([rule["enable"] for rule in rules.get()], [0, 1])
    same((rules(0).get()["macro"], rules(1).get()["dport"]), ("HTTPS", "22"))


@step
def rules_move_in_both_directions(lab):
    rules = firewall(lab, 101).rules
    rules.post(type="out", action="DROP", comment="out", enable=1)
    same(order(lab, 101), ["out", "web", "ssh"])
    rules(0).put(moveto=3)
    same(order(lab, 101), ["web", "ssh", "out"])
    rules(2).put(moveto=0)
    same(order(lab, 101), ["out", "web", "ssh"])
    rules(0).put(moveto=2)
    same(order(lab, 101), ["web", "out", "ssh"])


@step
def a_rule_is_changed_and_its_fields_removed(lab):
    rules = firewall(lab, 101).rules
    rules(2).put(source="192.0.2.0/24", enable=0)
    same((rules(2).get()["source"], rules(2).get()["enable"]), ("192.0.2.0/24", 0))
    rules(2).put(delete="source")
    same("source" in rules(2).get(), False)


@step
def a_digest_keeps_two_writers_apart(lab):
    rules = firewall(lab, 101).rules
    digest = rules.get()[0]["digest"]
    rules(0).put(comment="changed", digest=digest)
    text = "detected modified configuration - file changed by other user? Try again."
    refused(500, text, lambda: rules(0).delete(digest=digest))
    rules(0).delete(digest=rules.get()[0]["digest"])
    same(order(lab, 101), ["out", "ssh"])


@step
def wrong_rules_are_named(lab):
    post = lambda **fields: firewall(lab, 101).rules.post(**fields)
    rule = {"type": "in", "action": "ACCEPT"}
    refused(400, "Parameter verification failed.", lambda: post(**rule, proto="nonsense"), proto="unknown protocol 'nonsense'")
    refused(400, "Parameter verification failed.", lambda: post(**rule, dport="22"), proto="missing property - 'dport' requires this property")
    refused(400, "Parameter verification failed.", lambda: post(**rule, proto="tcp", dport="70000"), dport="invalid port '70000'")
    refused(400, "Parameter verification failed.", lambda: post(**rule, source="192.0.2.1,2001:db8::1"), source="detected mixed ipv4/ipv6 addresses")
    refused(400, "Parameter verification failed.", lambda: post(**rule, iface="eth0"), iface="")
    refused(400, "Parameter verification failed.", lambda: post(**rule, macro="NoSuchMacro"), macro="")
    refused(500, "no rule at position 7", firewall(lab, 101).rules(7).get)


@step
def sets_of_addresses_are_kept(lab):
    sets = firewall(lab, 101).ipset
    sets.post(name="friends", comment="who may come in")
    sets("friends").post(cidr="192.0.2.0/24")
    sets("friends").post(cidr="192.0.2.7", nomatch=1)
    same({entry["cidr"] for entry in sets("friends").get()}, {"192.0.2.0/24", "192.0.2.7"})
    same(one(sets.get(), name="friends")["comment"], "who may come in")
    firewall(lab, 101).rules.post(type="in", action="ACCEPT", source="+guest/friends", enable=1, comment="friends")
    refused(500, "is not empty", sets("friends").delete)
    sets("friends")("192.0.2.0%2F24").delete()
    sets("friends")("192.0.2.7").delete()
    same(sets("friends").get(), [])
    sets("friends").delete()
    same([entry for entry in sets.get() if entry["name"] == "friends"], [])


@step
def macros_and_the_clusters_switch_are_shown(lab):
    macros = {entry["macro"] for entry in lab.pve.cluster.firewall.macros.get()}
    holds(len(macros) > 80 and {"SSH", "HTTPS", "Ping"} <= macros, len(macros))
    same(lab.connect(**AUDITOR).cluster.firewall.options.get()["enable"], 1)
    refused(403, "Permission check failed (/, Sys.Audit)", lab.pve.cluster.firewall.options.get)


@step
def who_may_only_read_changes_no_rule(lab):
    call = lambda: lab.connect(**AUDITOR).nodes("pve1").qemu(101).firewall.rules.post(type="in", action="ACCEPT")
    refused(403, "VM.Config.Network", call)


@step
def names_that_rules_may_use_and_the_log_are_listed(lab):
    has(str(firewall(lab, 100).refs.get()), "ipfilter-net0")
    holds(isinstance(firewall(lab, 100).log.get(limit=10), list), "no list")


@step
def aliases_are_kept(lab):
    aliases = firewall(lab, 101).aliases
    aliases.post(name="home", cidr="198.51.100.7")
    same(one(aliases.get(), name="home")["cidr"], "198.51.100.7")
    aliases("home").delete()
    same(aliases.get(), [])


@step
def a_snapshot_does_not_bring_rules_back(lab):
    lab.done(lab.vm(101).snapshot.post(snapname="rules"))
    before = order(lab, 101)
    firewall(lab, 101).rules.post(type="in", action="DROP", comment="later", enable=1)
    lab.done(lab.vm(101).snapshot("rules").rollback.post())
    same(order(lab, 101), ["later", *before])
