"""Who may undo a component, and what passes from one component of a host to another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from agent import HAPROXY, PAGE, SERVER, UNIT, AgentHost, agent_hosts, demo

from habla.components.agent_bundle import agent_bundle
from habla.onhost.document import File, Health, HostState

pytestmark = pytest.mark.lab

_FILES = (HAPROXY, PAGE, SERVER, UNIT)
_UNITS = ("haproxy.service", "demo.service")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentHost]:
    """A host with the agent."""
    with agent_hosts(tmp_path_factory.mktemp("owners"), "front1") as lab:
        yield AgentHost(lab, "front1")


@pytest.fixture
def host(machine: AgentHost) -> Iterator[AgentHost]:
    """It has no component before and after a test."""
    yield machine
    for path in machine.run("ls /var/lib/habla/components").split():
        component = path.removesuffix(".json")
        owner = record(machine, component).get("owner", "")
        for _ in range(2):  # the first one may be that of a resource that was replaced
            machine.agent("delete", component, f"--owner={owner}")


def record(host: AgentHost, component: str) -> dict[str, object]:
    """What the agent remembers of a component."""
    found: dict[str, object] = json.loads(host.run(f"cat /var/lib/habla/components/{component}.json"))
    return found


def apply(host: AgentHost, state: HostState, owner: str, *options: str) -> dict[str, object]:
    """Apply as a resource does; what changed."""
    done = host.agent("apply", f"--owner={owner}", *options, stdin=state.canonical())
    assert done.status == 0, done.stderr
    return dict(done.changed)


def delete(host: AgentHost, component: str, owner: str) -> dict[str, object]:
    """Undo as a resource does; the agent's report."""
    done = host.agent("delete", component, f"--owner={owner}")
    assert done.status == 0, done.stderr
    return done.report


def test_the_undo_of_a_former_owner_does_nothing(host: AgentHost) -> None:
    """A renamed resource applies first; then the old one is deleted."""
    apply(host, demo("live"), "habla/lab/old", "--new")
    before = host.look(_FILES, _UNITS)
    assert apply(host, demo("live"), "habla/lab/renamed", "--new") == {}
    assert delete(host, "demo", "habla/lab/old")["reason"] == "it belongs to habla/lab/renamed now"
    assert host.look(_FILES, _UNITS) == before
    assert delete(host, "demo", "habla/lab/renamed")["deleted"]


def test_a_rename_that_is_taken_back_leaves_the_component_as_it_was(host: AgentHost) -> None:
    """The new resource applied and the run failed before the old one's undo; then only the new one goes."""
    apply(host, demo("live"), "habla/lab/old", "--new")
    before = host.look(_FILES, _UNITS)
    apply(host, demo("renamed"), "habla/lab/renamed", "--new")
    assert host.look().pages == ["renamed", "renamed"]
    reason = delete(host, "demo", "habla/lab/renamed")["reason"]
    assert reason == "the component belongs to habla/lab/old again, whose resource still exists"
    assert host.look().pages == ["live", "live"]
    assert {path: state[0] for path, state in host.look(_FILES).files.items()} == {
        path: state[0] for path, state in before.files.items()
    }
    assert apply(host, demo("live"), "habla/lab/old") == {}
    assert delete(host, "demo", "habla/lab/old")["deleted"]


def test_a_former_owner_whose_undo_has_come_does_not_come_back(host: AgentHost) -> None:
    """A rename that ended well: later the new resource is deleted, and with it the component."""
    apply(host, demo("live"), "habla/lab/old", "--new")
    apply(host, demo("live"), "habla/lab/renamed", "--new")
    delete(host, "demo", "habla/lab/old")
    assert delete(host, "demo", "habla/lab/renamed")["deleted"]


def test_a_resource_that_is_renamed_with_an_alias_has_no_former_owner(host: AgentHost) -> None:
    """The engine updates it, so no undo of the old name will come."""
    apply(host, demo("live"), "habla/lab/old", "--new")
    apply(host, demo("live"), "habla/lab/renamed")
    assert delete(host, "demo", "habla/lab/renamed")["deleted"]


def test_an_undo_without_an_owner_leaves_what_has_one(host: AgentHost) -> None:
    """A resource of an older version does not name itself; it may be one that was renamed since."""
    apply(host, demo("live"), "habla/lab/renamed")
    assert not host.agent("delete", "demo").report["deleted"]
    assert host.look().pages == ["live", "live"]


