#!/usr/bin/env python3
"""Drives the built simulator with proxmoxer over TLS, through every feature that a panel uses.

    python -m venv venv && venv/bin/pip install -r requirements.txt
    venv/bin/python run.py --binary ../../../target/debug/pve-sim --pve 9

Each area gets a simulator of its own. The areas and their steps are in `areas/`; to add a step, write a function with
`@step` whose name says what it shows. The last line is `N passed, M failed`, and the exit code says the same.

With `PORTICO_SIM_LISTEN` and `PORTICO_PVE_PROXY` the calls go through a proxy: docs/schema-check.md.
"""

import argparse
import importlib
import sys
import time
import traceback

import kit

# Name and how many times faster than real time: what waits for the script must not expire before it asks.
AREAS = [
    ("access", 100),
    ("users", 100),
    ("pools", 200),
    ("cluster", 100),
    ("power", 100),
    ("config", 100),
    ("snapshots", 100),
    ("backups", 200),
    ("lifecycle", 200),
    ("migrate", 200),
    ("agent", 100),
    ("files", 100),
    ("tasks", 100),
    ("firewall", 100),
    ("groups", 100),
    ("storage", 100),
    ("infrastructure", 200),
    ("console", 3),
    ("terminal", 3),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True, help="the pve-sim program")
    parser.add_argument("--pve", type=int, default=9, choices=[8, 9], help="which major version is simulated")
    parser.add_argument("--area", action="append", help="only this area; may be given several times")
    arguments = parser.parse_args()
    passed = failed = 0
    for name, scale in AREAS:
        if arguments.area and name not in arguments.area:
            continue
        kit.STEPS.clear()
        importlib.import_module(f"areas.{name}")
        steps, began = list(kit.STEPS), time.monotonic()
        lab = kit.Lab(arguments.binary, arguments.pve, scale)
        try:
            for run in steps:
                try:
                    run(lab)
                    passed += 1
                except Exception:  # pylint: disable=broad-except
                    failed += 1
                    print(f"FAILED on {arguments.pve}: {name}: {run.__name__.replace('_', ' ')}")
                    traceback.print_exc(file=sys.stdout, limit=-3)
        finally:
            lab.close()
        print(f"{name}: {len(steps)} steps, {time.monotonic() - began:.1f} s", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
