"""Cacti's files, and what its programs make of what they find."""

from __future__ import annotations

import json
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from habla.hosts.snmpd import Snmp
from habla.model.service import Scope
from habla.model.site import Device, FleetFacts, Site
from habla.model.snmp import SnmpSpec, sessions_oid
from habla.onhost.cacti import client, poll, setup, sync
from habla.onhost.document import secret_names
from habla.onhost.reading import from_json
from habla.plan.component import plan_component
from habla.services.cacti import Cacti, CactiSpec

DEVICES = (
    Device("stable1", "192.168.2.100", partitions=("/var/log", "/")),
    Device("front1", "192.168.2.10", instances=("www",)),
)
SITE = Site("monitor1", IPv4Address("192.168.2.20"), fleet=FleetFacts(devices=DEVICES))
SERVICE = Cacti(CactiSpec(port=8080))
STATS = "11/25/2026 - SYSTEM STATS: Time:1.3 Method:cmd.php Hosts:2 DataSources:{} RRDsProcessed:{}\n"


def wanted(version: str = "3") -> Any:
    fleet = FleetFacts(devices=DEVICES, snmp=SnmpSpec.model_validate({"version": version}))
    site = Site(SITE.host, SITE.address, fleet=fleet)
    return json.loads(SERVICE.state(site).files["/etc/habla/cacti.json"].text)


def test_the_web_server_listens_on_the_internal_address_only() -> None:
    """Debian's own address, all of them, is gone with its ports.conf."""
    files = SERVICE.state(SITE).files
    assert files["/etc/apache2/ports.conf"].text == "ServerName monitor1\nListen 192.168.2.20:8080\n"
    site = files["/etc/apache2/sites-enabled/000-default.conf"].text
    assert site.startswith("<VirtualHost 192.168.2.20:8080>\n")


def test_the_database_listens_on_loopback_only() -> None:
    """In its config, and in what the service says of its ports."""
    state = SERVICE.state(SITE)
    assert "bind-address = 127.0.0.1\n" in state.files["/etc/mysql/mariadb.conf.d/90-habla-cacti.cnf"].text
    assert [port.number for port in state.ports if port.scope is Scope.LOOPBACK] == [3306]


def test_devices_are_in_the_order_of_their_names() -> None:
    """The order of declaration never shows."""
    assert [device["name"] for device in wanted()["devices"]] == ["front1", "stable1"]
    assert wanted()["devices"][1]["partitions"] == ["/", "/var/log"]


def test_a_device_with_haproxy_has_its_sessions() -> None:
    """Under the place where its snmpd tells them."""
    assert wanted()["devices"][0]["sessions"] == {"www": sessions_oid("www")}


def test_only_the_secrets_of_the_version_are_asked_for() -> None:
    """A fleet with version 2c need not have passphrases."""
    assert sorted(wanted("2c")["snmp"]) == ["community", "port", "version"]
    assert sorted(wanted("3")["snmp"]) == ["auth", "port", "privacy", "user", "version"]


def test_a_file_with_a_secret_is_not_for_everybody() -> None:
    """Only root reads it, or the web server what it needs."""
    modes = {path: file.mode for path, file in SERVICE.state(SITE).files.items() if secret_names(file.text)}
    assert modes.pop("/etc/cacti/debian.php") == "0640"
    assert set(modes.values()) == {"0600"} and len(modes) == 3


def test_the_package_neither_polls_nor_asks() -> None:
    """Its cron job has nothing left in it, and dbconfig-common stays out of its installation."""
    state = SERVICE.state(SITE)
    assert all(line.startswith("#") for line in state.files["/etc/cron.d/cacti"].text.splitlines())
    assert "dbconfig-no-thanks" in state.packages


def test_the_database_is_there_before_cacti_and_cacti_before_its_devices() -> None:
    """Actions run in the order of their names."""
    state = plan_component("monitor", SITE, services=[SERVICE, Snmp()]).state
    document = from_json(json.loads(state.canonical()))
    assert list(document.actions) == ["cacti-1-database", "cacti-2-setup", "cacti-3-sync"]


def test_the_packages_own_rules_of_rotation_are_replaced() -> None:
    """By ours of the same names."""
    rules = {
        path
        for path in plan_component("monitor", SITE, services=[SERVICE]).state.files
        if "/logrotate.d/" in path
    }
    assert rules == {
        f"/etc/logrotate.d/{name}" for name in ("apache2", "cacti", "dbconfig-common", "mariadb")
    }


