"""The commands that need no host, through the installed ``habla``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from habla_command import habla, project


def test_render_writes_each_file_at_its_own_path(tmp_path: Path) -> None:
    """``--out DIR`` gives DIR/HOST/absolute/path, of one host when one is named."""
    done = habla("render", "-s", "lab", "--host", "web1", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["web1"]
    assert (tmp_path / "web1" / "etc" / "hosts").read_text().endswith("192.168.2.120\tweb1\n")
    assert done.stdout.endswith(f"files of 1 hosts in {tmp_path}\n")


def test_render_prints_the_files_of_chosen_hosts() -> None:
    """--role chooses all hosts with a role, and --host adds single ones."""
    done = habla("render", "-s", "lab", "--role", "stable", "--host", "web1")
    heads = [line for line in done.stdout.splitlines() if line.startswith("--- ")]
    assert {head.removeprefix("--- ").partition(":")[0] for head in heads} == {"stable1", "stable2", "web1"}
    assert "--- web1:/etc/hosts 0644 root:root" in heads


def test_render_as_json_has_the_same_files() -> None:
    """Host -> path -> mode, owner, group and text."""
    text = habla("render", "-s", "lab", "--host", "web1").stdout
    document = json.loads(habla("render", "-s", "lab", "--host", "web1", "--json").stdout)
    assert list(document) == ["web1"]
    hosts = document["web1"]["/etc/hosts"]
    assert (hosts["mode"], hosts["owner"]) == ("0644", "root") and hosts["text"] in text
    assert len(document["web1"]) == sum(line.startswith("--- web1:") for line in text.splitlines())


@pytest.mark.parametrize("command", ["render", "addresses", "dns"])
def test_quiet_prints_nothing_when_all_is_well(command: str) -> None:
    """So a script can check the settings by the exit status alone."""
    done = habla(command, "-s", "production", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "command", [["render"], ["addresses"], ["status"], ["logs"], ["logs", "--bounds"]], ids=" ".join
)
def test_every_unknown_host_and_role_is_named_at_once(command: list[str]) -> None:
    """Each with the known name that is most like it; no host is asked."""
    done = habla(*command, "-s", "lab", "--host", "wbe1", "--role", "fron", "--host", "web1")
    assert done.returncode == 2 and done.stdout == ""
    assert "habla: 2 faults:\n--host: the stack has no such host (wbe1)" in done.stderr
    assert "did you mean web1?" in done.stderr and "did you mean front?" in done.stderr


def test_addresses_shows_each_role_with_its_free_space() -> None:
    """The plan of the lab."""
    done = habla("addresses", "-s", "lab")
    assert done.returncode == 0
    assert "stable     192.168.2.100-192.168.2.119, 18 free\n  192.168.2.100   stable1\n" in done.stdout


def test_addresses_as_json_has_the_chosen_roles() -> None:
    """Role -> ranges, free addresses and hosts."""
    document = json.loads(habla("addresses", "-s", "lab", "--role", "web", "--json").stdout)
    web1 = {"address": "192.168.2.120", "new": False}
    web = {"ranges": ["192.168.2.120-192.168.2.139"], "free": 19, "hosts": {"web1": web1}}
    assert document == {"network": "192.168.2.0/24", "roles": {"web": web}}


def test_addresses_of_new_hosts_are_written_on_request(tmp_path: Path) -> None:
    """Without the file every host is new; --write makes it, and says so once."""
    root = project(tmp_path, "lab")
    held = root / "stacks" / "addresses.lab.yaml"
    before = held.read_text()
    held.unlink()
    assert "web1  (new)" in habla("addresses", cwd=root).stdout
    done = habla("addresses", "--write", cwd=root)
    assert done.returncode == 0 and done.stderr == f"note: written to {held}\n"
    assert held.read_text() == before
    assert habla("addresses", "--write", cwd=root).stderr == ""


def test_dns_prints_a_zone_file_or_its_records() -> None:
    """Both have the website."""
    done = habla("dns", "-s", "production")
    assert done.returncode == 0 and done.stdout.startswith("$TTL 3600\n")
    document = json.loads(habla("dns", "-s", "production", "--json").stdout)
    website = f"www.hab.la. IN A {document['addresses'][0]}"
    assert website in document["records"] and website in done.stdout.splitlines()


def test_bounds_of_logs_as_json_are_bytes() -> None:
    """Host -> partition -> its sizes and its logs."""
    document = json.loads(habla("logs", "-s", "lab", "--bounds", "--host", "web1", "--json").stdout)
    partition = document["web1"]["/var/log"]
    assert partition["size"] == 1 << 30
    assert partition["needed"] == sum(log["bytes"] for log in partition["logs"].values())


def test_jabber_admin_shows_the_way_to_the_admin_page() -> None:
    """By SSH, to the first host with Jabber or to the one that is named."""
    line, url, accounts = habla("jabber", "admin", "-s", "production").stdout.splitlines()
    assert line == "ssh -N -L 5285:127.0.0.1:5285 -p 22 deploy@192.0.2.20"
    assert url == "then open  http://127.0.0.1:5285/admin/"
    assert "services.jabber.admins" in accounts
    done = habla("jabber", "admin", "-s", "production", "stable2", "--json")
    document = json.loads(done.stdout)
    assert document["command"][-1] == "deploy@192.0.2.30" and document["accounts"] == []
    done = habla("jabber", "admin", "-s", "production", "front1")
    assert done.returncode == 2 and "known: stable1, stable2" in done.stderr


@pytest.mark.parametrize("command", ["drain", "undrain"])
def test_a_host_that_cannot_be_drained_is_refused(command: str) -> None:
    """The words tell an unknown host from one that HAProxy sends nothing to."""
    done = habla(command, "-s", "lab", "front1")
    assert done.returncode == 2 and "the host has no service behind HAProxy" in done.stderr
    done = habla(command, "-s", "lab", "stabel1")
    assert done.returncode == 2 and "did you mean stable1?" in done.stderr


@pytest.mark.parametrize("command", ["on", "off"])
def test_maintenance_of_jabber_is_refused(command: str) -> None:
    """It would cut connections; the words say what to do instead."""
    done = habla("maintenance", command, "-s", "lab", "jabber")
    assert (done.returncode, done.stdout) == (2, "")
    assert "INSTANCE: maintenance would cut the connections of Jabber's users (jabber)" in done.stderr
    assert "habla drain HOST" in done.stderr


@pytest.mark.parametrize("seconds", ["x", "-1", "nan", "inf"])
def test_a_wait_is_a_number_of_seconds(seconds: str) -> None:
    """Anything else is refused before a host is asked."""
    done = habla("drain", "-s", "lab", "stable1", "--wait", seconds)
    assert done.returncode == 2 and f"--wait: '{seconds}' is not a number of seconds" in done.stderr


@pytest.mark.parametrize("words", [["summary"], ["ssh", "web1"]], ids=" ".join)
def test_lab_commands_say_how_to_make_a_lab(words: list[str], tmp_path: Path) -> None:
    """Where there is none, and where the stack has none."""
    root = project(tmp_path, "lab", "production")
    done = habla("lab", words[0], "-s", "lab", *words[1:], cwd=root)
    assert done.returncode == 3 and "make one with: make up" in done.stderr
    done = habla("lab", words[0], "-s", "production", *words[1:], cwd=root)
    assert done.returncode == 3 and "stack production has no lab" in done.stderr
