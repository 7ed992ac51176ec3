"""A preview shows the lines that change, and few others, of a fleet that is deployed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from test_stacks import POISON, ROOT, project
from throwaway import PLUGIN, STAMP, Stack

from habla.plan import missing_secrets
from habla.plan.stack_files import load_plan

pytestmark = pytest.mark.engine

# The stand-in for the Command plugin, whose commands all succeed without a host.
_PLUGIN = f"""\
#!{sys.executable}
import sys
sys.path.insert(0, {str(ROOT)!r})
from standin import operations
async def done(token, inputs, **_): return {{**inputs, "stdout": "{{}}", "stderr": ""}}
operations.create = operations.update = done
from standin.__main__ import main
main(sys.argv[1:])
"""
_SETTINGS = "stacks/Pulumi.staging.yaml"
# One module of the agent is another one.
_OTHER_AGENT = """\
import habla.components.agent_bundle as bundle
_texts = bundle.package_texts
def _changed(package): return _texts(package) | {"cli.py": "# Another one." + _texts(package)["cli.py"]}
bundle.package_texts = lambda package: (_changed if package == "habla.onhost.agent" else _texts)(package)
"""


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The staging stack, deployed on hosts that do not exist."""
    if not STAMP.exists():
        pytest.skip("no pulumi CLI: make toolchain")
    stack = project(tmp_path_factory.mktemp("deployed"), "staging")
    (stack.directory / "home" / "plugins" / PLUGIN / "pulumi-resource-command").write_text(_PLUGIN, "utf-8")
    for fault in missing_secrets(load_plan(ROOT, "staging")):
        name = fault.path.removeprefix("secrets.")
        assert stack.cli("config", "set", "--secret", "--path", f'habla:secrets["{name}"]', POISON).ok
    result = stack.cli("up", "-s", "staging", "--yes", "--skip-preview")
    assert result.ok, result.output
    return stack


def preview(stack: Stack, file: str, *, old: str, new: str) -> list[str]:
    """The lines of a preview with one change of a file, which is taken back."""
    path: Path = stack.directory / file
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    try:
        result = stack.cli("preview", "-s", "staging", "--diff")
    finally:
        path.write_text(text, "utf-8")
    assert result.ok, result.output
    return result.output.splitlines()


def test_no_change_shows_nothing(deployed: Stack) -> None:
    """The stack is deployed, so the other tests see one change each."""
    result = deployed.cli("preview", "-s", "staging", "--diff", "--expect-no-changes")
    assert result.ok and len(result.output.splitlines()) < 10, result.output


@pytest.mark.parametrize(
    ("file", "old", "new", "most", "shown"),
    [
        # One host, one file of HAProxy.
        ("Pulumi.yaml", "maxconn: 20", "maxconn: 21", 45, "maxconn 21 agent-check"),
        # Two hosts, one environment each.
        ("Pulumi.yaml", "MYSQL_USER: habla", "MYSQL_USER: other", 60, "MYSQL_USER=other"),
        # The options of ejabberd, on two hosts.
        ("Pulumi.yaml", "send_direct_invitation", "get_room_options", 60, "get_room_options"),
        # Every host tells somebody else.
        (_SETTINGS, "ops@example.net", "admin@example.net", 120, "admin@example.net"),
        # A program's archive, on two hosts.
        ("examples/apps/rpc/rpc.py", "import", "import ", 90, '"sha256"'),
        # Every host gets a new agent.
        ("__main__.py", '"""The program', _OTHER_AGENT + '"""The program', 200, '"onhost/agent/cli.py"'),
    ],
    ids=["maxconn", "environment", "ejabberd", "alerts", "archive", "agent"],
)
def test_one_changed_word_shows_few_lines(
    deployed: Stack, file: str, old: str, new: str, *, most: int, shown: str
) -> None:
    """Up to 25 lines a host, of which one has the change; it was up to 3,000."""
    lines = preview(deployed, file, old=old, new=new)
    changed = [line for line in lines if line.lstrip().startswith("+ ") and shown in line]
    assert changed, "\n".join(lines)
    assert len(lines) <= most, "\n".join(lines)


def test_a_change_names_its_file(deployed: Stack) -> None:
    """Above the lines that differ there is the path of their file, with its old and its new digest."""
    lines = preview(deployed, "Pulumi.yaml", old="maxconn: 20", new="maxconn: 21")
    named = [line.split()[0] for line in lines if "> /etc/haproxy/www.cfg " in line]
    assert named == ["-", "+"]


def test_lines_are_not_cut(deployed: Stack) -> None:
    """The engine shows 150 characters of a line; a difference at the end of a longer one is seen too."""
    value = "x" * 300
    lines = preview(deployed, "Pulumi.yaml", old="MYSQL_USER: habla", new=f"MYSQL_USER: {value}-at-its-end")
    assert any("x-at-its-end" in line for line in lines), "\n".join(lines)
