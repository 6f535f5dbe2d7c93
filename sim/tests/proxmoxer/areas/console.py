"""Opening a console: the tickets. What is on the screen is the affair of the tests beside the code."""

import requests
from kit import AUDITOR, has, holds, refused, same, step
from proxmoxer.tools import Tasks


@step
def a_console_is_opened_with_port_ticket_and_password(lab):
    answer = lab.vm(100).vncproxy.post(websocket=1)
    holds(5900 <= int(answer["port"]) <= 5999, answer["port"])
    has(answer["ticket"], "PVEVNC:")
    has(answer["cert"], "BEGIN CERTIFICATE")
    same((answer["user"], Tasks.decode_upid(answer["upid"])["type"]), ("portico@pve!panel", "vncproxy"))
    same(len(answer["password"]), 8)
    has(answer["ticket"], answer["password"])


@step
def nobody_who_comes_in_time_is_an_error_of_the_task(lab):
    upid = lab.vm(100).vncproxy.post(websocket=1)["upid"]
    has(lab.end(upid), "connection timed out")


@step
def the_console_of_a_stopped_vm_fails_in_the_task(lab):
    upid = lab.vm(102).vncproxy.post(websocket=1)["upid"]
    holds(lab.end(upid) != "OK", "OK")


@step
def without_an_upgrade_the_socket_only_tells_its_port(lab):
    answer = lab.vm(100).vncproxy.post(websocket=1)
    got = lab.vm(100).vncwebsocket.get(port=answer["port"], vncticket=answer["ticket"])
    same(int(got["port"]), int(answer["port"]))


@step
def a_ticket_of_somebody_else_is_refused(lab):
    answer = lab.vm(100).vncproxy.post(websocket=1)
    text = "permission denied - invalid PVEVNC ticket"
    forged = answer["ticket"][:-4] + "AAA="
    refused(401, text, lambda: lab.vm(100).vncwebsocket.get(port=answer["port"], vncticket=forged))
    url = f"https://{lab.address}/api2/json/nodes/pve1/qemu/100/vncwebsocket"
    asked = {"port": answer["port"], "vncticket": answer["ticket"]}
    nobody = requests.get(url, params=asked, verify=lab.certificate, timeout=20)
    same((nobody.status_code, nobody.reason), (401, "No ticket"))


@step
def who_may_only_read_opens_no_console(lab):
    refused(403, "(/vms/100, VM.Console)", lambda: lab.connect(**AUDITOR).nodes("pve1").qemu(100).vncproxy.post(websocket=1))


@step
def a_vm_that_does_not_exist_has_none(lab):
    refused(500, "does not exist", lambda: lab.vm(555).vncproxy.post(websocket=1))
