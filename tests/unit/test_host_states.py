"""The documents that the library writes for the agents, those of the whole lab included."""

from __future__ import annotations

import json
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from habla.model.site import Site
from habla.onhost.document import HostState, secret, secret_names
from habla.onhost.reading import from_json
from habla.plan.component import plan_component
from habla.plan.stack_files import load_plan
from habla.services.app import App
from habla.services.app_spec import AppSpec, HealthSpec
from habla.services.memcached import Memcached

ROOT = Path(__file__).parents[2]
SITE = Site("stable1", IPv4Address("192.168.2.100"))
RPC = AppSpec(roles=("stable",), command=("/bin/rpc",), port=8001, health=HealthSpec(path="/ok"))


def test_every_service_binds_to_the_internal_address_only() -> None:
    """No config of the lab's fleet binds to all addresses."""
    for host in load_plan(ROOT, "lab").hosts.values():
        for state in host.states.values():
            for path, file in state.files.items():
                if not path.startswith("/usr/local/lib/"):
                    assert "0.0.0.0" not in file.text, path


def test_the_end_of_a_run_that_a_timer_started_is_no_failure() -> None:
    """systemd takes a SIGTERM for a failure in units of Type=oneshot, unless they say otherwise."""
    units = {
        path: file.text
        for host in load_plan(ROOT, "lab").hosts.values()
        for state in host.states.values()
        for path, file in state.files.items()
        if path.endswith(".service") and "Type=oneshot\n" in file.text
    }
    runs = {path for path, text in units.items() if "RemainAfterExit=yes\n" not in text}
    assert runs == {path for path in units if "SuccessExitStatus=SIGTERM\n" in units[path]}
    assert "/etc/systemd/system/habla-watch.service" in runs


def test_every_log_has_a_rule_by_size() -> None:
    """Rotation never waits for a day to pass."""
    plan = load_plan(ROOT, "lab")
    for host in plan.hosts.values():
        for state in host.states.values():
            for path, file in state.files.items():
                if path.startswith("/etc/logrotate.d/"):
                    assert file.text.count("{") == file.text.count("    size "), path
                    assert "daily" not in file.text and "weekly" not in file.text


def test_faults_of_all_services_of_a_host_come_together() -> None:
    """Two apps that name nobody are two faults of one error."""
    spec = RPC.model_copy(update={"environment": {"DB": "${nobody.address}"}, "port": None, "health": None})
    with pytest.raises(Exception, match="2 faults:"):
        plan_component("stable", SITE, services=[App("a", spec), App("b", spec)])


def test_the_agent_reads_what_the_library_writes() -> None:
    """Every document of the lab comes back from its JSON as the same state."""
    for host in load_plan(ROOT, "lab").hosts.values():
        for state in host.states.values():
            read = from_json(json.loads(state.canonical()))
            assert {path: file.text for path, file in read.files.items()} == {
                path: file.text for path, file in state.files.items()
            }
            assert {name: unit.restart_on for name, unit in read.units.items()} == {
                name: unit.restart_on for name, unit in state.units.items()
            }
            assert tuple(read.secrets) == state.secrets


def test_a_document_leaves_out_what_equals_its_default() -> None:
    """Documents, and so their diffs, are short."""
    assert HostState(host="h", component="c").document() == {"format": 1, "host": "h", "component": "c"}
    assert json.loads(plan_component("cachedb", SITE, services=[Memcached()]).state.canonical())["files"][
        "/etc/memcached.conf"
    ].keys() == {"text"}


def test_secrets_are_found_by_name_in_a_text() -> None:
    """Whatever form they are asked for in."""
    assert secret_names(f"a {secret('b/c')} {secret('a', 'sql')} {secret('a', 'env')}") == ("a", "b/c")
