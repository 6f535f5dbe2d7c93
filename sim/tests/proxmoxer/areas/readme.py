"""What the document shows of proxmoxer: each Python block of `sim/README.md` is run as it stands there."""

import contextlib
import io
import pathlib
import re

from kit import holds, one, same, step

README = pathlib.Path(__file__).resolve().parents[3] / "README.md"


def blocks():
    found = re.findall(r"^```python\n(.*?)^```$", README.read_text(encoding="utf-8"), re.M | re.S)
    holds(found, README)
    return found


def run(lab, block):
    """Runs a block against this lab and gives what it prints."""
    for shown, here in [("127.0.0.1:8006", lab.address), (".pve-sim/certificate.pem", lab.certificate)]:
        holds(shown in block, block)
        block = block.replace(shown, here)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block, README.name, "exec"), {})  # pylint: disable=exec-used
    return printed.getvalue()


@step
def every_block_prints_what_its_comments_say(lab):
    for block in blocks():
        said = re.findall(r"^print\(.*\)\s+# (.*)$", block, re.M)
        holds(said, block)
        same(run(lab, block).splitlines(), said)


@step
def what_the_blocks_did_is_there(lab):
    one(lab.vm(100).snapshot.get(), name="first")
    rule = lab.vm(100).firewall.rules.get()[0]
    same((rule["action"], rule["dport"], rule["enable"]), ("DROP", "25", 1))
