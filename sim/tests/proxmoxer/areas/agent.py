"""The guest agent and the series of measurements."""

from kit import AUDITOR, has, holds, one, refused, same, step


def agent(lab, vmid, node="pve1"):
    return lab.vm(vmid, node).agent


@step
def the_agent_answers(lab):
    same(agent(lab, 100).ping.post(), {"result": {}})
    same(agent(lab, 100)("get-host-name").get()["result"]["host-name"], "web1")


@step
def the_guest_tells_its_addresses(lab):
    cards = agent(lab, 100)("network-get-interfaces").get()["result"]
    card = one(cards, name="eth0")
    same(card["hardware-address"], "bc:24:11:10:00:01")
    same({a["ip-address"] for a in card["ip-addresses"]} >= {"192.0.2.10", "2001:db8:20::10"}, True)


@step
def the_guest_tells_its_system_and_disks(lab):
    holds(agent(lab, 100)("get-osinfo").get()["result"]["id"], "no id")
    holds(len(agent(lab, 100)("get-fsinfo").get()["result"]) > 0, "no file system")
    holds("result" in agent(lab, 100).info.get(), "no result")


@step
def a_password_is_set_by_the_agent(lab):
    same(agent(lab, 100)("set-user-password").post(username="debian", password="a new secret")["result"], {})
    call = lambda: agent(lab, 100)("set-user-password").post(username="debian", password="four")
    refused(400, "Parameter verification failed.", call, password="value must be at least 5 characters long")
    holds("a new secret" not in str(lab.control("GET", "/requests/log?last=50")), "the log holds a password")


@step
def a_command_runs_in_the_guest(lab):
    pid = agent(lab, 100).exec.post(command=["echo", "hello"])["pid"]
    # The guest forgets a command once it has told its end.
    ended = []

    def look():
        ended.append(agent(lab, 100)("exec-status").get(pid=pid))
        return int(ended[-1]["exited"]) == 1

    lab.until("it ended", look)
    same(int(ended[-1]["exitcode"]), 0)
    refused(500, "Agent error: ", lambda: agent(lab, 100)("exec-status").get(pid=pid))


@step
def who_may_only_look_sets_no_password(lab):
    call = lambda: lab.connect(**AUDITOR).nodes("pve1").qemu(100).agent("set-user-password").post(username="debian", password="stolen")
    refused(403, "VM.GuestAgent.Unrestricted" if lab.major == 9 else "VM.Monitor", call)


@step
def without_an_agent_there_is_a_reason(lab):
    refused(500, "No QEMU guest agent configured", agent(lab, 103, "pve2").ping.post)
    refused(500, "VM 102 is not running", agent(lab, 102).ping.post)
    lab.act("set-guest-agent", vmid=101, agent="absent")
    refused(500, "QEMU guest agent is not running", agent(lab, 101).ping.post)


@step
def a_slow_agent_times_out(lab):
    lab.act("set-guest-agent", vmid=101, agent="slow")
    word = "qga" if lab.major == 9 else "qmp"
    error = refused(500, "- got timeout", agent(lab, 101)("get-host-name").get)
    has(error.content, f"VM 101 {word} command 'guest-")


@step
def the_last_hour_is_a_series_by_minutes(lab):
    rows = lab.vm(100).rrddata.get(timeframe="hour")
    times = [row["time"] for row in rows]
    same({after - before for before, after in zip(times, times[1:])}, {60})
    holds(len(rows) in (59, 60, 70), len(rows))
    last = [row for row in rows if "cpu" in row][-1]
    holds(0 <= last["cpu"] <= 1 and last["maxmem"] == 4 << 30 and last["netin"] >= 0, last)
    same("memhost" in last, lab.major == 9)


@step
def longer_series_have_the_steps_of_the_major(lab):
    steps = {"day": 1800, "week": 10800, "month": 43200, "year": 604800}
    if lab.major == 9:
        steps = {"day": 60, "week": 1800, "month": 1800, "year": 21600}
    for timeframe, step_seconds in steps.items():
        times = [row["time"] for row in lab.vm(100).rrddata.get(timeframe=timeframe, cf="AVERAGE")]
        same((timeframe, max(after - before for before, after in zip(times, times[1:]))), (timeframe, step_seconds))


@step
def a_stopped_vm_has_gaps(lab):
    last = lab.vm(102).rrddata.get(timeframe="hour")[-2]
    same("cpu" in last, False)


@step
def an_unknown_time_frame_is_refused(lab):
    refused(400, "Parameter verification failed.", lambda: lab.vm(100).rrddata.get(timeframe="minute"), timeframe="does not have a value in the enumeration")
