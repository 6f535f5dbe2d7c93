"""Users, groups, tokens, roles and rights: made by one, used by another."""

from kit import ROOT, holds, one, refused, same, step


@step
def a_user_is_made_and_listed(lab):
    root = lab.connect(**ROOT)
    root.access.users.post(userid="ops@pve", password="a-long-password", comment="operators", email="ops@example.org")
    user = one(root.access.users.get(), userid="ops@pve")
    same((user["enable"], user["expire"], user["realm-type"]), (1, 0, "pve"))
    same(set(root.access.users("portico@pve").get()["tokens"]), {"panel"})
    refused(500, "create user failed: user 'ops@pve' already exists", lambda: root.access.users.post(userid="ops@pve"))


@step
def the_user_logs_in_and_may_nothing(lab):
    ops = lab.connect(user="ops@pve", password="a-long-password")
    same(ops.access.permissions.get(), {})
    same([user["userid"] for user in ops.access.users.get()], ["ops@pve"])
    refused(403, "Permission check failed (/access, Sys.Modify)", lambda: ops.access.roles.post(roleid="Mine"))


@step
def a_role_has_only_privileges_of_the_major(lab):
    root = lab.connect(**ROOT)
    known, unknown = ("VM.GuestAgent.Audit", "VM.Monitor") if lab.major == 9 else ("VM.Monitor", "VM.GuestAgent.Audit")
    root.access.roles.post(roleid="Operator", privs=f"VM.Audit,VM.PowerMgmt,{known}")
    same(root.access.roles("Operator").get(), {"VM.Audit": 1, "VM.PowerMgmt": 1, known: 1})
    same(one(root.access.roles.get(), roleid="Operator")["special"], 0)
    call = lambda: root.access.roles.post(roleid="Other", privs=unknown)
    refused(400, "Parameter verification failed.", call, privs=f"invalid privilege '{unknown}'")


@step
def rights_count_at_once(lab):
    root, ops = lab.connect(**ROOT), lab.connect(user="ops@pve", password="a-long-password")
    refused(403, "(/vms/102, VM.Audit)", ops.nodes("pve1").qemu(102).config.get)
    root.access.acl.put(path="/vms/102", roles="Operator", users="ops@pve")
    same(ops.nodes("pve1").qemu(102).config.get()["name"], "staging")
    refused(403, "(/vms/102, VM.Snapshot)", lambda: ops.nodes("pve1").qemu(102).snapshot.post(snapname="mine"))
    line = one(root.access.acl.get(), path="/vms/102", ugid="ops@pve")
    same((line["roleid"], line["type"], line["propagate"]), ("Operator", "user", 1))
    root.access.roles("Operator").put(privs="VM.Snapshot", append=1)
    lab.done(ops.nodes("pve1").qemu(102).snapshot.post(snapname="mine"), "qmsnapshot")


@step
def a_token_has_its_secret_once_and_its_own_rights(lab):
    root = lab.connect(**ROOT)
    made = root.access.users("ops@pve").token("ci").post(comment="pipeline")
    same(made["full-tokenid"], "ops@pve!ci")
    shown = root.access.users("ops@pve").token("ci").get()
    same((shown["privsep"], shown["comment"], "value" in shown), (1, "pipeline", False))
    ci = lab.connect(user="ops@pve", token_name="ci", token_value=made["value"])
    refused(403, "(/vms/102, VM.Audit)", ci.nodes("pve1").qemu(102).config.get)
    root.access.acl.put(path="/vms", roles="PVEVMAdmin", tokens="ops@pve!ci")
    same(ci.nodes("pve1").qemu(102).config.get()["name"], "staging")
    refused(403, "(/vms/101, VM.Audit)", ci.nodes("pve1").qemu(101).config.get)
    same(one(root.access.users("ops@pve").token.get(), tokenid="ci")["expire"], 0)
    root.access.users("ops@pve").token("ci").put(expire=1)
    refused(401, "Authentication failed!", ci.version.get)
    root.access.users("ops@pve").token("ci").delete()
    refused(500, "no such token 'ci' for user 'ops@pve'", root.access.users("ops@pve").token("ci").get)


@step
def rights_come_by_group(lab):
    root, ops = lab.connect(**ROOT), lab.connect(user="ops@pve", password="a-long-password")
    root.access.groups.post(groupid="staff", comment="all of them")
    root.access.users("ops@pve").put(groups="staff")
    same(root.access.groups("staff").get(), {"comment": "all of them", "members": ["ops@pve"]})
    same(one(root.access.users.get(full=1), userid="ops@pve")["groups"], "staff")
    root.access.acl.put(path="/storage", roles="PVEAuditor", groups="staff")
    holds("local" in {storage["storage"] for storage in ops.storage.get()}, "no storage by group")
    root.access.acl.put(path="/storage", roles="PVEAuditor", groups="staff", delete=1)
    same(ops.storage.get(), [])


@step
def a_password_is_changed_by_its_user(lab):
    ops = lab.connect(user="ops@pve", password="a-long-password")
    change = {"userid": "ops@pve", "password": "another-password"}
    refused(400, "Parameter verification failed.", lambda: ops.access.password.put(**change))
    ops.access.password.put(**change, **{"confirmation-password": "a-long-password"})
    same(lab.connect(user="ops@pve", password="another-password").version.get()["version"][0], str(lab.major))


@step
def a_user_goes_with_all_rights(lab):
    root = lab.connect(**ROOT)
    root.access.users("ops@pve").delete()
    holds(all(line["ugid"] != "ops@pve" for line in root.access.acl.get()), root.access.acl.get())
    refused(500, "no such user ('ops@pve')", root.access.users("ops@pve").get)
    root.access.groups("staff").delete()
    root.access.roles("Operator").delete()
    same(root.access.groups.get(), [])


@step
def the_index_is_there(lab):
    holds({"subdir": "acl"} in lab.pve.access.get(), lab.pve.access.get())
