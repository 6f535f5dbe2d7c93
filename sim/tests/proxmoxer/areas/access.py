"""Who may come in: tokens, tickets, rights."""

import requests
from kit import ALL, AUDITOR, BARE, PANEL, ROOT, has, holds, one, refused, same, step
from proxmoxer.core import AuthenticationError


@step
def the_version_is_of_the_chosen_major(lab):
    version = lab.pve.version.get()
    same(version["version"].split(".")[0], str(lab.major))
    same(set(version), {"version", "release", "repoid"})


@step
def the_certificate_is_checked(lab):
    try:
        requests.get(f"https://{lab.address}/api2/json/version", timeout=20)
    except requests.exceptions.SSLError:
        return
    raise AssertionError("a certificate that nobody vouches for was accepted")


@step
def without_credentials_there_is_only_an_empty_401(lab):
    answer = requests.get(f"https://{lab.address}/api2/json/version", verify=lab.certificate, timeout=20)
    same((answer.status_code, answer.reason, answer.content), (401, "No ticket", b""))


@step
def a_token_with_a_wrong_secret_is_refused(lab):
    wrong = {**PANEL, "token_value": "00000000-0000-4000-8000-000000000000"}
    refused(401, "Authentication failed!", lab.connect(**wrong).version.get)


@step
def an_unknown_token_is_refused(lab):
    refused(401, "Authentication failed!", lab.connect(**{**PANEL, "token_name": "nobody"}).version.get)


@step
def a_ticket_reads_and_writes(lab):
    root = lab.connect(**ROOT)
    ticket, csrf = root.get_tokens()
    holds(ticket.startswith("PVE:root@pam:"), ticket[:14])
    has(csrf, ":")
    root.nodes("pve1").qemu(102).config.put(description="by a ticket")
    same(root.nodes("pve1").qemu(102).config.get()["description"], "by a ticket")


@step
def a_wrong_password_gives_no_ticket(lab):
    try:
        lab.connect(user="root@pam", password="wrong")
    except AuthenticationError as error:
        has(str(error), "401")
        return
    raise AssertionError("a wrong password was accepted")


@step
def a_ticket_can_be_renewed_by_itself(lab):
    ticket, _ = lab.connect(**ROOT).get_tokens()
    again, _ = lab.connect(user="root@pam", password=ticket).get_tokens()
    holds(again.startswith("PVE:root@pam:"), again[:14])


@step
def a_ticket_without_its_csrf_token_cannot_write(lab):
    ticket, _ = lab.connect(**ROOT).get_tokens()
    answer = requests.put(
        f"https://{lab.address}/api2/json/nodes/pve1/qemu/102/config",
        data={"description": "forged"},
        cookies={"PVEAuthCookie": ticket},
        verify=lab.certificate,
        timeout=20,
    )
    same((answer.status_code, answer.reason), (401, "Permission denied - invalid csrf token"))
    holds(lab.inside(102)["config"].get("description") != "forged", lab.inside(102)["config"])


@step
def a_token_cannot_ask_for_a_ticket(lab):
    call = lambda: lab.pve.access.ticket.post(username="root@pam", password=ROOT["password"])
    refused(403, "need proper ticket", call)


@step
def realms_can_be_listed(lab):
    same({realm["realm"] for realm in lab.pve.access.domains.get()} >= {"pam", "pve"}, True)


@step
def the_panels_rights_are_listed_by_path(lab):
    rights = lab.pve.access.permissions.get()
    needed = {"VM.Audit", "VM.PowerMgmt", "VM.Console", "VM.Backup", "VM.Snapshot", "VM.Snapshot.Rollback"}
    needed.add("VM.GuestAgent.Unrestricted" if lab.major == 9 else "VM.Monitor")
    holds(needed <= set(rights["/vms"]), rights["/vms"])
    same("VM.Monitor" in rights["/vms"], lab.major == 8)
    same(lab.pve.access.permissions.get(path="/vms/100")["/vms/100"]["VM.Audit"], 1)


@step
def a_privilege_separated_token_without_grants_may_nothing(lab):
    bare = lab.connect(**BARE)
    same(bare.access.permissions.get(), {})
    same(bare.cluster.resources.get(type="vm"), [])
    refused(403, "Permission check failed (/vms/100, VM.Audit)", bare.nodes("pve1").qemu(100).status.current.get)


@step
def a_token_that_is_not_separated_has_its_users_rights_and_no_more(lab):
    tenant = lab.connect(**ALL)
    same([vm["vmid"] for vm in tenant.cluster.resources.get(type="vm")], [100])
    same(tenant.nodes("pve1").qemu(100).status.current.get()["status"], "running")
    refused(403, "Permission check failed (/vms/100, VM.Snapshot)", lambda: tenant.nodes("pve1").qemu(100).snapshot.post(snapname="mine"))
    refused(403, "(/vms/101, VM.Audit)", tenant.nodes("pve1").qemu(101).status.current.get)


@step
def an_auditor_reads_and_does_not_write(lab):
    auditor = lab.connect(**AUDITOR)
    same(auditor.nodes("pve1").qemu(101).config.get()["name"], "db1")
    refused(403, "VM.PowerMgmt", auditor.nodes("pve1").qemu(101).status.stop.post)
    same(one(lab.pve.cluster.resources.get(type="vm"), vmid=101)["status"], "running")


@step
def missing_rights_are_told_before_wrong_parameters(lab):
    with lab.around():
        auditor = lab.connect(**AUDITOR)
        refused(403, "Permission check failed", lambda: auditor.nodes("pve1").qemu(100).snapshot.post(snapname="!"))


@step
def a_revoked_token_stops_working_and_comes_back(lab):
    lab.act("set-token-revoked", token="portico@pve!panel", revoked=True)
    refused(401, "Authentication failed!", lab.pve.version.get)
    lab.act("set-token-revoked", token="portico@pve!panel", revoked=False)
    same(lab.pve.version.get()["version"][0], str(lab.major))


@step
def what_does_not_exist_is_told_only_to_who_is_logged_in(lab):
    refused(501, "not implemented", lambda: lab.pve.nothing.get())
    with lab.around():
        answer = requests.get(f"https://{lab.address}/api2/json/nothing", verify=lab.certificate, timeout=20)
    same(answer.status_code, 401)
