"""The program of a stack and the ``habla`` command come to the same settings from the same two files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from throwaway import Stack

from habla.errors import SettingsError
from habla.settings import read_stack

pytestmark = pytest.mark.engine

_PROGRAM = """\
from pathlib import Path
from habla.components.stack import stack_settings
from habla.errors import SettingsError
try:
    found = repr(stack_settings(Path.cwd())[0])
except SettingsError as error:
    found = str(error)
Path("settings.txt").write_text(found)
"""
_PROJECT: dict[str, Any] = {
    "habla:domain": {"value": "a.example"},
    "habla:lab": {"value": {}},
    "habla:load_balancer": {"value": {"dialect": "2.x", "www": {"maxconn": 100}}},
    "habla:hosts": {"value": {"web1": {"role": "web"}, "web2": {"role": "web"}}},
    "habla:alerts": {"value": {"command": ["/bin/tell"], "warning": 70}},
    "habla:services": {"value": {"jabber": {"domains": {"${domain}": {}}, "upload": {"days": 5}}}},
    "habla:start_empty": {"default": ["mysql"]},
    "habla:apps": {
        "value": {
            "rpc": {
                "roles": ["stable"],
                "command": ["/bin/rpc"],
                "environment": {"A": "1", "B": "${domain}"},
            },
            "web": {"roles": ["web"], "command": ["/bin/web"]},
        }
    },
}
_STACKS: dict[str, dict[str, Any]] = {
    "nothing of its own": {},
    "keys changed, added and removed": {
        "habla:domain": "b.example",
        "habla:hosts": {"web2": None, "stable1": {"role": "stable"}},
        "habla:services": {
            "jabber": {"upload": None, "domains": {"visitors.${domain}": {"auth": "anonymous"}}}
        },
        "habla:apps": {"rpc": {"environment": {"A": None, "C": "3"}}, "web": None},
        "habla:load_balancer": {"www": {"stats_port": 9000}},
    },
    "whole sections removed": {"habla:alerts": None, "habla:apps": None, "habla:start_empty": None},
    "no lab": {"habla:lab": None},
    "a section without its prefix": {"apps": {"web": None}},
    "a section with another prefix": {"hablah:apps": {"web": None}},
    "a key in the wrong place": {"habla:load_balancer": {"maxconn": 5}},
    "the same key twice": {"habla:services": {"jabber": {"domains": {"${domain}": {}, "a.example": {}}}}},
}


def project(directory: Path, stack: dict[str, Any]) -> Stack:
    made = Stack(directory)
    document = {"name": "habla", "runtime": "python", "stackConfigDir": "stacks", "config": _PROJECT}
    (directory / "Pulumi.yaml").write_text(yaml.safe_dump(document), "utf-8")
    (directory / "stacks").mkdir()
    assert made.cli("stack", "init", "other").ok
    path = directory / "stacks" / "Pulumi.other.yaml"
    own = yaml.safe_load(path.read_text("utf-8")) if path.exists() else {}
    path.write_text(yaml.safe_dump({**own, "config": stack}), "utf-8")
    return made


@pytest.mark.parametrize("case", _STACKS)
def test_both_doors_come_to_the_same_settings(case: str, stack: Stack, tmp_path: Path) -> None:
    """With the same faults in the same words where there are some."""
    directory = tmp_path / "other"
    directory.mkdir()
    made = project(directory, _STACKS[case])
    (directory / "__main__.py").write_text(_PROGRAM, "utf-8")
    result = made.cli("preview", "-s", "other")
    assert result.ok, result.output
    try:
        wanted = repr(read_stack(directory, "other"))
    except SettingsError as error:
        wanted = str(error)
    assert (directory / "settings.txt").read_text("utf-8") == wanted
    is_fault = case.startswith(("a ", "the ", "no lab"))
    assert wanted.startswith("Settings(") != is_fault, wanted
