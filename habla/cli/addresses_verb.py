"""``habla addresses``: the address plan, with what is free in each role."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from habla.plan import plan_stack_addresses
from habla.plan.stack_files import read_held, write_held
from habla.settings import held_addresses_path, read_stack

__all__ = ["add_verb"]


def add_verb(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "addresses",
        parents=[common],
        help="print the address plan",
        description="Prints which host has which internal address, by role, and what is free. A host "
        "keeps its address while it stands in stacks/addresses.ENV.yaml, where `pulumi up` writes it.",
    )
    parser.add_argument("--write", action="store_true", help="write the plan down without deploying it")
    parser.set_defaults(run=_run)


def _run(root: Path, options: argparse.Namespace) -> int:
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
    return 0
