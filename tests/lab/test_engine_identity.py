"""Names, roles and machines change on the real engine, and no service is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hosts import Lab

from stacks import PULUMI, Stack

pytestmark = pytest.mark.lab

PORT = 8000
ENVIRONMENT = "/etc/habla/apps/page.env"
APP: dict[str, Any] = {
    "roles": ["web", "volatile"],
    "command": ["/bin/sh", "-c", "exec /usr/bin/python3 -m http.server $HABLA_PORT --bind $HABLA_ADDRESS"],
    "packages": ["python3"],
    "port": PORT,
}


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two machines, one and two, that know nothing of habla."""
    if not PULUMI.exists():
        pytest.skip("no pulumi CLI: make toolchain")
    lab = Lab(tmp_path_factory.mktemp("identity") / "lab")
    try:
        lab.create("logrotate")
        lab.together(*({"name": name, "outside_address": None, "forwards": {}} for name in ("one", "two")))
        yield lab
    finally:
        lab.ask("lab-delete")


@pytest.fixture
def stack(machines: Lab, tmp_path: Path) -> Iterator[Stack]:
    """The host web1 on machine one, deployed; everything is removed at the end."""
    found = Stack(tmp_path / "project", machines, {"apps": {"page": APP}}, {"web1": "one"})
    found.settings["hosts"] = {"web1": {"role": "web"}}
    done = found.up()
    assert done.ok, done.output
    yield found
    machines.run("one", f"test ! -d {ENVIRONMENT} || rm -r {ENVIRONMENT}")
    done = found.destroy()
    assert done.ok, done.output


def process(stack: Stack, machine: str) -> str:
    """The main process of the program, which answers."""
    ask = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5)"
    url = "http://$HABLA_ADDRESS:$HABLA_PORT/"
    stack.lab.run(machine, f". {ENVIRONMENT} && python3 -c '{ask}' {url}")
    return stack.lab.run(machine, "systemctl show -p MainPID --value habla-page")


def settled(stack: Stack) -> None:
    """The hosts are as the plan says, and a second deployment says so too."""
    assert stack.as_planned()
    again = stack.up()
    assert again.unchanged, again.output


def test_a_replaced_command_leaves_its_component_at_work(stack: Stack) -> None:
    """``--replace`` of every command: the new ones are made, the old ones undo nothing."""
    before = process(stack, "one")
    replaced = [f"--replace={urn}" for urn in stack.commands().values()]
    done = stack.up(*replaced)
    assert done.ok and f"{len(replaced)} replaced" in done.output, done.output
    assert process(stack, "one") == before
    settled(stack)
    assert stack.destroy().ok
    assert "habla-page" not in stack.lab.run("one", "ls /etc/systemd/system")


def test_a_tainted_command_leaves_its_component_at_work(stack: Stack) -> None:
    """``pulumi state taint`` of every command."""
    before = process(stack, "one")
    for urn in stack.commands().values():
        done = stack.cli("state", "taint", urn, "--yes", "--stack", "test")
        assert done.ok, done.output
    done = stack.up()
    assert done.ok and "replaced" in done.output, done.output
    assert process(stack, "one") == before
    settled(stack)


def test_a_renamed_host_keeps_its_services(stack: Stack) -> None:
    """The machine is the same; what the old name's end undoes is the new name's by then."""
    stack.settings["hosts"] = {"web2": {"role": "web"}}
    stack.machines = {"web2": "one"}
    done = stack.up()
    assert done.ok, done.output
    assert stack.lab.run("one", "hostname") == "web2"
    assert process(stack, "one")
    settled(stack)


def test_two_hosts_swap_their_names(stack: Stack) -> None:
    """Each machine becomes what the other was, and keeps nothing of what it was."""
    stack.settings["hosts"] = {"web1": {"role": "web"}, "gate1": {"role": "volatile"}}
    stack.machines = {"web1": "one", "gate1": "two"}
    assert stack.up().ok
    stack.machines = {"web1": "two", "gate1": "one"}
    done = stack.up()
    assert done.ok, done.output
    assert (stack.lab.run("one", "hostname"), stack.lab.run("two", "hostname")) == ("gate1", "web1")
    assert process(stack, "one") and process(stack, "two")
    settled(stack)


