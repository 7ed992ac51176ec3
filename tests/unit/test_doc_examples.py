"""Every YAML example of the documentation is valid as it stands.

An example that begins with ``config:`` is a whole stack. Any other one is a part of a stack. It is merged
with the small fleet below, as a stack is merged with its project.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from habla.errors import Fault
from habla.onhost.document import Archive
from habla.plan import FleetPlan, make_plan
from habla.plan.stack_files import load_plan
from habla.settings.loading import load_settings
from habla.settings.section_merging import merged_sections
from habla.settings.stackfile import file_sections

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "examples").glob("*/*.md")),
]
_FENCED = re.compile(r"^```yaml\n(.*?)^```$", re.M | re.S)
FLEET: dict[str, Any] = yaml.safe_load("""
lab: {}
load_balancer: {dialect: 2.x}
hosts:
  front1: {role: front, outside_address: 203.0.113.10}
  stable1: {role: stable}
  stable2: {role: stable}
  web1: {role: web}
  monitor1: {role: monitor}
  gateway1: {role: volatile}
apps:
  rpc:
    {roles: [stable], command: [/bin/rpc], port: 8001, routes: [{path: /rpc}], health: {path: /}}
  web: {roles: [web], command: [/bin/web], port: 8000, default: true, health: {path: /}}
  gateway: {roles: [volatile], stability: volatile, command: [/bin/gateway]}
""")


def examples(whole: bool) -> list[Any]:
    """The examples of all pages, of one of the two kinds."""
    return [
        pytest.param(text, id=f"{page.relative_to(ROOT)}-{number}")
        for page in PAGES
        for number, text in enumerate(_FENCED.findall(page.read_text("utf-8")))
        if text.startswith("config:") == whole
    ]


def plan_of(directory: Path, *, project: str, stack: str) -> FleetPlan:
    (directory / "stacks").mkdir()
    (directory / "examples").symlink_to(ROOT / "examples")
    (directory / "Pulumi.yaml").write_text(project, "utf-8")
    (directory / "stacks" / "Pulumi.example.yaml").write_text(stack, "utf-8")
    return load_plan(directory, "example")


@pytest.mark.parametrize("text", examples(whole=True))
@pytest.mark.parametrize("is_ours", [True, False], ids=["with the project", "alone"])
def test_a_whole_stack_is_a_fleet(text: str, is_ours: bool, tmp_path: Path) -> None:
    """In this project with what its Pulumi.yaml shares, and in an empty one."""
    project = (ROOT / "Pulumi.yaml").read_text("utf-8") if is_ours else "name: habla\nruntime: python\n"
    assert plan_of(tmp_path, project=project, stack=text).hosts


@pytest.mark.parametrize("text", examples(whole=False))
def test_a_part_of_a_stack_is_valid_in_a_fleet(text: str, tmp_path: Path) -> None:
    """With each key of it under a section, and every name that it mentions known."""
    path = tmp_path / "Pulumi.example.yaml"
    path.write_text("config:\n" + re.sub(r"^", "  ", text, flags=re.M), "utf-8")
    part = file_sections(path)
    assert part
    faults: list[Fault] = []
    raw = merged_sections(FLEET, part, faults=faults)
    assert faults == []
    assert make_plan(load_settings("example", raw), {}, read_archive=lambda spec: Archive("0" * 64)).hosts


def test_there_are_examples_of_both_kinds() -> None:
    """The pages are found, and so is the fleet of the README."""
    assert [param.id for param in examples(whole=True)] == ["README.md-0"]
    assert len(examples(whole=False)) > 5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_example_hides_in_a_block_without_a_language(page: Path) -> None:
    """Settings stand between fences with ``yaml``, where these tests find them."""
    rest = _FENCED.sub("", page.read_text("utf-8"))
    assert re.findall(r"^(?: {4,}|```.*\n\s*)(?:config:|habla:[a-z_]+:).*$", rest, flags=re.M) == []
