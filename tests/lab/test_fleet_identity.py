"""Names, roles and machines of a whole fleet change on the real engine, and no service or data is lost.

The fleet is deployed once. Each test changes it and leaves it in a good state, under the names that it gave.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from agent import AgentHost
from hosts import wait_for
from machine_fleet import USER, MachineFleet, machine_fleet

from habla.components.agent_bundle import AGENT_PATH
from habla.errors import Faults
from habla.services.jabber.jabber_units import HEAL
from stacks import PULUMI, Up

pytestmark = [pytest.mark.lab, pytest.mark.engine]

ON = "--continue-on-error"
BALANCER = "/etc/haproxy/www.cfg"
TIMER = "/etc/systemd/system/habla-watch.timer"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MachineFleet]:
    """Five hosts on five machines, deployed; with a message in MySQL and an account in Jabber."""
    if not PULUMI.exists():
        pytest.skip("no pulumi CLI: make toolchain")
    with machine_fleet(tmp_path_factory.mktemp("machines")) as found:
        yield found


def done(up: Up) -> Up:
    """A run that ended well."""
    assert up.ok, up.output
    return up


def failed(up: Up) -> list[str]:
    """The resources that a run reports as failed, without the stack."""
    assert not up.ok, up.output
    heads = [line for line in up.diagnostics.splitlines() if line.startswith("  command:")]
    return [line.split("(")[1].split(")")[0] for line in heads]


def _locked(path: str) -> str:
    """The command after which a file cannot be replaced. Debian 13 has no chattr without another package."""
    return f"mount --bind {path} {path}"


def _unlocked(path: str) -> str:
    """The command after which it can be replaced again."""
    return f"umount {path}"


def _freeze(host: AgentHost, unit: str) -> None:
    """Start a service that ends by itself, and keep it from ending."""
    begin = f"systemctl start --no-block {unit} && systemctl kill --kill-who=main -s STOP {unit}"
    wait_for(lambda: "activating" in host.run(f"{begin}; systemctl show -p ActiveState {unit}"), what=unit)


def test_replaced_commands_destroy_nothing(fleet: MachineFleet) -> None:
    """``--replace`` of every command of every host leaves every process as it is."""
    before, commands = fleet.processes(), fleet.commands()
    up = done(fleet.up(*(f"--replace={urn}" for urn in commands.values())))
    assert f"{len(commands)} replaced" in up.output
    assert fleet.processes() == before
    fleet.settled()


def test_tainted_commands_destroy_nothing(fleet: MachineFleet) -> None:
    """``pulumi state taint`` of every command leaves every process as it is."""
    before, commands = fleet.processes(), fleet.commands()
    done(fleet.cli("state", "taint", *commands.values(), "--yes", "--stack", "test"))
    assert f"{len(commands)} replaced" in done(fleet.up()).output
    assert fleet.processes() == before
    fleet.settled()


def test_a_replaced_command_is_safe_after_a_run_that_failed(fleet: MachineFleet) -> None:
    """The old command is deleted in the next run, after the component was changed once more."""
    web, app = fleet.commands()["web1-web-state"], fleet.settings["apps"]["web"]
    fleet.host("front1").run(_locked(BALANCER))
    app["maxconn"] = 49
    assert failed(fleet.up(f"--replace={web}")) == ["front1-balancer-state"]
    fleet.host("front1").run(_unlocked(BALANCER))
    app["environment"]["CHANGED"] = "1"
    up = done(fleet.up())
    assert "web1-web-state updated" in up.output and "web1-web-state deleted original" in up.output
    fleet.settled()


def test_renamed_hosts_keep_their_services_and_data(fleet: MachineFleet) -> None:
    """web1 becomes web9, and the first Jabber host becomes stable9, each on its machine.

    A timer looks after the Jabber cluster. Its run that began under the old name delays nothing.
    """
    fleet.rename("web1", "web9")
    fleet.rename("stable1", "stable9")
    _freeze(fleet.host("stable9"), HEAL)
    done(fleet.up())
    assert fleet.get("/")[2] == "web9"
    # The other node has kept the accounts.
    assert fleet.accounts() == [USER]
    fleet.settled()


def test_two_hosts_swap_their_names(fleet: MachineFleet) -> None:
    """All Jabber hosts at once are refused. When that is allowed, each machine keeps its old database."""
    one, other = fleet.hosts("stable")
    before = fleet.processes()
    fleet.machines[one], fleet.machines[other] = fleet.machines[other], fleet.machines[one]
    with pytest.raises(Faults, match=r"start_empty\.jabber") as refused:
        fleet.plan()
    assert [fault.path for fault in refused.value.faults] == ["start_empty.jabber"]
    assert not fleet.cli("up", "--yes", "--skip-preview", "--stack", "test").ok
    assert fleet.processes() == {**before, one: before[other], other: before[one]}

    fleet.settings["start_empty"] = ["jabber"]
    done(fleet.up())
    assert fleet.accounts() == []
    for name in (one, other):
        aside = f"/var/lib/ejabberd/before-ejabberd@{name}-*"
        assert fleet.host(name).run(f"ls {aside}/passwd.DC? {aside}/passwd.DAT 2>/dev/null; true")
    del fleet.settings["start_empty"]
    fleet.register()
    fleet.settled()


def test_a_role_changes(fleet: MachineFleet) -> None:
    """web9 becomes volatile, and so the website moves to another component and another address."""
    fleet.settings["hosts"]["web9"]["role"] = "volatile"
    fleet.settings["apps"]["web"]["roles"] = ["volatile"]
    done(fleet.up())
    assert sorted(fleet.components(fleet.machines["web9"])) == ["network", "volatile", "watch"]
    assert str(fleet.plan().addresses.hosts["web9"]) == "192.168.2.200"
    fleet.settled()


def test_components_are_renamed_in_a_program(fleet: MachineFleet) -> None:
    """With an alias the command is updated. Without one it is made anew, and the old one undoes nothing."""
    before = fleet.processes()
    fleet.names = {"web9-volatile": "site", "stable2-stable": "chat", "front1-cachedb": "data"}
    fleet.former = {"site": ["web9-volatile"]}
    up = done(fleet.up())
    assert "site-state updated" in up.output and "web9-volatile-state" not in up.output
    for old, new in (("stable2-stable", "chat"), ("front1-cachedb", "data")):
        assert f"{new}-state created" in up.output and f"{old}-state deleted" in up.output
    assert fleet.processes() == before
    fleet.settled()


def test_a_program_moves_to_another_host(fleet: MachineFleet) -> None:
    """status leaves both stable hosts for web9, and nothing of it is left but its data."""
    fleet.settings["apps"]["status"]["roles"] = ["volatile"]
    with pytest.raises(Faults, match=r"start_empty\.status"):
        fleet.plan()
    fleet.settings["start_empty"] = ["status"]
    done(fleet.up())
    wait_for(lambda: fleet.served_by("/status/") == {"web9"}, 60, "status by web9")
    assert fleet.faults() == {}
    del fleet.settings["start_empty"]
    fleet.settled()


def test_components_are_renamed_while_their_commands_are_skipped(fleet: MachineFleet) -> None:
    """An earlier command fails, so the new ones are skipped. Nothing is undone, also when it fails again."""
    fleet.names |= {"front1-balancer": "doors", "stable9-stable": "talk"}
    fleet.former = {"doors": ["front1-balancer"]}
    processes, first = fleet.processes(), fleet.host("stable2")
    first.run(_locked("/etc/habla/apps/rpc.env"))
    fleet.settings["apps"]["rpc"]["environment"]["RENAMED"] = "1"
    for _ in range(2):
        assert failed(fleet.up(ON)) == ["chat-state"]
        assert fleet.processes() == processes
    first.run(_unlocked("/etc/habla/apps/rpc.env"))
    done(fleet.up())
    fleet.settled()


@dataclass(frozen=True)
class Failure:
    """How a host is made to fail. words: in the error. waiting: hosts with commands that wait for its own."""

    host: str
    command: str
    breaks: str
    repairs: str
    words: tuple[str, ...]
    waiting: tuple[str, ...] = ()


def _unchangeable(host: str, command: str, path: str, *waiting: str) -> Failure:
    words = (f"habla: {host}: step swap: {path}: Device or resource busy",)
    return Failure(host, command, _locked(path), _unlocked(path), words, waiting)


def _in_the_way(host: str, command: str, path: str, *waiting: str) -> Failure:
    words = (f"habla: {host}: step ", path)
    breaks = f"rm {path} && mkdir -p {path}/in-the-way"
    return Failure(host, command, breaks, f"rm -r {path}", words, waiting)


FAILURES = (
    _unchangeable("front1", "doors-state", BALANCER),
    _in_the_way("stable2", "chat-state", "/etc/habla/apps/rpc.env", "stable9", "front1"),
    _unchangeable("stable9", "stable9-watch-state", TIMER),
    _in_the_way("web9", "site-state", "/etc/habla/apps/web.env", "front1"),
    Failure(
        "monitor1",
        "monitor1-watch-state",
        f"mv {AGENT_PATH} /root/agent",
        f"mv /root/agent {AGENT_PATH}",
        (AGENT_PATH, "No such file or directory"),
    ),
)


@pytest.mark.parametrize("failure", FAILURES, ids=[failure.host for failure in FAILURES])
def test_a_failure_on_a_host_is_one_error_and_the_others_are_done(
    fleet: MachineFleet, failure: Failure
) -> None:
    """The error has the host, the component and the agent's words. After the repair ``up`` ends well."""
    change = FAILURES.index(failure)
    fleet.settings["alerts"]["every_seconds"] = seconds = 30 + change
    fleet.settings["apps"]["web"] |= {"maxconn": 60 + change}
    for app in ("web", "rpc"):
        fleet.settings["apps"][app]["environment"]["CHANGED"] = str(change)
    fleet.host(failure.host).run(failure.breaks)
    up = fleet.up(ON)
    assert failed(up) == [failure.command]
    assert all(word in up.diagnostics for word in failure.words), up.output
    undone = {failure.host, *failure.waiting}
    for name in fleet.machines:
        looks = fleet.host(name).run(f"cat {TIMER}")
        assert (f"every {seconds} s" in looks) == (name not in undone), name
    fleet.host(failure.host).run(failure.repairs)
    done(fleet.up())
    assert fleet.faults() == {} and fleet.up().unchanged


def test_nothing_of_the_fleet_is_left_on_a_machine_that_leaves_it(fleet: MachineFleet) -> None:
    """``pulumi destroy`` takes every component off, whatever its names have been."""
    fleet.settled()
    done(fleet.destroy())
    for machine in fleet.machines.values():
        left = fleet.lab.run(machine, "ls /var/lib/habla /etc/systemd/system /etc/habla 2>/dev/null; true")
        assert "habla-" not in left and "components" not in left, json.dumps(left)
