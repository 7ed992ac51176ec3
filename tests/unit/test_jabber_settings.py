"""What the settings of Jabber make of a stack, where no golden file shows it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from small_stack import changed, planned

from habla.errors import Faults
from habla.plan import FleetPlan
from habla.services.jabber import JabberSpec
from habla.services.jabber.ejabberd_config import RESTART_OPTIONS
from habla.services.jabber.ejabberd_modules import KNOWN_MODULES, account_modules

STATE = "stable"
CONFIG, RESTART = "/etc/ejabberd/ejabberd.yml", "/etc/ejabberd/restart-options.yml"


def fleet(jabber: dict[str, Any], **more: Any) -> FleetPlan:
    return planned(changed({"services|jabber": jabber, **more}))


def files(jabber: dict[str, Any], host: str = "stable1", **more: Any) -> dict[str, str]:
    state = fleet(jabber, **more).hosts[host].states[STATE]
    return {path: file.text for path, file in state.files.items()}


def config(jabber: dict[str, Any], **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(files(jabber, **more)[CONFIG])
    return found


@pytest.mark.parametrize("option", RESTART_OPTIONS)
def test_an_option_that_needs_a_restart_shows_in_a_file_of_its_own(option: str) -> None:
    """The unit restarts when that file changes, and reloads for the config alone."""
    before, after = files({}), files({"extra": {option: "x"}})
    assert before[RESTART] != after[RESTART] and before[CONFIG] != after[CONFIG]
    unit = fleet({}).hosts["stable1"].states[STATE].units["ejabberd.service"]
    assert RESTART in unit.restart_on and CONFIG in unit.reload_on and CONFIG not in unit.restart_on


@pytest.mark.parametrize(
    "jabber",
    [
        {"rooms": {"history": 1}},
        {"modules": {"mod_ping": {"send_pings": True}}},
        {"domains": {"hab.la": {}, "visitors.hab.la": {"auth": "anonymous"}}},
        {"limits": {"rate": 1000}},
        {"admins": ["ada@hab.la"]},
        {"extra": {"hide_sensitive_log_data": True}},
    ],
)
def test_other_settings_need_no_restart(jabber: dict[str, Any]) -> None:
    """Only files that the unit reloads for are different."""
    before, after = files({"certificate": "a/b"}), files({"certificate": "a/b", **jabber})
    unit = fleet({}).hosts["stable1"].states[STATE].units["ejabberd.service"]
    different = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert different and not different & set(unit.restart_on), different


def test_the_short_form_is_the_domain_of_the_fleet() -> None:
    """The same as a mapping with that domain alone."""
    assert config({}, domain="chat.example") == config(
        {"domains": {"chat.example": {}}}, domain="chat.example"
    )
    assert config({}, domain="chat.example")["hosts"] == ["chat.example"]


def test_default_modules_are_known_ones() -> None:
    """The list of modules has all of them."""
    spec = JabberSpec(api={})
    assert set(account_modules(spec, put_url="")) <= set(KNOWN_MODULES)


def test_a_module_is_changed_option_by_option_and_removed_by_null() -> None:
    """Other options stay."""
    modules = config({"modules": {"mod_mam": {"default": "roster"}, "mod_ping": None, "mod_announce": {}}})[
        "modules"
    ]
    assert modules["mod_mam"] == {"assume_mam_usage": True, "default": "roster"}
    assert "mod_ping" not in modules and modules["mod_announce"] == {}


def test_a_package_of_others_brings_its_modules() -> None:
    """They are not in the list."""
    jabber = {"modules": {"mod_cron": {"tasks": []}}}
    with pytest.raises(Faults, match="mod_cron: unknown module"):
        fleet(jabber)
    found = fleet({**jabber, "packages": ["ejabberd-mod-cron"]}).hosts["stable1"].states[STATE]
    assert "ejabberd-mod-cron" in found.packages


def test_one_number_sets_what_many_sessions_need() -> None:
    """Descriptors and ports of the node, which may be alone, and the connections of HAProxy."""
    few, many = files({}), files({"expected_sessions": 25_000})
    for text, expected in ((few, "LimitNOFILE=65536"), (many, "LimitNOFILE=65536")):
        assert expected in text["/etc/systemd/system/ejabberd.service"]
    front = {"expected_sessions": 20_000}
    plans = [fleet(settings).hosts["front1"].states["balancer"] for settings in ({}, front)]
    assert ["maxconn 8000\n" in plan.files["/etc/haproxy/jabber.cfg"].text for plan in plans] == [True, False]
    assert "maxconn 25000\n" in plans[1].files["/etc/haproxy/jabber.cfg"].text


def test_no_secret_is_in_a_state() -> None:
    """Only names, of which those that habla makes say what they are made from."""
    jabber = {
        "api": {"rpc": {"commands": ["status"]}},
        "extra": {"redis_password": "${secret:redis/password}"},
    }
    plan = fleet(jabber)
    assert {"made/api-rpc/from/jabber/cookie", "redis/password"} <= set(plan.hosts["stable1"].secrets)


def test_an_app_without_a_port_can_be_a_component() -> None:
    """The gate lets in the addresses of its hosts."""
    more = {
        "apps|gateway": {
            "roles": ["volatile"],
            "stability": "volatile",
            "command": ["/bin/gateway"],
            "environment": {"SECRET": "${jabber.component_secret}"},
        },
        "hosts|gateway1": {"role": "volatile"},
    }
    jabber = {"components": {"gateway.hab.la": {"app": "gateway"}}}
    address = fleet(jabber, **more).addresses.hosts["gateway1"]
    text = files(jabber, **more)["/etc/systemd/system/habla-jabber-gate.service"]
    assert f"jabber-gate 192.168.2.100 5347 {address}\n" in text


def test_data_that_stays_behind_in_another_storage_is_a_fault() -> None:
    """Rosters and messages would be gone without a word; `start_empty` allows it."""
    before, after = fleet({}), changed({"services|jabber": {"storage": "mysql"}})
    with pytest.raises(Faults, match=r"of domain hab\.la, not of domain hab\.la in MySQL"):
        planned(after, data=before.data)
    assert planned({**after, "start_empty": ["jabber"]}, data=before.data)


@pytest.mark.parametrize(
    "more",
    [
        {"hosts|stable2": {"role": "stable"}},
        {"services|jabber": {"domains": {"hab.la": {}, "visitors.hab.la": {"auth": "anonymous"}}}},
    ],
    ids=["a host that joins", "a domain that comes"],
)
def test_neither_a_host_nor_a_domain_that_comes_restarts_a_node(more: dict[str, Any]) -> None:
    """The unit, and all files for which it restarts, stay the same on the host that is there."""
    before, after = (planned(changed(change)).hosts["stable1"].states[STATE] for change in ({}, more))
    restarting = {"/etc/systemd/system/ejabberd.service", *before.units["ejabberd.service"].restart_on}
    assert restarting <= {*before.files}
    assert {path: before.files[path] for path in restarting} == {
        path: after.files[path] for path in restarting
    }