def test_the_undo_of_a_replaced_resource_does_nothing_once(host: AgentHost) -> None:
    """``pulumi up --replace``: the new one is made under the same name, then the old one goes."""
    apply(host, demo("live"), "habla/lab/demo", "--new")
    before = host.look(_FILES, _UNITS)
    apply(host, demo("live"), "habla/lab/demo", "--new")
    assert delete(host, "demo", "habla/lab/demo")["reason"] == "it has been applied again since then"
    assert host.look(_FILES, _UNITS) == before
    assert delete(host, "demo", "habla/lab/demo")["deleted"]


def test_the_undo_of_a_replaced_resource_may_come_after_an_update(host: AgentHost) -> None:
    """A run that fails leaves it to the next one, which may change the component first."""
    apply(host, demo("live"), "habla/lab/demo", "--new")
    apply(host, demo("live"), "habla/lab/demo", "--new")
    apply(host, demo("other"), "habla/lab/demo")
    assert delete(host, "demo", "habla/lab/demo")["reason"] == "it has been applied again since then"
    assert host.look().pages == ["other", "other"]
    assert delete(host, "demo", "habla/lab/demo")["deleted"]


def test_each_replaced_resource_has_an_undo(host: AgentHost) -> None:
    """A resource that was replaced in two runs that failed leaves two undos to the next run."""
    for _ in range(3):
        apply(host, demo("live"), "habla/lab/demo", "--new")
    for owner in ("habla/lab/demo", "habla/lab/old", "habla/lab/demo"):
        assert not delete(host, "demo", owner)["deleted"]
    assert host.look().pages == ["live", "live"]
    assert delete(host, "demo", "habla/lab/demo")["deleted"]


def test_files_and_units_pass_to_another_component_without_a_gap(host: AgentHost) -> None:
    """A role changes: the new component is applied, then the old one is deleted. No process notices."""
    original = host.run(f"sha256sum <{HAPROXY}")
    apply(host, demo("live"), "habla/lab/web", "--new")
    before = host.look(_FILES, _UNITS)
    other = demo("live", component="stable", directories={}, actions={})
    assert "restart" not in apply(host, other, "habla/lab/stable", "--new")
    assert delete(host, "demo", "habla/lab/web")["deleted"]
    after = host.look(_FILES, _UNITS)
    assert (after.pages, after.files, after.units) == (before.pages, before.files, before.units)
    assert delete(host, "stable", "habla/lab/stable")["deleted"]
    # The file from before habla is kept, whichever component owns the path.
    assert host.run(f"sha256sum <{HAPROXY}") == original
    assert [unit[1] for unit in host.look((), _UNITS).units.values()] == ["inactive", "inactive"]


def test_a_takeover_that_fails_leaves_both_as_they_were(host: AgentHost) -> None:
    """The old component has all its files again, and its undo still undoes them."""
    apply(host, demo("live"), "habla/lab/web", "--new")
    before, known = host.look(_FILES, _UNITS), record(host, "demo")
    broken = demo("other", component="stable", directories={}, actions={})
    broken = replace(broken, health={"never": Health(address="127.0.0.1", port=9, deadline=1)})
    done = host.agent("apply", "--owner=habla/lab/stable", "--new", stdin=broken.canonical())
    assert done.status == 1 and "step health: never" in done.stderr
    after = host.look(_FILES, _UNITS)
    assert (after.pages, after.content(), after.left) == (before.pages, before.content(), [])
    assert record(host, "demo") == known
    assert delete(host, "demo", "habla/lab/web")["deleted"]


def test_a_file_alone_passes_too(host: AgentHost) -> None:
    """What the new component does not have goes with the old one."""
    one = HostState(
        host="front1", component="one", files={"/etc/demo/a": File("a"), "/etc/demo/b": File("b")}
    )
    apply(host, one, "habla/lab/one", "--new")
    apply(host, replace(one, component="two", files={"/etc/demo/a": File("a")}), "habla/lab/two", "--new")
    delete(host, "one", "habla/lab/one")
    assert host.run("ls /etc/demo") == "a"
    delete(host, "two", "habla/lab/two")
    assert host.send("ls /etc/demo").status != 0


def test_the_agent_of_a_renamed_host_stays(host: AgentHost) -> None:
    """It belongs to a resource as well."""
    agent = "python3 /usr/local/lib/habla/agent.pyz"
    path = "/usr/local/lib/habla/agent.pyz"
    for owner in ("old", "renamed"):
        host.run(f"{agent} install --to={path} --owner=habla/lab/{owner} --new", agent_bundle().manifest)
    report = json.loads(host.run(f"{agent} uninstall --owner=habla/lab/old"))
    assert report == {"uninstalled": False, "reason": "it belongs to habla/lab/renamed now"}
    assert host.run(f"test -e {path} && echo there") == "there"
