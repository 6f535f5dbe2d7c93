"""A simulator to talk to, somebody who talks to it, and the words in which steps say what they expect.

`Lab` starts one simulator and connects to it; `step` marks a function as one thing that is shown. A step gets the
lab, looks at real values, and fails by an exception. Nothing here knows what Proxmox VE answers.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import tempfile
import time
import urllib.request

from proxmoxer import ProxmoxAPI
from proxmoxer.core import ResourceException
from proxmoxer.tools import Tasks

PANEL = {"user": "portico@pve", "token_name": "panel", "token_value": "7f0a3c52-6a4e-4b1d-9a57-0d6f3b8e21c4"}
AUDITOR = {"user": "auditor@pve", "token_name": "read", "token_value": "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed"}
ROOT = {"user": "root@pam", "password": "demo-root-password"}

# Somebody who has rights, with a token that inherits them and one that was given none of its own.
EXTRA = """
[[user]]
id = "tenant@pve"

  [[user.token]]
  name = "all"
  secret = "3f2b8c10-0000-4000-8000-000000000001"
  privsep = false

  [[user.token]]
  name = "bare"
  secret = "3f2b8c10-0000-4000-8000-000000000002"
  privsep = true

[[acl]]
path = "/vms/100"
subject = "tenant@pve"
role = "PVEVMUser"
"""
ALL = {"user": "tenant@pve", "token_name": "all", "token_value": "3f2b8c10-0000-4000-8000-000000000001"}
BARE = {"user": "tenant@pve", "token_name": "bare", "token_value": "3f2b8c10-0000-4000-8000-000000000002"}

STEPS = []


def step(function):
    """Marks a function as a step; its name is what it shows."""
    STEPS.append(function)
    return function


class Lab:
    """One simulator, and the panel's token on it as `lab.pve`."""

    current = None

    def __init__(self, binary, major, scale):
        self.major = major
        self.folder = tempfile.TemporaryDirectory(prefix="pve-sim-")
        demo = subprocess.run([binary, "--print-demo"], check=True, capture_output=True, text=True).stdout
        scenario = pathlib.Path(self.folder.name) / "cluster.toml"
        scenario.write_text(demo + EXTRA)
        listen = os.environ.get("PORTICO_SIM_LISTEN", "127.0.0.1:0")
        command = [binary, "--listen", listen, "--control", "127.0.0.1:0", "--pve", str(major)]
        command += ["--time-scale", str(scale), "--data", self.folder.name, "--scenario", str(scenario)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        words = self.process.stdout.readline().split()
        if words[:1] != ["ready"]:
            raise RuntimeError(f"the simulator did not start: {command}")
        self.control_url = words[3]
        direct = (words[1].removeprefix("https://"), str(pathlib.Path(self.folder.name) / "certificate.pem"))
        # A proxy that checks every call may stand before the simulator, with its own certificate. Calls that are wrong
        # on purpose go around it.
        proxy = os.environ.get("PORTICO_PVE_PROXY")
        self.proxied = proxy is not None
        self.ways = {"direct": direct, "checked": tuple(proxy.split(",", 1)) if proxy else direct}
        self.way = "checked"
        self.panel = {way: self.connect(way, **PANEL) for way in self.ways}
        Lab.current = self

    @property
    def address(self):
        return self.ways[self.way][0]

    @property
    def certificate(self):
        return self.ways[self.way][1]

    @property
    def pve(self):
        """The panel's token."""
        return self.panel[self.way]

    def connect(self, way=None, **who):
        """Somebody else, or by another way; the certificate is checked."""
        address, certificate = self.ways[way or self.way]
        return ProxmoxAPI(address, verify_ssl=certificate, timeout=30, **who)

    @contextlib.contextmanager
    def around(self):
        """Around the proxy, with what is wrong on purpose."""
        self.way, before = "direct", self.way
        try:
            yield
        finally:
            self.way = before

    def close(self):
        self.process.terminate()
        self.process.wait(timeout=20)
        self.process.stdout.close()
        self.folder.cleanup()

    def vm(self, vmid, node="pve1"):
        return self.pve.nodes(node).qemu(vmid)

    def control(self, method, path, body=None):
        """The simulator's own control interface: what happened inside, faults, changes from outside."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.control_url + path, data=data, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def act(self, action, **fields):
        self.control("POST", "/actions", {"action": action, **fields})

    def fault(self, fault, **fields):
        self.control("POST", "/faults", {"fault": fault, **fields})

    def inside(self, vmid):
        """A VM as it is inside the simulator."""
        return self.control("GET", f"/vms/{vmid}")

    def effects(self, effect, vmid, name=None):
        """How often something really happened to a VM."""
        counts = self.control("GET", "/effects")
        fits = [c for c in counts if c["effect"] == effect and c["vmid"] == vmid and (name is None or c["name"] == name)]
        return sum(c["count"] for c in fits)

    def end(self, upid, kind=None):
        """Waits for a task by proxmoxer's own means and gives the text it ended with."""
        if kind is not None:
            same(Tasks.decode_upid(upid)["type"], kind)
        status = Tasks.blocking_status(self.pve, upid, timeout=30, polling_interval=0.01)
        if status is None:
            raise AssertionError(f"the task does not end: {upid}")
        return status["exitstatus"]

    def done(self, upid, kind=None):
        """Waits for a task that must succeed."""
        same(self.end(upid, kind), "OK")

    def log(self, upid):
        lines = self.pve.nodes(Tasks.decode_upid(upid)["node"]).tasks(upid).log.get(limit=0)
        return Tasks.decode_log(lines)

    def until(self, what, holds):
        """Polls until something holds."""
        deadline = time.monotonic() + 20
        while not holds():
            if time.monotonic() > deadline:
                raise AssertionError(f"never came true: {what}")
            time.sleep(0.01)


def same(got, wanted):
    if got != wanted:
        raise AssertionError(f"{got!r} instead of {wanted!r}")


def holds(condition, shown):
    if not condition:
        raise AssertionError(f"not so: {shown!r}")


def has(text, part):
    if part not in text:
        raise AssertionError(f"{part!r} is not in {text!r}")


def one(entries, **wanted):
    """The only entry of a list with these values."""
    found = [e for e in entries if all(e.get(key) == value for key, value in wanted.items())]
    if len(found) != 1:
        raise AssertionError(f"{len(found)} entries with {wanted} in {entries!r:.600}")
    return found[0]


def refused(status, text, call, **errors):
    """A call that must fail with this status and text in the status line, and these parameters named."""
    wrong = status in (400, 501)
    try:
        with Lab.current.around() if wrong else contextlib.nullcontext():
            answer = call()
    except ResourceException as error:
        same(error.status_code, status)
        has(error.content, text)
        for name, part in errors.items():
            has((error.errors or {}).get(name, ""), part)
        return error
    raise AssertionError(f"not refused: {answer!r:.200}")
