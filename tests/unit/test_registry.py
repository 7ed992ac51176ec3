"""Every name on a host and in a fleet has one owner."""

from __future__ import annotations

from typing import Any

import pytest

from habla.errors import Fault, Faults
from habla.plan import make_plan
from habla.settings.loading import load_settings

APP: dict[str, Any] = {"roles": ["stable"], "command": ["/bin/a"]}
HOSTS = {"stable1": {"role": "stable"}}
RANGES = ["192.168.2.50-192.168.2.59"]


def faults(**sections: Any) -> tuple[Fault, ...]:
    """The faults of a stack."""
    raw = {"lab": {}, "hosts": HOSTS, "load_balancer": {"dialect": "2.x"}, **sections}
    with pytest.raises(Faults) as caught:
        make_plan(load_settings("lab", raw), {}, read_archive=lambda spec: pytest.fail("no archives here"))
    return caught.value.faults


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("internal", "habla's internal network"),
        ("recover", "habla's agent"),
        ("drain", "habla's drain responder"),
        ("watch", "habla's watcher"),
        ("stats", "the service haproxy"),
        ("www", "the service haproxy"),
        ("jabber", "the service jabber"),
        ("jabber-cluster", "the service jabber"),
        ("mysql", "the service mysql"),
        ("bosh", "the service jabber"),
        ("s2s", "the service jabber"),
        ("app", "the kind of all apps"),
    ],
)
def test_an_app_with_a_name_of_habla_is_one_fault_that_names_both(name: str, other: str) -> None:
    """The path is the app's, since its name can be changed."""
    balanced = {**APP, "port": 8001, "routes": [{"path": "/x"}], "health": {"path": "/"}}
    (fault,) = faults(apps={name: balanced})
    assert fault.path == f"apps.{name}"
    assert {f"the app {name}", other} <= set(fault.what.removesuffix(" need the same names").split(" and "))


def test_an_app_on_several_hosts_is_one_fault() -> None:
    """The fault is the app's, not each host's."""
    hosts = {f"stable{number}": {"role": "stable"} for number in range(1, 4)}
    assert len(faults(hosts=hosts, apps={"internal": APP})) == 1


def test_two_apps_with_one_user_are_a_fault() -> None:
    """Each could read the other's files."""
    (fault,) = faults(apps={"a": {**APP, "user": "shared"}, "b": {**APP, "user": "shared"}})
    assert (fault.path, fault.value) == ("apps.a", "the user shared")
    assert "the app a and the app b" in fault.what


@pytest.mark.parametrize("user", ["root", "habla-b"])
def test_a_user_of_somebody_else_is_a_fault(user: str) -> None:
    """Of the administrator, or of another app."""
    (fault,) = faults(apps={"a": {**APP, "user": user}, "b": APP})
    assert fault.value == f"the user {user}"


@pytest.mark.parametrize("role", ["watch", "cachedb", "network", "balancer"])
def test_a_role_with_the_name_of_a_component_is_a_fault(role: str) -> None:
    """Its services would be a component of that name."""
    found = faults(
        roles={role: {"ranges": RANGES, "services": ["app"], "defaults": ["app"]}},
        hosts={"x1": {"role": role}},
        apps={"a": {**APP, "roles": [role]}},
    )
    assert [fault.path for fault in found] == [f"roles.{role}"]
    assert f"habla's component {role}" in found[0].what


def test_a_role_begins_with_a_letter() -> None:
    """A component's name does, and hosts would refuse it."""
    (fault,) = faults(roles={"2web": {"ranges": RANGES}})
    assert fault.path == "roles.2web"
    assert "beginning with a letter" in fault.rule


@pytest.mark.parametrize(
    ("hosts", "path", "other"),
    [
        (["internal"], "hosts.internal", "habla's internal network"),
        (["lab"], "hosts.lab", "habla's lab"),
        (["lab-network"], "hosts.lab-network", "habla's lab"),
        (["localhost"], "hosts.localhost", "the loopback address"),
        (["a", "a-stable"], "hosts.a", "the host a-stable"),
        (["a", "a-agent"], "hosts.a", "the host a-agent"),
        (["a", "internal-a"], "hosts.a", "the host internal-a"),
    ],
)
def test_hosts_whose_resources_would_have_one_name_are_a_fault(
    hosts: list[str], path: str, other: str
) -> None:
    """People, and sometimes the engine, could not tell the two apart."""
    found = faults(hosts={name: {"role": "stable"} for name in hosts}, apps={"a": APP})
    assert path in [fault.path for fault in found]
    assert other in " ".join(fault.what for fault in found)


def test_a_rule_for_other_logs_does_not_replace_that_of_a_service() -> None:
    """``logs.extra`` is for logs that no service has."""
    (fault,) = faults(logs={"extra": {"nginx": [{"path": "/var/log/x.log"}]}})
    assert fault.value == "the file /etc/logrotate.d/nginx"
