"""``habla addresses``: the address plan, and how many addresses are free in each role."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from habla.cli.exit_status import ExitStatus
from habla.plan import plan_stack_addresses
from habla.plan.stack_files import read_held, write_held
from habla.settings import held_addresses_path, read_stack

__all__ = ["run"]


def run(root: Path, options: argparse.Namespace) -> int:
    """Print the plan, and write it to the stack's address file if ``--write`` is given."""
    held = read_held(root, options.stack)
    plan = plan_stack_addresses(read_stack(root, options.stack), held)
    print(f"network {plan.network}")
    for role, ranges in plan.ranges.items():
        if not ranges:
            continue
        print(f"\n{role:<10} {', '.join(map(str, ranges))}, {plan.free[role]} free")
        for name, address in sorted(plan.of_role(role).items(), key=lambda item: item[1]):
            print(f"  {address!s:<15} {name}{'' if held.get(name) == address else '  (new)'}")
    if options.write and write_held(root, options.stack, addresses=plan.hosts):
        print(f"\nwritten to {held_addresses_path(root, options.stack)}", file=sys.stderr)
    return ExitStatus.DONE