def test_a_changed_program_or_device_runs_the_sync_again() -> None:
    """They are its inputs."""
    inputs = SERVICE.state(SITE).actions["cacti-3-sync"].inputs
    assert {"/etc/habla/cacti.json", "/usr/local/lib/habla/cacti-program"} <= set(inputs)


@pytest.mark.parametrize(
    ("status", "output"),
    [
        (1, STATS.format(9, 9)),
        (0, ""),
        (0, STATS.format(9, 0)),
        (0, "Maximum runtime of 58 seconds exceeded. Exiting.\n" + STATS.format(9, 9)),
    ],
)
def test_a_poll_that_did_not_go_well_does_not_count(status: int, output: str) -> None:
    """Cacti's poller ends with 0 whatever happens."""
    assert poll.fault(status, output)


@pytest.mark.parametrize("counts", [(9, 9), (0, 0)])
def test_a_poll_that_went_well_counts(counts: tuple[int, int]) -> None:
    """Also one of no devices."""
    assert poll.fault(0, STATS.format(*counts)) == ""


def polled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str) -> Path:
    monkeypatch.setattr(poll, "POLLER", ("printf", "%s", output))
    monkeypatch.setattr(poll, "adopt", lambda: None)
    monkeypatch.setattr(poll, "wait_for_children", lambda seconds: None)
    alive = tmp_path / "alive"
    alive.write_text("1\n")
    poll.main(str(alive), str(tmp_path / "lock"))
    return alive


def test_the_last_good_poll_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a time."""
    assert int(polled(tmp_path, monkeypatch, STATS.format(1, 1)).read_text()) > 1_700_000_000


def test_a_bad_poll_leaves_the_last_good_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks sees it grow old."""
    assert polled(tmp_path, monkeypatch, "").read_text() == "1\n"


def test_version_3_asks_with_the_strongest_that_both_sides_have() -> None:
    """SHA-512 and AES with 128 bits; a device's row has no community."""
    row = sync.columns({"address": "192.168.2.10"}, {**wanted()["snmp"], "auth": "a" * 8, "privacy": "p" * 8})
    assert (row["snmp_auth_protocol"], row["snmp_priv_protocol"]) == ("SHA512", "AES128")
    assert (row["snmp_password"], row["snmp_community"]) == ("a" * 8, "")


def test_both_versions_fill_the_same_columns() -> None:
    """What the other version left is overwritten."""
    v3, v2 = (sync.columns({"address": "192.168.2.10"}, wanted(version)["snmp"]) for version in ("3", "2c"))
    assert list(v3) == list(v2)
    assert (v2["snmp_version"], v2["snmp_username"], v2["snmp_password"]) == ("2", "", "")


def test_real_partitions_are_on_devices_of_their_own() -> None:
    """Nothing of the kernel's, nothing in memory, and nothing twice."""
    rows = [
        ["/etc/hosts.allow", "/dev/loop0"],
        ["/", "/dev/loop0"],
        ["/var/log", "/dev/loop1"],
        ["/tmp", "tmpfs"],
        ["/run/host", "/dev/vda"],
        ["/srv/running", "/dev/loop2"],
        ["/boot/efi", ""],
    ]
    assert sync.real_partitions(rows) == ["/", "/srv/running", "/var/log"]


@pytest.mark.parametrize("value", ["it's", "back\\slash", "\\'", "plain"])
def test_a_value_cannot_leave_its_quotes(value: str) -> None:
    """Every quote and backslash in it is escaped."""
    inside = client.quoted(value)[1:-1]
    assert inside.replace("\\\\", "").replace("\\'", "").count("'") == 0
    assert inside.replace("\\\\", "\0").replace("\\'", "'").replace("\0", "\\") == value


def test_what_mariadb_escapes_is_read_as_it_was() -> None:
    """Its batch output escapes what would end a row or a cell."""
    assert [client.plain(cell) for cell in ("a\\tb", "back\\\\n", "NULL")] == ["a\tb", "back\\n", ""]


def test_settings_are_replaced_in_one_statement() -> None:
    """In the order of their names."""
    assert setup.settings({"b": "2", "a": "1"}) == (
        "REPLACE INTO settings (name, value) VALUES ('a', '1'), ('b', '2');"
    )
