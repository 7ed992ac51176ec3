"""A change that would start a service with empty data, while its data is elsewhere, is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from habla.errors import Faults
from habla.plan import FleetPlan, make_plan
from habla.plan.data_places import DataPlace
from habla.plan.stack_files import read_data, write_data
from habla.settings.loading import load_settings

FRONT = {"role": "front", "outside_address": "203.0.113.10"}
OTHER = {"role": "front", "outside_address": "203.0.113.11"}
APP = {"roles": ["stable"], "command": ["/bin/rpc"]}
HOSTS = {
    "front1": FRONT,
    "front2": {**OTHER, "services": ["haproxy"]},
    "stable1": {"role": "stable"},
    "stable2": {"role": "stable"},
}
KEY = "ssh-ed25519 AAAA"


def plan(before: FleetPlan | None = None, **sections: Any) -> FleetPlan:
    """The plan of a stack whose data is where an earlier plan has it."""
    raw = {
        "lab": {},
        "hosts": HOSTS,
        "load_balancer": {"dialect": "2.x"},
        "apps": {"rpc": APP},
        **sections,
    }
    settings = load_settings("lab", raw)
    data = before.data if before else {}
    return make_plan(settings, {}, read_archive=lambda spec: pytest.fail("no archives here"), data=data)


def faults(before: FleetPlan, **sections: Any) -> dict[str, str]:
    """Path -> fault and rule, of a change that is refused."""
    with pytest.raises(Faults) as caught:
        plan(before, **sections)
    return {fault.path: f"{fault.what}; {fault.rule}" for fault in caught.value.faults}


def test_the_same_fleet_and_more_hosts_are_fine() -> None:
    """A new host of a cluster, or of a program on several hosts, begins as new hosts do."""
    before = plan()
    plan(before)
    plan(before, hosts={**HOSTS, "stable3": {"role": "stable"}})
    plan(before, hosts={name: host for name, host in HOSTS.items() if name != "stable2"})


def test_a_database_on_another_host_is_refused() -> None:
    """The files lie on the old one; new writes would go to an empty database."""
    moved = {
        "front1": {**FRONT, "services": ["haproxy", "memcached"]},
        "front2": {**OTHER, "services": ["haproxy", "memqd", "mysql"]},
    }
    found = faults(plan(), hosts={**HOSTS, **moved})
    assert set(found) == {"start_empty.mysql", "start_empty.memqd"}
    assert "mysql would start with empty data on front2" in found["start_empty.mysql"]
    assert "in /var/lib/mysql on front1" in found["start_empty.mysql"]
    plan(plan(), hosts={**HOSTS, **moved}, start_empty=["mysql", "memqd"])


def test_a_renamed_program_is_refused() -> None:
    """It would get another directory."""
    found = faults(plan(), apps={"rpc2": APP})
    assert "in /var/lib/habla-rpc on stable1, stable2" in found["start_empty.rpc2"]
    plan(plan(), apps={"rpc2": {**APP, "command": ["/bin/another"]}})


def test_another_database_or_domain_is_refused() -> None:
    """The data there is of another name."""
    assert (
        "of database habla, not of database chat"
        in faults(plan(), services={"mysql": {"database": "chat"}})["start_empty.mysql"]
    )
    assert "start_empty.jabber" in faults(plan(), domain="example.net")


def test_all_hosts_of_a_cluster_at_once_are_refused() -> None:
    """Nobody would be left whom the new ones could ask."""
    hosts = {"front1": FRONT, "stable8": {"role": "stable"}, "stable9": {"role": "stable"}}
    assert {"start_empty.jabber", "start_empty.rpc"} <= set(faults(plan(), hosts=hosts))


def test_a_renamed_host_on_the_same_machine_keeps_its_data() -> None:
    """The files stay where they are."""
    ssh = {"address": "198.51.100.7", "host_key": KEY}
    before = plan(hosts={"front1": {**FRONT, "ssh": ssh}})
    plan(before, hosts={"edge1": {**FRONT, "ssh": ssh}})
    other = {"address": "198.51.100.8", "host_key": KEY}
    assert "start_empty.mysql" in faults(before, hosts={"edge1": {**FRONT, "ssh": other}})


def test_a_renamed_jabber_host_alone_loses_its_data() -> None:
    """The database is of the node ejabberd@HOST, also on the same machine."""
    ssh = {"address": "198.51.100.7", "host_key": KEY}
    before = plan(hosts={"stable1": {"role": "stable", "ssh": ssh}})
    assert set(faults(before, hosts={"chat1": {"role": "stable", "ssh": ssh}})) == {"start_empty.jabber"}


def machine(role: dict[str, Any], number: int) -> dict[str, Any]:
    """A host of a role on one of several machines."""
    return {**role, "ssh": {"address": f"198.51.100.{number}", "host_key": KEY}}


def test_jabber_hosts_that_swap_their_names_lose_their_data() -> None:
    """Both machines have a database, and both databases are of the other host's node."""
    front, stable = machine(FRONT, 1), {"role": "stable"}
    before = {"front1": front, "stable1": machine(stable, 2), "stable2": machine(stable, 3)}
    swapped = {"front1": front, "stable1": machine(stable, 3), "stable2": machine(stable, 2)}
    found = faults(plan(hosts=before), hosts=swapped)
    assert set(found) == {"start_empty.jabber"}
    assert "each of these hosts is another machine now" in found["start_empty.jabber"]
    third = {"stable3": machine(stable, 4)}
    plan(plan(hosts={**before, **third}), hosts={**swapped, **third})


def test_a_host_on_another_machine_does_not_keep_its_data() -> None:
    """The name is the same, and the directory there is empty."""
    hosts = {"front1": machine(FRONT, 1), "stable1": machine({"role": "stable"}, 2)}
    moved = {**hosts, "front1": machine(FRONT, 3)}
    assert set(faults(plan(hosts=hosts), hosts=moved)) == {"start_empty.mysql", "start_empty.memqd"}


def test_a_place_without_a_machine_is_known_by_the_name_of_its_host() -> None:
    """A lab's machine is not known, and older files have none for Jabber."""
    hosts = {"front1": machine(FRONT, 1), "stable1": machine({"role": "stable"}, 2)}
    before = plan(hosts=hosts)
    unknown = {
        name: replace(place, hosts=dict.fromkeys(place.hosts, "")) for name, place in before.data.items()
    }
    plan(replace(before, data=unknown), hosts=hosts)


def test_an_unknown_service_is_named() -> None:
    """With the one that was meant."""
    with pytest.raises(
        Faults, match=r"start_empty\[0\]: unknown service \(mysq\)\n.*\n.*did you mean mysql\?"
    ):
        plan(start_empty=["mysq"])


def test_places_survive_being_written_and_read(tmp_path: Path) -> None:
    """The file is written once and is then left alone while nothing changes."""
    (tmp_path / "stacks").mkdir()
    places = dict(plan().data)
    assert write_data(tmp_path, "t", places=places)
    assert read_data(tmp_path, "t") == places
    assert not write_data(tmp_path, "t", places=places)
    assert places["mysql"] == DataPlace("database habla", ("/var/lib/mysql",), {"front1": ""})


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """Guessing here would lose data."""
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "data.t.yaml").write_text("mysql: front1\n")
    with pytest.raises(Faults, match="cannot be read"):
        read_data(tmp_path, "t")
