"""What the project and a stack say about a section are merged, key by key."""

from __future__ import annotations

from typing import Any

import pytest

from habla.errors import Fault, SettingsError
from habla.settings.loading import load_settings
from habla.settings.section_merging import merged_sections
from habla.settings.sections import section_names

# section -> the project's value, the stack's value, and what both together say.
CASES: dict[str, tuple[Any, Any, Any]] = {
    "domain": ("a.example", "b.example", "b.example"),
    "network": (
        {"cidr": "10.1.0.0/24", "interface": "eth1", "reserved": ["10.1.0.1"]},
        {"interface": "eth2", "reserved": ["10.1.0.2"]},
        {"cidr": "10.1.0.0/24", "interface": "eth2", "reserved": ["10.1.0.2"]},
    ),
    "roles": (
        {"web": {"volatile": True}, "edge": {"ranges": ["50"]}},
        {"web": {"defaults": []}, "edge": None},
        {"web": {"volatile": True, "defaults": []}},
    ),
    "hosts": (
        {"web1": {"role": "web", "ssh": {"address": "192.0.2.1", "user": "deploy"}}, "web2": {"role": "web"}},
        {"web1": {"ssh": {"address": "192.0.2.9"}}, "web2": None, "web3": {"role": "web"}},
        {
            "web1": {"role": "web", "ssh": {"address": "192.0.2.9", "user": "deploy"}},
            "web3": {"role": "web"},
        },
    ),
    "services": (
        {"jabber": {"upload": {"days": 5}, "domains": {"a.example": {}, "b.example": {"auth": "anonymous"}}}},
        {"jabber": {"upload": None, "domains": {"b.example": None}}, "mysql": {"buffer_pool_mb": 256}},
        # null is a value of upload (no files), and none of a domain.
        {"jabber": {"upload": None, "domains": {"a.example": {}}}, "mysql": {"buffer_pool_mb": 256}},
    ),
    "apps": (
        {
            "rpc": {"roles": ["stable"], "environment": {"A": "1", "B": "2"}, "archive": {"path": "build"}},
            "status": {"roles": ["stable"]},
        },
        {
            "rpc": {
                "environment": {"A": None, "C": "3"},
                "archive": {"url": "https://x.example/", "sha256": "0"},
            },
            "status": None,
            "web": {"roles": ["web"]},
        },
        {
            # The keys of an archive exclude each other, so the stack's is taken whole.
            "rpc": {
                "roles": ["stable"],
                "environment": {"B": "2", "C": "3"},
                "archive": {"url": "https://x.example/", "sha256": "0"},
            },
            "web": {"roles": ["web"]},
        },
    ),
    "load_balancer": (
        {
            "dialect": "2.x",
            "www": {"maxconn": 100},
            "releases": {"2.6.1": {"path": "a"}},
            "vrrp": {"router": 1},
        },
        {"www": {"stats_port": 9000}, "releases": {"2.6.1": {"binary": "/b"}}, "vrrp": None},
        {
            "dialect": "2.x",
            "www": {"maxconn": 100, "stats_port": 9000},
            "releases": {"2.6.1": {"binary": "/b"}},
            "vrrp": None,
        },
    ),
    "ssh": ({"user": "deploy", "port": 2222}, {"port": None}, {"user": "deploy", "port": None}),
    "lab": ({"directory": "lab"}, {}, {"directory": "lab"}),
    "partitions": (
        {"/": {"size": "20G"}, "/srv": {"size": "1G"}},
        {"/": {"reserved": "10G"}, "/srv": None},
        {"/": {"size": "20G", "reserved": "10G"}},
    ),
    "logs": (
        {"journal": "64M", "rules": {"habla-rpc": {"size": "1M"}}},
        {"rules": {"habla-rpc": {"keep": 5}}},
        {"journal": "64M", "rules": {"habla-rpc": {"size": "1M", "keep": 5}}},
    ),
    "alerts": (
        {"to": ["a@b.example"], "smtp": {"host": "mail.example"}, "warning": 70},
        {"to": None, "smtp": None, "command": ["/bin/tell"]},
        {"smtp": None, "warning": 70, "command": ["/bin/tell"]},
    ),
    "start_empty": (["mysql"], ["jabber"], ["jabber"]),
    # Each stack encrypts with a key of its own.
    "secrets": ({"a": 1}, {"b": 2}, {"b": 2}),
}


