"""The project's own stacks for machines reached over SSH, previewed by the real engine."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from throwaway import Stack

from habla.plan import missing_secrets
from habla.plan.stack_files import load_plan
from toolchain.setup import npm

pytestmark = pytest.mark.engine
ROOT = Path(__file__).parents[2]
POISON = "poison-93ab"


def project(directory: Path, environment: str) -> Stack:
    """A copy of what git tracks of the project's program, with a throw-away backend and an empty stack."""
    stack = Stack(directory)
    wanted = ["Pulumi.yaml", "__main__.py", "stacks", "examples"]
    listed = subprocess.run(
        ["git", "ls-files", *wanted], cwd=ROOT, check=True, capture_output=True, text=True
    )
    for name in listed.stdout.split():
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    # Which git does not track: the set-up puts them there.
    shutil.copytree(ROOT / npm.TARGET, directory / npm.TARGET)
    stack.environment["PULUMI_CONFIG_PASSPHRASE"] = environment
    assert stack.cli("stack", "init", environment).ok
    return stack


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_a_stack_is_refused_until_its_secrets_are_set(environment: str, tmp_path: Path) -> None:
    """The preview names each missing secret and the command that sets it, without a traceback."""
    result = project(tmp_path, environment).cli("preview", "-s", environment)
    assert not result.ok
    assert "secrets.mysql/habla: the secret is not set" in result.output
    assert f"""pulumi config set --secret --path 'habla:secrets["ssh/private_key"]' -s {environment}""" in (
        result.output
    )
    assert "Traceback" not in result.output


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_a_stack_with_its_secrets_set_can_be_previewed(environment: str, tmp_path: Path) -> None:
    """Every component of every host is shown with what its state is about, and no secret is."""
    stack = project(tmp_path, environment)
    plan = load_plan(ROOT, environment)
    for fault in missing_secrets(plan):
        name = fault.path.removeprefix("secrets.")
        assert stack.cli("config", "set", "--secret", "--path", f'habla:secrets["{name}"]', POISON).ok
    result = stack.cli("preview", "-s", environment, "--diff")
    assert result.ok, result.output
    assert POISON not in result.output
    for host in plan.hosts.values():
        for component in host.parts:
            assert f"{host.name}-{component}-state" in result.output
            assert f"@ component {component} of {host.name}, " in result.output
    assert not (tmp_path / ".lab").exists()


def test_bad_settings_fail_the_preview_with_their_path(tmp_path: Path) -> None:
    """Under Pulumi the faults are the same as with ``habla render``, and there is no traceback."""
    stack = project(tmp_path, "lab")
    path = tmp_path / "stacks" / "Pulumi.lab.yaml"
    path.write_text(path.read_text("utf-8").replace("web1: {role: web}", "web1: {role: wbe}"), "utf-8")
    result = stack.cli("preview", "-s", "lab")
    assert not result.ok
    assert "hosts.web1.role: unknown role (wbe)" in result.output
    assert "did you mean web?" in result.output
    assert "Traceback" not in result.output


def test_init_generates_the_secrets_of_a_new_stack(tmp_path: Path) -> None:
    """Once Pulumi has the stack: each is random and encrypted, and no later run changes one."""
    stack = project(tmp_path, "trial")
    _init(stack)
    path = tmp_path / "stacks" / "Pulumi.trial.yaml"
    found = yaml.safe_load(path.read_text())
    assert set(found["config"]["habla:secrets"]) == {
        *("cacti/admin", "cacti/database", "jabber/cookie", "mysql/habla", "snmp/auth", "snmp/privacy")
    }
    values = [
        stack.cli("config", "get", "--path", f'habla:secrets["{name}"]', "--stack", "trial").output.strip()
        for name in found["config"]["habla:secrets"]
    ]
    assert len(set(values)) == len(values) and all(len(value) >= 32 for value in values)
    assert not [value for value in values if value in path.read_text()]
    _init(stack)
    assert yaml.safe_load(path.read_text()) == found
    assert stack.cli("preview", "--stack", "trial").ok


def _init(stack: Stack) -> None:
    words = [sys.executable, "-m", "habla.cli", "init", "trial"]
    done = subprocess.run(
        words, cwd=stack.directory, env=stack.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
