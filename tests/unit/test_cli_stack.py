"""Which stack ``habla`` takes: the one that is named, then Pulumi's, then the only one."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest
from habla_command import ROOT, environment, habla, project

pytestmark = pytest.mark.slow

PULUMI = ROOT / ".toolchain" / "bin" / "pulumi"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with two stacks."""
    return project(tmp_path / "project", "lab", "production")


def taken(cwd: Path, *words: str, **changes: str) -> str:
    """The stack that a command takes: their hosts differ in how they are reached."""
    done = habla("jabber", "admin", *words, "--json", cwd=cwd, **changes)
    if done.returncode == 3:
        return "lab"  # There is no lab, so its hosts cannot be reached.
    assert done.returncode == 0, done.stderr
    return "production"


def select(home: Path, file: Path, document: object) -> None:
    """Write a workspace file as Pulumi does for a project file."""
    digest = hashlib.sha1(str(file).encode()).hexdigest()
    path = home / "workspaces" / f"habla-{digest}-workspace.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def test_a_named_stack_goes_before_all_others(root: Path, tmp_path: Path) -> None:
    """--stack, then PULUMI_STACK, then the selected one."""
    select(tmp_path / "home", root / "Pulumi.yaml", {"stack": "lab"})
    home = {"PULUMI_HOME": str(tmp_path / "home")}
    assert taken(root, **home) == "lab"
    assert taken(root, PULUMI_STACK="production", **home) == "production"
    assert taken(root, "-s", "lab", PULUMI_STACK="production", **home) == "lab"


@pytest.mark.parametrize(
    ("document", "backend", "stack"),
    [
        ({"stack": "production"}, "", "production"),
        ({"stack": "acme/habla/production"}, "", "production"),
        ({"stacks": {"file:///state": "organization/habla/production"}}, "", "production"),
        (
            {"stacks": {"file:///a": "o/habla/lab", "file:///b": "o/habla/production"}},
            "file:///b",
            "production",
        ),
        ({"stacks": {"file:///a": "o/habla/lab", "file:///b": "o/habla/production"}}, "", None),
        ({"stacks": {}}, "", None),
        ([], "", None),
    ],
)
def test_the_stack_that_pulumi_has_selected(
    document: object, backend: str, stack: str | None, root: Path, tmp_path: Path
) -> None:
    """In each form of its file; of several backends it is the one of PULUMI_BACKEND_URL."""
    select(tmp_path / "home", root / "Pulumi.yaml", document)
    changes = {"PULUMI_HOME": str(tmp_path / "home"), "PULUMI_BACKEND_URL": backend}
    if stack is None:
        assert "no stack is chosen" in habla("dns", cwd=root, **changes).stderr
    else:
        assert taken(root, **changes) == stack


def test_the_backend_may_be_that_of_the_login(root: Path, tmp_path: Path) -> None:
    """``pulumi login`` writes it to credentials.json."""
    home = tmp_path / "home"
    select(
        home,
        root / "Pulumi.yaml",
        {"stacks": {"file:///a": "o/habla/lab", "file:///b": "o/habla/production"}},
    )
    (home / "credentials.json").write_text(json.dumps({"current": "file:///b"}))
    assert taken(root, PULUMI_HOME=str(home)) == "production"


def test_a_project_that_is_reached_by_a_link_is_known_by_that_name(root: Path, tmp_path: Path) -> None:
    """Pulumi takes the working directory as the shell names it."""
    link = tmp_path / "link"
    link.symlink_to(root)
    select(tmp_path / "home", link / "Pulumi.yaml", {"stack": "production"})
    home = str(tmp_path / "home")
    assert taken(link, PULUMI_HOME=home, PWD=str(link)) == "production"
    assert taken(link / "stacks", PULUMI_HOME=home, PWD=str(link / "stacks")) == "production"


def test_the_only_stack_needs_no_name(tmp_path: Path) -> None:
    """As in a project of one environment."""
    assert taken(project(tmp_path, "production")) == "production"


@pytest.mark.parametrize(
    ("words", "changes", "source"),
    [
        (["-s", "prodution"], {}, "--stack"),
        ([], {"PULUMI_STACK": "acme/habla/prodution"}, "PULUMI_STACK"),
    ],
)
def test_an_unknown_stack_is_named_with_its_source(
    words: list[str], changes: dict[str, str], source: str, root: Path
) -> None:
    """So nobody looks for it in the wrong place."""
    done = habla("dns", *words, cwd=root, **changes)
    assert done.returncode == 2
    assert f"{source}: no such stack (prodution)\n  rule: known: lab, production" in done.stderr
    assert "did you mean production?" in done.stderr


def test_a_selected_stack_without_a_file_is_a_fault(root: Path, tmp_path: Path) -> None:
    """Pulumi would use it too, with empty settings."""
    select(tmp_path / "home", root / "Pulumi.yaml", {"stack": "gone"})
    done = habla("dns", cwd=root, PULUMI_HOME=str(tmp_path / "home"))
    assert done.returncode == 2 and "the stack that Pulumi has selected: no such stack (gone)" in done.stderr


def test_without_a_choice_the_stacks_are_listed(root: Path, tmp_path: Path) -> None:
    """And with none in the project the fault says which file to make."""
    done = habla("dns", cwd=root)
    assert done.returncode == 2
    assert "no stack is chosen\n  rule: the project has several stacks: lab, production\n" in done.stderr
    empty = project(tmp_path / "empty")
    done = habla("dns", cwd=empty)
    assert done.returncode == 2 and f"create {empty}/stacks/Pulumi.NAME.yaml" in done.stderr


@pytest.mark.engine
@pytest.mark.skipif(not PULUMI.exists(), reason="the pulumi CLI is not set up: make toolchain")
def test_pulumi_itself_selects_a_stack(root: Path, tmp_path: Path) -> None:
    """``pulumi stack init`` selects the new stack, and habla finds it without the backend's name."""
    launcher = (ROOT / ".toolchain" / "env").read_text("utf-8")
    (program,) = [line for line in launcher.splitlines() if line.startswith("export HABLA_PULUMI=")]
    (tmp_path / "state").mkdir()
    home = {"PULUMI_HOME": str(tmp_path / "home")}
    variables = environment(
        **home, PWD=str(root), PULUMI_BACKEND_URL=f"file://{tmp_path / 'state'}", PULUMI_CONFIG_PASSPHRASE="x"
    )
    command = [program.partition("=")[2], "stack", "init", "organization/habla/production"]
    subprocess.run(command, cwd=root, env=variables, capture_output=True, check=True)
    assert taken(root, **home) == "production"