def merged(project: dict[str, Any], stack: dict[str, Any]) -> dict[str, Any]:
    faults: list[Fault] = []
    found = merged_sections(project, stack, faults=faults)
    assert faults == []
    return found


def test_there_is_a_case_for_every_section() -> None:
    """A new section needs one too."""
    assert set(CASES) == set(section_names())


@pytest.mark.parametrize("section", CASES)
def test_a_stack_changes_adds_and_removes_keys_of_a_section(section: str) -> None:
    """Mappings are merged at any depth, null removes a key, and lists and texts are replaced."""
    project, stack, both = CASES[section]
    assert merged({section: project}, {section: stack}) == {section: both}


@pytest.mark.parametrize("section", CASES)
def test_a_section_of_only_one_of_them_is_as_it_is_there(section: str) -> None:
    """Also when Pulumi hands the project's section over as the stack's."""
    project, stack, _ = CASES[section]
    assert merged({section: project}, {}) == {section: project}
    assert merged({}, {section: stack}) == {section: stack}
    assert merged({section: project}, {section: project}) == {section: project}


@pytest.mark.parametrize("section", sorted(set(CASES) - {"secrets"}))
def test_a_section_that_is_null_in_a_stack_is_that_of_a_stack_without_it(section: str) -> None:
    """The whole section of the project is gone, but for the lab, of which null says that there is none."""
    found = merged({section: CASES[section][0]}, {section: None})
    assert found == ({"lab": None} if section == "lab" else {})


def test_options_of_others_may_be_null() -> None:
    """Of raw settings of ejabberd nobody knows whether null means something, so it is kept."""
    project = {"services": {"jabber": {"extra": {"a": {"b": 1}}, "modules": {"mod_x": {"c": 1}}}}}
    stack = {"services": {"jabber": {"extra": {"a": {"b": None}}, "modules": {"mod_x": None}}}}
    assert merged(project, stack) == stack


def test_a_key_with_the_domain_in_it_is_the_key_with_its_name() -> None:
    """A stack that writes the domain out changes what the project says of ``${domain}``."""
    project = {"domain": "a.example", "services": {"jabber": {"domains": {"${domain}": {"s2s": False}}}}}
    stack = {"domain": "b.example", "services": {"jabber": {"domains": {"b.example": {"roster": False}}}}}
    found = merged(project, stack)["services"]["jabber"]["domains"]
    assert found == {"b.example": {"s2s": False, "roster": False}}


def test_the_domain_is_put_into_every_text_and_key() -> None:
    """At any depth, also of a user's own program that gives the settings; not into names like it."""
    app = {
        "roles": ["web"],
        "command": ["/bin/a", "--for=${domain}"],
        "environment": {"AT": "x@${domain}", "DB": "${mysql.address}"},
    }
    raw = {"domain": "b.example", "lab": {}, "hosts": {"web1": {"role": "web"}}, "apps": {"a": app}}
    settings = load_settings("test", raw)
    assert settings.apps["a"].command == ("/bin/a", "--for=b.example")
    assert settings.apps["a"].environment == {"AT": "x@b.example", "DB": "${mysql.address}"}


def test_a_domain_that_is_no_text_is_one_fault() -> None:
    """And no traceback."""
    with pytest.raises(SettingsError, match="domain: not valid"):
        load_settings("test", {"domain": 5, "hosts": {"web1": {"role": "web"}}, "lab": {}})
