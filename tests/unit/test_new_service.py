"""A new service is one module and one entry in the list of services: everything else follows."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from guestbook import Guestbook

from habla.cli.log_answers import bounds_table
from habla.errors import Faults
from habla.model.service import Service
from habla.plan import FleetPlan, make_plan
from habla.services import catalog
from habla.settings.loading import load_settings

ROOT = Path(__file__).parents[2]
HOSTS = {
    "front1": {"role": "front", "outside_address": "203.0.113.10"},
    "monitor1": {"role": "monitor"},
    "web1": {"role": "web"},
    "web2": {"role": "web"},
}


def plan(**sections: Any) -> FleetPlan:
    raw = {"lab": {}, "hosts": HOSTS, "load_balancer": {"dialect": "2.x"}, **sections}
    settings = load_settings("lab", raw)
    return make_plan(settings, {}, read_archive=lambda spec: pytest.fail("no archives here"))


@pytest.fixture
def add(monkeypatch: pytest.MonkeyPatch) -> Callable[[type[Service]], None]:
    """Adds a service to the list."""

    def added(service: type[Service]) -> None:
        monkeypatch.setattr(catalog, "SERVICES", (*catalog.SERVICES, service))

    return added


@pytest.fixture
def fleet(add: Callable[[type[Service]], None]) -> FleetPlan:
    add(Guestbook)
    return plan(
        services={"guestbook": {"port": 8071}},
        partitions={"/var/log": {"size": "4G"}},
        alerts={"command": ["/usr/local/bin/page"]},
    )


def file(fleet: FleetPlan, host: str, path: str) -> str:
    found = {
        where: file.text for state in fleet.hosts[host].states.values() for where, file in state.files.items()
    }
    return found[path]


def test_its_settings_are_a_section_of_the_stack(add: Callable[[type[Service]], None]) -> None:
    """A mistyped key is answered with the right one, and so is a mistyped section."""
    with pytest.raises(Faults, match=r"services\.guestbook: unknown key"):
        plan(services={"guestbook": {"port": 8071}})
    add(Guestbook)
    with pytest.raises(Faults, match=r"services\.guestbook\.prot: unknown key\n.*\n.*did you mean port\?"):
        plan(services={"guestbook": {"prot": 8071}})
    with pytest.raises(Faults, match=r"services\.guestbok: unknown key\n.*\n.*did you mean guestbook\?"):
        plan(services={"guestbok": {}})


def test_roles_hold_it_and_others_refuse_it(add: Callable[[type[Service]], None]) -> None:
    """The hosts of its roles run it, and placement knows where it may not run."""
    add(Guestbook)
    fleet = plan()
    assert [service.name for service in fleet.hosts["web1"].services] == ["guestbook"]
    with pytest.raises(Faults, match="guestbook may not run on a host of role monitor"):
        plan(hosts={**HOSTS, "monitor1": {"role": "monitor", "services": ["guestbook"]}})
    with pytest.raises(Faults, match="did you mean guestbook"):
        plan(hosts={**HOSTS, "web1": {"role": "web", "services": ["guestbok"]}})


def test_haproxy_sends_its_requests_to_every_host_that_runs_it(fleet: FleetPlan) -> None:
    """Backend, route and health check come from what it offers."""
    config = file(fleet, "front1", "/etc/haproxy/www.cfg")
    assert "use_backend guestbook if host_www.hab.la path_guestbook\n" in config
    assert "http-check send meth GET uri /guestbook" in config or "httpchk GET /guestbook" in config
    servers = re.findall(r"server (web\d) ([\d.]+:\d+)", config.split("\nbackend guestbook\n")[1])
    assert servers == [("web1", "192.168.2.120:8071"), ("web2", "192.168.2.121:8071")]


def test_other_programs_can_name_it(add: Callable[[type[Service]], None]) -> None:
    """Its address and port are references like those of the others, and its hosts are in /etc/hosts."""
    add(Guestbook)
    app = {"roles": ["monitor"], "command": ["/bin/a"], "environment": {"BOOK": "${guestbook.port}"}}
    fleet = plan(apps={"a": app})
    assert "BOOK=8070\n" in file(fleet, "monitor1", "/etc/habla/apps/a.env")
    assert "192.168.2.120\tweb1\n" in file(fleet, "front1", "/etc/hosts")


def test_its_log_has_a_rule_and_a_bound(fleet: FleetPlan) -> None:
    """It is rotated by size, and the table of bounds counts it."""
    assert "size 2M" in file(fleet, "web1", "/etc/logrotate.d/guestbook")
    assert "/var/log/guestbook/*.log" in {row[-1] for row in bounds_table(fleet, ["web1"]).rows}


def test_its_data_is_no_log_and_its_hosts_are_watched(fleet: FleetPlan) -> None:
    """The watcher lets its data grow, and the monitor asks the snmpd of its hosts."""
    watch = json.loads(file(fleet, "web1", "/etc/habla/watch.json"))
    assert "/var/lib/guestbook" in watch["data"]
    assert "agentaddress udp:192.168.2.120:161" in file(fleet, "web1", "/etc/snmp/snmpd.conf")
    devices = json.loads(file(fleet, "monitor1", "/etc/habla/cacti.json"))["devices"]
    assert "web1" in [device["name"] for device in devices]


def test_its_hosts_can_be_drained(fleet: FleetPlan) -> None:
    """The drain responder of its host answers HAProxy for it."""
    drain = json.loads(file(fleet, "web1", "/etc/habla/drain.json"))
    assert drain["services"]["guestbook"] == {
        "kind": "http",
        "port": 8071,
        "path": "/guestbook",
        "host": "",
        "expect": 200,
    }


def test_its_names_are_its_own(add: Callable[[type[Service]], None]) -> None:
    """An app of its name is a fault that names both."""
    add(Guestbook)
    with pytest.raises(Faults, match="the app guestbook and the service guestbook need the same names"):
        plan(apps={"guestbook": {"roles": ["web"], "command": ["/bin/a"]}})


def example() -> Iterator[tuple[str, str]]:
    """File name -> text, of the Python files in docs/adding-a-service.md."""
    text = (ROOT / "docs" / "adding-a-service.md").read_text("utf-8")
    yield from re.findall(r"```python\n# (\S+\.py)\n(.*?)```", text, flags=re.S)


def test_the_example_in_the_documentation_works(
    add: Callable[[type[Service]], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis, as the page describes it, runs on the front host and is known to the whole fleet."""
    ((name, source),) = example()
    assert name == "habla/services/redis.py"
    path = tmp_path / "redis_example.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, path.stem, module)
    spec.loader.exec_module(module)
    service: type[Service] = module.__dict__["Redis"]
    add(service)
    app = {
        "roles": ["web"],
        "command": ["/bin/a"],
        "environment": {"REDIS": "${redis.address}:${redis.port}"},
    }
    fleet = plan(services={"redis": {"memory_mb": 32}}, apps={"a": app})
    assert "redis" in [service.name for service in fleet.hosts["front1"].services]
    assert "maxmemory 32mb\n" in file(fleet, "front1", "/etc/redis/habla.conf")
    assert "REDIS=192.168.2.10:6379\n" in file(fleet, "web1", "/etc/habla/apps/a.env")
    assert "/etc/logrotate.d/redis-server" in paths(fleet.hosts["front1"].states)
    watch = json.loads(file(fleet, "front1", "/etc/habla/watch.json"))
    assert "/var/lib/redis" in watch["data"]


def paths(states: Mapping[str, Any]) -> set[str]:
    return {path for state in states.values() for path in state.files}
