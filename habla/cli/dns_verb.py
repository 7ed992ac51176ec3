"""``habla dns``: the records that a fleet needs in the DNS."""

from __future__ import annotations

import argparse
from pathlib import Path

from habla.cli.exit_status import ExitStatus
from habla.plan.dns_records import dns_lines, public_addresses
from habla.plan.stack_files import load_plan

__all__ = ["run"]


def run(root: Path, options: argparse.Namespace) -> int:
    """Print them as a zone file."""
    plan = load_plan(root, options.stack)
    for line in dns_lines(plan):
        print(line)
    return ExitStatus.DONE if public_addresses(plan) else ExitStatus.FOUND
