"""A pair of front hosts runs HAProxy twice, and everything with data once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from small_stack import changed, planned

from habla.errors import Faults
from habla.plan import FleetPlan
from habla.plan.data_places import DataPlace
from habla.services.catalog import SERVICES

ONCE = [service.kind for service in SERVICES if service.one_per_fleet]


def pair(first: Sequence[str] | None, second: Sequence[str] | None, **more: Any) -> FleetPlan:
    """The plan of a fleet with two front hosts and these services; None: those of the role."""
    hosts = {
        f"hosts|front{number}": {
            "role": "front",
            "outside_address": f"203.0.113.1{number}",
            **({} if services is None else {"services": list(services)}),
        }
        for number, services in ((1, first), (2, second))
    }
    return planned(changed(hosts), **more)


def test_the_services_with_data_are_those_that_a_fleet_has_once() -> None:
    """MySQL, the queue and the cache."""
    assert ONCE == ["memcached", "memqd", "mysql"]


@pytest.mark.parametrize("kind", ONCE)
def test_a_service_of_which_a_fleet_has_one_is_refused_on_two_hosts(kind: str) -> None:
    """The fault names the host, the service, and what to write."""
    with pytest.raises(Faults) as caught:
        pair(["haproxy", *ONCE], ["haproxy", kind])
    assert str(caught.value).splitlines() == [
        "1 fault:",
        f"hosts.front2.services: front1 runs the same services, of which a fleet has one ({kind})",
        "  rule: two of them would not share their data, and a program gets the address of one",
        f"  fix:  set hosts.front2.services to [haproxy]; or remove {kind} from hosts.front1.services",
    ]


def test_two_front_hosts_without_a_word_are_one_fault() -> None:
    """With what the second one should run."""
    with pytest.raises(Faults) as caught:
        pair(None, None)
    assert [fault.path for fault in caught.value.faults] == ["hosts.front2.services"]
    assert "set hosts.front2.services to [haproxy]" in caught.value.faults[0].fix


def test_a_host_that_has_the_data_keeps_it() -> None:
    """The other one is to run less, whatever their names are."""
    data = {"mysql": DataPlace("database habla", ("/var/lib/mysql",), {"front2": "front2"})}
    with pytest.raises(Faults) as caught:
        pair(None, None, data=data)
    assert "hosts.front1.services" in [fault.path for fault in caught.value.faults]
    assert "set hosts.front1.services to [haproxy]" in str(caught.value)


@pytest.mark.parametrize(
    ("first", "second", "database"),
    [
        (None, ["haproxy"], "192.168.2.10"),
        (["haproxy"], None, "192.168.2.11"),
        (["haproxy", "memcached"], ["haproxy", "mysql", "memqd"], "192.168.2.11"),
        (None, [], "192.168.2.10"),
    ],
)
def test_the_settings_say_which_host_has_the_database(
    first: Sequence[str] | None, second: Sequence[str] | None, database: str
) -> None:
    """Programs get its one address."""
    plan = pair(first, second)
    environment = plan.hosts["web1"].states["web"].files["/etc/habla/apps/site.env"].text
    assert f"DATABASE={database}\n" in environment


def test_a_reference_to_a_service_on_several_hosts_is_one_address() -> None:
    """Of the program's own host if that has the service, of the first one if not; addresses names two."""
    changes: dict[str, Any] = {f"hosts|stable{number}": {"role": "stable"} for number in (1, 2, 3)}
    for app in ("site", "rpc"):
        changes[f"apps|{app}|environment"] = {"ONE": "${c2s.address}", "TWO": "${c2s.addresses}"}
    plan = planned(changed(changes))

    def lines(host: str, component: str, app: str) -> list[str]:
        text = plan.hosts[host].states[component].files[f"/etc/habla/apps/{app}.env"].text
        return [line for line in text.splitlines() if line.startswith(("ONE", "TWO"))]

    assert lines("web1", "web", "site") == ["ONE=192.168.2.100", "TWO=192.168.2.100,192.168.2.101"]
    assert lines("stable3", "stable", "rpc") == ["ONE=192.168.2.102", "TWO=192.168.2.102,192.168.2.100"]