def test_a_host_that_moves_to_another_machine_leaves_the_old_one_empty(stack: Stack) -> None:
    """The name and the address are the same, so both machines must not have them."""
    stack.machines = {"web1": "two"}
    refused = stack.up()
    assert not refused.ok and "start_empty.page" in refused.output, refused.output
    stack.settings["start_empty"] = ["page"]
    done = stack.up()
    assert done.ok, done.output
    assert process(stack, "two")
    assert (
        stack.lab.run("one", "systemctl is-active habla-page; ls /var/lib/habla 2>/dev/null; true")
        == "inactive"
    )
    settled(stack)


def test_a_role_changes(stack: Stack) -> None:
    """The component of the new role takes the program over from that of the old one."""
    stack.settings["hosts"] = {"web1": {"role": "volatile"}}
    done = stack.up()
    assert done.ok, done.output
    assert process(stack, "one")
    assert sorted(stack.components("one")) == ["network", "volatile", "watch"]
    settled(stack)


def test_a_failure_on_one_host_is_one_error_and_the_other_host_is_done(stack: Stack) -> None:
    """The error names the host and has the agent's words; no component is blamed."""
    stack.settings["hosts"] = {"web1": {"role": "web"}, "gate1": {"role": "volatile"}}
    stack.machines = {"web1": "one", "gate1": "two"}
    stack.lab.run("one", f"rm {ENVIRONMENT} && mkdir -p {ENVIRONMENT}/in-the-way")
    stack.settings["apps"] = {"page": {**APP, "environment": {"NEW": "1"}}}
    # Without the option the engine begins nothing new after a failure.
    done = stack.up("--continue-on-error")
    assert not done.ok
    errors = [line for line in done.output.splitlines() if line.strip().startswith("error:")]
    assert "web1: step" in done.output and ENVIRONMENT in done.output
    assert "registration isn't pending" not in done.output
    assert not any("watch" in line for line in errors), done.output
    assert process(stack, "two")
    stack.lab.run("one", f"rm -r {ENVIRONMENT}")
    assert stack.up().ok
    settled(stack)


RETAINED = """\
import json
from pathlib import Path

import pulumi

from habla import AppSpec, ExistingHost, Host, HostArgs, InternalSubnet, InternalSubnetArgs, Member, WebNode
from habla import ServiceNodeArgs

given = json.loads(Path("given.json").read_text())
ssh = given["settings"]["hosts"]["web1"]["ssh"]
kept = pulumi.ResourceOptions(retain_on_delete=True)
machine = ExistingHost(
    ssh["address"], ssh["host_key"], port=ssh["port"], private_key=given["secrets"]["ssh/key"]
)
host = Host("web1", HostArgs(machine), kept)
subnet = InternalSubnet("internal", InternalSubnetArgs([Member(host, "web")]), kept)
app = AppSpec.model_validate_json(json.dumps(given["settings"]["apps"]["page"]))
WebNode("web", ServiceNodeArgs(host, subnet, apps={"page": app}), kept)
"""


def test_what_is_retained_stays_when_the_stack_is_destroyed(machines: Lab, tmp_path: Path) -> None:
    """``retain_on_delete`` of a component is that of its commands."""
    stack = Stack(tmp_path / "project", machines, {"apps": {"page": APP}}, {"web1": "one"}, RETAINED)
    stack.settings["hosts"] = {"web1": {"role": "web"}}
    assert stack.up().ok
    before = process(stack, "one")
    assert stack.destroy().ok
    assert process(stack, "one") == before
    for component in ("web", "network"):
        report = "python3 /usr/local/lib/habla/agent.pyz delete"
        owner = {"web": "web-state", "network": "internal-web1"}[component]
        assert '"deleted": true' in machines.run("one", f"{report} {component} --owner=test/test/{owner}")
    machines.run("one", "rm -rf /var/lib/habla /usr/local/lib/habla")
