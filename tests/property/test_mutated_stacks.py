"""habla renders a fleet or names a fault for any content of a stack file.

HABLA_MUTATIONS says how many stacks are tried; ``make soak`` tries 10,000.
"""

from __future__ import annotations

import copy
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from habla.errors import Faults
from habla.onhost.reading import from_json
from habla.plan.stack_files import load_plan

ROOT = Path(__file__).parents[2]
_COUNT = int(os.environ.get("HABLA_MUTATIONS", "200"))
_CHUNK = 25
_STACKS = ("lab", "staging", "production")
# Mistakes that people make here.
_VALUES = json.loads((Path(__file__).parent / "odd_values.json").read_text("utf-8"))
_CHARACTERS = "\t\0\x01\x85\u2028'\"{}[]:,&*!|>%@`#-?\\ \nä\U0001f600"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the archives of this one, whose stack files are the test's."""
    root = tmp_path_factory.mktemp("mutated")
    (root / "stacks").mkdir()
    (root / "examples").symlink_to(ROOT / "examples")
    return root


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _places(item, (*path, key))


def _part(value: Any, path: tuple[Any, ...]) -> Any:
    """The part at a path; where that is gone by now, the last one on the way."""
    for key in path:
        there = isinstance(value, dict) and key in value
        if not there and not (isinstance(value, list) and isinstance(key, int) and key < len(value)):
            break
        value = value[key]
    return value


def _mutated(document: dict[str, Any], chosen: random.Random) -> dict[str, Any]:
    """The document with one to three of its parts replaced, removed, renamed or moved."""
    result = copy.deepcopy(document)
    for _ in range(chosen.randint(1, 3)):
        places = [path for path in _places(result) if path and path != ("config",)]
        if not places:
            break
        *parents, last = chosen.choice(places)
        place: Any = result
        for key in parents:
            place = place[key]
        match chosen.randrange(5):
            case 0 | 1:
                place[last] = copy.deepcopy(chosen.choice(_VALUES))
            case 2:
                del place[last]
            case 3 if isinstance(place, dict):
                name = chosen.choice([value for value in _VALUES if isinstance(value, (str, int, bool))])
                place[name] = place.pop(last)
            case _:
                place[last] = copy.deepcopy(_part(result, chosen.choice(places)))
    return result


def _scrambled(text: str, chosen: random.Random) -> str:
    """The text with a line or a character too many, too few or elsewhere."""
    lines = text.splitlines(keepends=True)
    for _ in range(chosen.randint(1, 3)):
        at = chosen.randrange(len(lines))
        match chosen.randrange(5):
            case 0 if len(lines) > 1:
                del lines[at]
            case 1:
                lines.insert(at, lines[chosen.randrange(len(lines))])
            case 2:
                lines[at] = " " * chosen.randint(1, 5) + lines[at]
            case 3:
                lines[at] = lines[at].lstrip()
            case _:
                column = chosen.randint(0, len(lines[at]))
                lines[at] = lines[at][:column] + chosen.choice(_CHARACTERS) + lines[at][column:]
    return "".join(lines)


@pytest.mark.parametrize("first", range(0, _COUNT, _CHUNK))
def test_a_mutated_stack_is_a_fleet_or_a_fault(project: Path, first: int) -> None:
    """Never a traceback; each fault has a rule and a fix, and each document can be read by the agent."""
    for seed in range(first, min(first + _CHUNK, _COUNT)):
        chosen = random.Random(seed)
        files = {"Pulumi.yaml": ROOT / "Pulumi.yaml"}
        files["stacks/Pulumi.x.yaml"] = ROOT / "stacks" / f"Pulumi.{chosen.choice(_STACKS)}.yaml"
        mutated = chosen.choice(list(files))
        for name, source in files.items():
            text = source.read_text("utf-8")
            if name == mutated:
                if chosen.random() < 0.75:
                    text = yaml.safe_dump(_mutated(yaml.safe_load(text), chosen), allow_unicode=True)
                else:
                    text = _scrambled(text, chosen)
            (project / name).write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            plan = load_plan(project, "x")
        except Faults as error:
            bare = [fault for fault in error.faults if not (fault.path and fault.rule and fault.fix)]
            assert not bare, (seed, error)
            continue
        except Exception as error:
            text = (project / mutated).read_text("utf-8")
            raise AssertionError(f"mutation {seed} of {mutated}:\n{text}") from error
        for host in plan.hosts.values():
            for state in host.states.values():
                assert from_json(json.loads(state.canonical())).host == host.name, seed
