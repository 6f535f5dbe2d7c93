"""Files inside a guest, by its agent."""

from kit import AUDITOR, has, refused, same, step


def agent(lab, vmid=100):
    return lab.vm(vmid).agent


@step
def a_file_is_read(lab):
    found = agent(lab)("file-read").get(file="/etc/hostname")
    same((found["content"], "truncated" in found), ("web1\n", False))


@step
def a_file_is_written_and_read_back(lab):
    same(agent(lab)("file-write").post(file="/root/note", content="hello\n"), None)
    same(agent(lab)("file-read").get(file="/root/note")["content"], "hello\n")


@step
def parts_are_read_since_9(lab):
    if lab.major == 8:
        call = lambda: agent(lab)("file-read").get(file="/root/note", count=2)
        refused(400, "Parameter verification failed.", call, count="property is not defined in schema")
        return
    # The schema has the largest count as a text, which not every proxy compares with a number.
    with lab.around():
        found = agent(lab)("file-read").get(file="/root/note", count=2, offset=1)
    same((found["content"], int(found["truncated"])), ("el", 1))


@step
def a_file_that_is_not_there_is_told_by_the_agent(lab):
    error = refused(500, "Agent error: failed to open file '/nope'", lambda: agent(lab)("file-read").get(file="/nope"))
    has(error.content, "No such file or directory")
    refused(500, "No such file or directory", lambda: agent(lab)("file-write").post(file="/no/where", content="x"))


@step
def too_much_is_not_written(lab):
    call = lambda: agent(lab)("file-write").post(file="/root/note", content="x" * 61441)
    refused(400, "Parameter verification failed.", call, content="value may only be 61440 characters long")


@step
def who_may_only_look_reads_no_files(lab):
    auditor = lab.connect(**AUDITOR).nodes("pve1").qemu(100).agent
    wanted = "VM.GuestAgent.FileRead" if lab.major == 9 else "VM.Monitor"
    refused(403, wanted, lambda: auditor("file-read").get(file="/etc/hostname"))


@step
def a_guest_does_not_sleep(lab):
    has(str(agent(lab)("suspend-ram").post()), "is not supported by the guest")
