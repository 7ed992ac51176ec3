"""Both doors of a stack's settings agree: the engine's reader of YAML, and habla's own."""

from __future__ import annotations

import json

import pytest
from throwaway import CLONE, Stack

from habla.settings.stackfile import section_value

pytestmark = pytest.mark.engine

_PROGRAM = """\
from pathlib import Path
import pulumi.runtime.config as config
Path("read.json").write_text(json.dumps({**config.get_config_env(), **config.CONFIG.get()}))
"""


def test_pulumi_reads_every_value_as_habla_does(stack: Stack) -> None:
    """Each mapping of the reader's table, as a section of a stack file."""
    cases = json.loads((CLONE / "tests/unit/yaml_values.json").read_text("utf-8"))
    sections = {f"test:s{number}": case for number, case in enumerate(cases) if case["mapping"]}
    lines = ["config:"]
    for name, case in sections.items():
        lines += [f"  {name}:", *(f"    {line}" for line in case["content"].splitlines())]
    (stack.directory / "Pulumi.test.yaml").write_text("\n".join(lines) + "\n")
    result = stack.preview(_PROGRAM)
    assert result.ok, result.output
    read = json.loads((stack.directory / "read.json").read_text())
    assert {name: section_value(read[name]) for name in sections} == {
        name: case["mapping"] for name, case in sections.items()
    }
