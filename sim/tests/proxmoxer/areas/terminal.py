"""Keys by their names, and the way to a serial terminal. What is in it is the affair of the tests beside the code."""

from kit import AUDITOR, has, holds, refused, same, step
from proxmoxer.tools import Tasks


def screen(lab, vmid):
    return "\n".join(lab.control("GET", f"/vms/{vmid}/console")["lines"]).rstrip()


@step
def keys_reach_the_screen(lab):
    for key in ["r", "o", "o", "t"]:
        same(lab.vm(100).sendkey.put(key=key), None)
    holds(screen(lab, 100).endswith("web1 login: root"), screen(lab, 100))


@step
def ctrl_alt_delete_boots_the_guest(lab):
    lab.vm(100).sendkey.put(key="ctrl-alt-delete")
    holds(screen(lab, 100).startswith("SeaBIOS"), screen(lab, 100))


@step
def a_key_that_nobody_knows_is_refused(lab):
    refused(500, "invalid parameter: enter", lambda: lab.vm(100).sendkey.put(key="enter"))
    refused(500, "VM 102 not running", lambda: lab.vm(102).sendkey.put(key="a"))
    refused(403, "(/vms/100, VM.Console)", lambda: lab.connect(**AUDITOR).nodes("pve1").qemu(100).sendkey.put(key="a"))


@step
def a_terminal_is_opened_with_port_and_ticket(lab):
    lab.vm(102).config.put(serial0="socket")
    answer = lab.vm(102).termproxy.post()
    holds(5900 <= int(answer["port"]) <= 5999, answer["port"])
    has(answer["ticket"], "PVEVNC:")
    same((answer["user"], Tasks.decode_upid(answer["upid"])["type"]), ("portico@pve!panel", "vncproxy"))
    got = lab.vm(102).vncwebsocket.get(port=answer["port"], vncticket=answer["ticket"])
    same(int(got["port"]), int(answer["port"]))
    has(lab.end(answer["upid"]), "connection timed out")
