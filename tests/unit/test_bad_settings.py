"""Each file of bad_settings/ is a stack that must be refused, in the words it expects."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from habla.cli import main
from habla.errors import Faults
from habla.plan.stack_files import load_plan

CASES = sorted((Path(__file__).parent / "bad_settings").glob("*.yaml"))


def project(tmp_path: Path, case: Path) -> Path:
    """A project whose stack ``bad`` is the case; what the case does not say is a small valid fleet."""
    (tmp_path / "stacks").mkdir()
    (tmp_path / "Pulumi.yaml").write_text(
        yaml.safe_dump(
            {
                "name": "habla",
                "config": {
                    "habla:lab": {"value": {}},
                    "habla:load_balancer": {"value": {"dialect": "2.x"}},
                    "habla:hosts": {"value": {"web1": {"role": "web"}}},
                },
            }
        )
    )
    (tmp_path / "stacks" / "Pulumi.bad.yaml").write_bytes(case.read_bytes())
    return tmp_path


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_bad_settings_are_refused_in_the_words_expected(case: Path, tmp_path: Path) -> None:
    """Every fault is named with its YAML path, before any host is touched."""
    expected = [
        line.removeprefix("# expect: ")
        for line in case.read_text("utf-8", "replace").splitlines()
        if line.startswith("# expect: ")
    ]
    with pytest.raises(Faults) as caught:
        load_plan(project(tmp_path, case), "bad")
    assert expected
    assert [words for words in expected if words not in str(caught.value)] == [], str(caught.value)


def test_the_command_says_what_is_wrong_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``habla render`` exits with 2 and prints the faults on standard error."""
    root = project(tmp_path, next(case for case in CASES if case.stem == "several-at-once"))
    assert main(["-C", str(root), "render", "-s", "bad"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "habla: 5 faults:" in printed.err
    assert "Traceback" not in printed.err


def test_a_cluster_of_one_node_is_allowed_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One Jabber host is no fault, but a note says what it means."""
    case = tmp_path / "one.yaml"
    case.write_text("config:\n  habla:hosts: {stable1: {role: stable}}\n")
    root = project(tmp_path, case)
    assert main(["-C", str(root), "render", "-s", "bad", "--out", str(tmp_path / "out")]) == 0
    assert "the Jabber cluster has one node, stable1" in capsys.readouterr().err


def test_an_unknown_stack_names_those_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped environment is answered with the list of environments."""
    root = Path(__file__).parents[2]
    assert main(["-C", str(root), "render", "-s", "prod"]) == 2
    assert "lab, production, staging" in capsys.readouterr().err
