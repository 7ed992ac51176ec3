"""One setting, ``habla:domain``, gives a whole fleet another domain."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from habla.plan import FleetPlan
from habla.plan.dns_records import dns_lines
from habla.plan.stack_files import load_plan

ROOT = Path(__file__).parents[2]
STACKS = [
    (ROOT, "lab"),
    (ROOT, "staging"),
    (ROOT, "production"),
    (ROOT / "tests/golden/jabber", "everything"),
    (ROOT / "tests/golden/jabber", "short"),
]
DOMAIN = "fleet.example.net"


def plan_of(root: Path, name: str, *, domain: str | None, directory: Path) -> FleetPlan:
    """The plan of a stack, with the domain changed in its own file and nowhere else."""
    (directory / "stacks").mkdir(parents=True)
    (directory / "Pulumi.yaml").write_bytes((root / "Pulumi.yaml").read_bytes())
    (directory / "examples").symlink_to(ROOT / "examples")
    stack = yaml.safe_load((root / "stacks" / f"Pulumi.{name}.yaml").read_text("utf-8"))
    if domain:
        stack["config"]["habla:domain"] = domain
    (directory / "stacks" / f"Pulumi.{name}.yaml").write_text(yaml.safe_dump(stack), "utf-8")
    return load_plan(directory, name)


def texts(plan: FleetPlan) -> list[str]:
    """Everything that a plan says: each state of each host, records, forwards, and remarks."""
    found = [state.canonical() for host in plan.hosts.values() for state in host.states.values()]
    found += [
        repr(forward)
        for host in plan.hosts.values()
        for service in host.services
        for forward in service.forwards(host.site).values()
    ]
    decoded = [text.decode() if isinstance(text, bytes) else text for text in found]
    return [*decoded, *dns_lines(plan), *plan.notes]


@pytest.mark.parametrize(("root", "name"), STACKS, ids=[name for _, name in STACKS])
def test_no_trace_of_the_other_domain_is_left(root: Path, name: str, tmp_path: Path) -> None:
    """Neither of the default nor of the stack's own, in any file, record or remark; the new one is there."""
    before = plan_of(root, name, domain=None, directory=tmp_path / "before")
    after = plan_of(root, name, domain=DOMAIN, directory=tmp_path / "after")
    old = re.compile(rf"(?<![a-z]){re.escape(before.settings.domain)}|hab\.la")
    assert [text for text in texts(before) if old.search(text)]
    assert [
        found[0] for text in texts(after) if (found := re.search(f".{{0,60}}(?:{old.pattern}).*", text))
    ] == []
    assert any(f"www.{DOMAIN}" in text for text in texts(after))


def test_everything_but_the_domain_is_the_same(tmp_path: Path) -> None:
    """A fleet of another domain has the files of the first, with its own name in them."""
    before = plan_of(ROOT, "staging", domain=None, directory=tmp_path / "before")
    after = plan_of(ROOT, "staging", domain="hab.xy", directory=tmp_path / "after")
    assert [text.replace("hab.la", "hab.xy") for text in texts(before)] == texts(after)
