"""Changed settings leave nothing of the earlier ones behind: accounts, grants, certificates."""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

import pytest
from agent import AgentHost, agent_hosts

from habla.hosts.network import network_state
from habla.model.service import Service
from habla.model.site import FleetFacts, Site
from habla.onhost.document import File, HostState
from habla.plan.component import plan_component
from habla.services.jabber import Jabber, JabberSpec
from habla.services.mysql import Mysql, MysqlSpec

pytestmark = pytest.mark.lab

ADDRESS = IPv4Address("192.168.2.10")
SECRETS = {"mysql/habla": "a pass'word\\", "mysql/other": "another", "jabber/cookie": "a-cookie"}
CONFIG = "/etc/ejabberd/ejabberd.yml"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentHost]:
    """A host that is a member of the internal network and has its secrets."""
    packages = ("mariadb-server", "mariadb-client", "ejabberd", "openssl", "iproute2", "logrotate")
    with agent_hosts(tmp_path_factory.mktemp("leftovers"), "front1", packages=packages) as lab:
        found = AgentHost(lab, "front1")
        assert found.apply(network_state(_site())).status == 0
        document = json.dumps({"format": 1, "secrets": SECRETS})
        assert found.agent("secrets", stdin=document).status == 0
        yield found


def _site(network: str = "192.168.2.0/24", domain: str = "hab.la") -> Site:
    fleet = FleetFacts(network=IPv4Network(network), domain=domain, hosts={"front1": ADDRESS})
    return Site("front1", ADDRESS, fleet=fleet)


def _state(service: Service, site: Site) -> HostState:
    return plan_component("stable", site, services=[service]).state


def _accounts(host: AgentHost) -> list[str]:
    query = "SELECT CONCAT(User, ' ', Host) FROM mysql.user WHERE Host LIKE '%/%' ORDER BY 1"
    return host.run("mariadb --batch --skip-column-names", query).splitlines()


def _grants(host: AgentHost) -> list[str]:
    query = "SELECT CONCAT(User, ' ', Host, ' ', Db) FROM mysql.db WHERE Host LIKE '%/%' ORDER BY 1"
    return host.run("mariadb --batch --raw --skip-column-names", query).splitlines()


def test_mysql_forgets_the_accounts_and_grants_of_earlier_settings(host: AgentHost) -> None:
    """Another network, another user and another database: one account is left, with one grant."""
    for network, spec in (
        ("192.168.2.0/24", MysqlSpec()),
        ("192.168.0.0/16", MysqlSpec()),
        ("192.168.0.0/16", MysqlSpec(user="habla_2", password="mysql/other", database="habla_prod")),
    ):
        done = host.apply(_state(Mysql(spec), _site(network)))
        assert done.status == 0, done
        user, net = spec.user, IPv4Network(network)
        where = f"{user} {net.network_address}/{net.netmask}"
        assert _accounts(host) == [where]
        assert _grants(host) == [f"{where} {spec.database.replace('_', chr(92) + '_')}"]
    assert host.run("mariadb --skip-column-names", "SHOW DATABASES LIKE 'habla%'").split() == [
        "habla",
        "habla_prod",
    ]


def test_a_grant_from_before_its_wildcard_was_escaped_is_taken_back(host: AgentHost) -> None:
    """``habla_prod`` as a pattern also meant hablaXprod; an account that somebody else made stays."""
    spec = MysqlSpec(user="habla_2", password="mysql/other", database="habla_prod")
    where = "'habla_2'@'192.168.0.0/255.255.0.0'"
    host.run(
        "mariadb", f"GRANT SELECT ON `habla_prod`.* TO {where}; CREATE USER 'reader'@'10.0.0.0/255.0.0.0'"
    )
    state = _state(Mysql(spec), _site("192.168.0.0/16"))
    host.run("rm /etc/mysql/habla-grants.sql")
    done = host.apply(state)
    assert done.status == 0, done
    assert _grants(host) == ["habla_2 192.168.0.0/255.255.0.0 habla\\_prod"]
    assert "reader 10.0.0.0/255.0.0.0" in _accounts(host)
    login = "mariadb -h 192.168.2.10 -u habla_2 -panother habla_prod -e 'SELECT 1'"
    assert host.send(login).status == 0
    host.run("mariadb", "CREATE DATABASE IF NOT EXISTS hablaXprod")
    assert "Access denied" in host.send(login.replace("habla_prod -e", "hablaXprod -e")).stderr


@pytest.mark.parametrize("domain", ["hab.la", "chat.example.org", f"{'a' * 60}.{'b' * 30}.org"])
def test_the_certificate_that_a_host_signs_is_for_the_domain_of_now(host: AgentHost, domain: str) -> None:
    """After a change of the domain too; a domain may be longer than a common name."""
    spec = JabberSpec(admins=("d\\27artagnan@hab.la", "ünï#{x}@hab.la"))
    done = host.apply(_state(Jabber(spec), _site(domain=domain)))
    assert done.status == 0, done
    shown = host.run("openssl x509 -in /etc/ejabberd/habla.pem -noout -ext subjectAltName")
    assert f"DNS:{domain}, DNS:*.{domain}" in shown


def test_ejabberd_refuses_a_config_before_it_replaces_the_running_one(host: AgentHost) -> None:
    """The agent's failure has ejabberd's own words, and the old config stays."""
    good = _state(Jabber(), _site())
    assert host.apply(good).status == 0
    for old, new, words in (
        ("loglevel: notice", "loglevel: infoo", "Invalid value of option loglevel: Unexpected value: infoo"),
        ("mod_ping: {}", "mod_pingg: {}", "mod_pingg"),
        ("rate: 3000", 'rate: "a\\2"', "Syntax error on line"),
    ):
        text = good.files[CONFIG].text
        assert old in text
        bad = HostState(
            **{**vars(good), "files": {**good.files, CONFIG: _file(good, text.replace(old, new))}}
        )
        done = host.apply(bad)
        assert done.status == 1 and "step check: /etc/ejabberd/ejabberd.yml" in done.stderr, done
        assert words in done.stderr, done
    assert host.apply(good).changed == {}


def _file(state: HostState, text: str) -> File:
    old = state.files[CONFIG]
    return File(text, old.mode, owner=old.owner, group=old.group)
