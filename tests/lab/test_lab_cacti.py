"""Cacti and snmpd on real hosts: who may ask, what shows, and what stays when devices come and go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address

import pytest
from agent import AgentHost, Done
from hosts import Lab, wait_for

from habla.hosts.network import network_state
from habla.hosts.snmpd import Snmp
from habla.model.service import Service
from habla.model.site import Device, Endpoint, Endpoints, FleetFacts, Site
from habla.plan.component import plan_component
from habla.services.cacti import Cacti

pytestmark = pytest.mark.lab

ADDRESSES = {"monitor1": IPv4Address("192.168.2.20"), "stable1": IPv4Address("192.168.2.100")}
MONITOR = Device("monitor1", "192.168.2.20", partitions=("/", "/var/log"))
STABLE = Device("stable1", "192.168.2.100")
# What SQL, JSON, PHP and net-snmp escape, each in its own way.
SECRETS = {
    "snmp/auth": 'auth "pass\\ $x=1',
    "snmp/privacy": "privacy'pass#",
    "snmp/community": "unused",
    "cacti/admin": "admin'pass\\ \"x",
    "cacti/database": "db'pass\\ \"x",
}
SYNC = """\
systemctl start habla-cacti-sync && journalctl --sync
journalctl -u habla-cacti-sync -o cat -n 20 | grep '"added"' | tail -1
"""
GRAPHS = """\
SELECT CONCAT(h.description, ' ', g.item), g.local_graph_id FROM habla_graph g JOIN host h ON h.id = host_id;
"""
ASK = """
import json, subprocess, sys
auth, privacy, address = json.load(sys.stdin)
user = ["-v3", "-l", "authPriv", "-u", "habla", "-a", "SHA-512", "-A", auth, "-x", "AES", "-X", privacy]
command = ["snmpget", *user, "-r0", "-t2", "-Oqv", address, ".1.3.6.1.2.1.1.5.0"]
done = subprocess.run(command, capture_output=True, text=True)
print((done.stdout or done.stderr).strip())
"""
# Logs in and asks for a picture, as a browser does; prints the page's title and the picture's type and size.
BROWSE = r"""
import http.cookiejar, json, re, sys, time, urllib.parse, urllib.request
password, graph = json.load(sys.stdin)
cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
page = urllib.request.build_opener(urllib.request.ProxyHandler({}), cookies).open
base = "http://192.168.2.20/cacti/"
token = re.search(r'csrfMagicToken = "([^"]+)"', page(base).read().decode())[1]
login = {"action": "login", "login_username": "admin", "login_password": password, "__csrf_magic": token}
text = page(base + "index.php", urllib.parse.urlencode(login).encode()).read().decode()
end = int(time.time())
answer = page(f"{base}graph_image.php?local_graph_id={graph}&graph_start={end - 600}&graph_end={end}")
title = re.search(r"<title>\s*(.*?)\s*</title>", text)[1]
print(json.dumps([title, answer.headers["content-type"], answer.read()[:4].decode("latin-1")]))
"""


@dataclass
class Monitored:
    """The lab's two hosts, and how they are told what to be."""

    lab: Lab
    secrets: dict[str, str] = field(default_factory=lambda: dict(SECRETS))

    def host(self, name: str) -> AgentHost:
        """A host."""
        return AgentHost(self.lab, name)

    def deliver(self, **changes: str) -> None:
        """The secrets to both, with changes; ``_`` in a name stands for ``/``."""
        self.secrets |= {name.replace("_", "/"): value for name, value in changes.items()}
        for name in ADDRESSES:
            done = self.host(name).agent("secrets", stdin=json.dumps({"format": 1, "secrets": self.secrets}))
            assert done.status == 0, done

    def apply(self, name: str, devices: tuple[Device, ...] = (MONITOR, STABLE)) -> Done:
        """What a host must be."""
        services: list[Service] = [Snmp()]
        cacti = Cacti()
        if name == "monitor1":
            services.append(cacti)
        ends = Endpoints((Endpoint(cacti.offers()[0], "monitor1", address=ADDRESSES["monitor1"]),))
        site = Site(name, ADDRESSES[name], fleet=FleetFacts(endpoints=ends, devices=devices))
        return self.host(name).apply(plan_component(name, site, services=services).state)

    def ask(self, source: str, target: str, **changes: str) -> str:
        """What snmpd of ``target`` answers to ``source``: its name, or why not."""
        secrets = self.secrets | {f"snmp/{name}": value for name, value in changes.items()}
        words = [secrets["snmp/auth"], secrets["snmp/privacy"], str(ADDRESSES[target])]
        self.host(source).run("cat >/root/ask.py", ASK)
        return self.host(source).run("python3 /root/ask.py", json.dumps(words))

    def browse(self, password: str, graph: str) -> list[str]:
        """A visit from stable1: title of the page after the login, type and first bytes of the picture."""
        self.host("stable1").run("cat >/root/browse.py", BROWSE)
        found: list[str] = json.loads(
            self.host("stable1").run("python3 /root/browse.py", json.dumps([password, graph]))
        )
        return found

    def sql(self, text: str) -> list[list[str]]:
        """Rows of Cacti's database."""
        return [line.split("\t") for line in self.host("monitor1").run("mariadb -N cacti", text).splitlines()]

    def graphs(self) -> dict[str, str]:
        """DEVICE ITEM -> the graph's id."""
        return dict(self.sql(GRAPHS))

    def sync(self) -> dict[str, list[str]]:
        """What a run of the sync by its timer's unit did."""
        found: dict[str, list[str]] = json.loads(self.host("monitor1").run(SYNC))
        return found


@pytest.fixture(scope="module")
def fleet_of_two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    """A monitor and a host that it watches."""
    lab = Lab(tmp_path_factory.mktemp("cacti") / "lab")
    try:
        lab.create(*Snmp().state(_site()).packages, *Cacti().state(_site()).packages)
        partitions = {"/": "3G", "/var/log": "256M"}
        lab.host("monitor1", partitions=partitions)
        lab.host("stable1", partitions={**partitions, "/data": "32M"})
        found = Monitored(lab)
        for name, address in ADDRESSES.items():
            host = found.host(name)
            host.install()
            site = Site(name, address, fleet=FleetFacts(hosts=ADDRESSES))
            network = network_state(site, ("snmp",))
            assert host.apply(network).status == 0
        found.deliver()
        for name in ("stable1", "monitor1"):
            done = found.apply(name)
            assert done.status == 0, done
        yield found
    finally:
        lab.ask("lab-delete")


def _site() -> Site:
    return Site("monitor1", ADDRESSES["monitor1"])


def test_a_second_apply_and_a_second_sync_change_nothing(fleet_of_two: Monitored) -> None:
    """The first ones did it all."""
    assert [fleet_of_two.apply(name).changed for name in ADDRESSES] == [{}, {}]
    assert not any(fleet_of_two.sync().values())


def test_every_partition_of_every_host_has_a_graph(fleet_of_two: Monitored) -> None:
    """Of a host without a list it is each that stands on a device of its own."""
    shown = {name for name in fleet_of_two.graphs() if " partition " in name}
    assert {f"{host} partition {path}" for host in ADDRESSES for path in ("/", "/var/log")} <= shown
    assert not [name for name in shown if "/run" in name or "/proc" in name or "/etc" in name]


def test_the_monitor_is_answered_and_nobody_else(fleet_of_two: Monitored) -> None:
    """Also with the right passphrases; and the monitor not with wrong ones."""
    assert fleet_of_two.ask("monitor1", "stable1") == '"stable1"'
    assert "Authentication failure" in fleet_of_two.ask("monitor1", "stable1", auth="wrong passphrase")
    assert "stable1" not in fleet_of_two.ask("monitor1", "stable1", privacy="wrong passphrase")
    for target in ADDRESSES:
        assert "Timeout" in fleet_of_two.ask("stable1", target)


def test_nothing_listens_outside_the_internal_network(fleet_of_two: Monitored) -> None:
    """All of Cacti's and snmpd's sockets are on the internal address or on loopback."""
    lines = fleet_of_two.host("monitor1").run("ss -Hltun | grep -v ':22 '").splitlines()
    own = {line.split()[4].rsplit(":", 1)[0] for line in lines}
    assert own == {"192.168.2.20", "127.0.0.1"}


def test_programs_data_and_logs_are_not_served(fleet_of_two: Monitored) -> None:
    """Though links lead to them from the pages' directory."""
    code = 'curl() { python3 -c \'import sys, http.client as h; c = h.HTTPConnection("192.168.2.20"); '
    code += 'c.request("GET", sys.argv[1]); print(c.getresponse().status)\' "$1"; }; '
    paths = [f"{root}/{name}/" for root in ("", "/cacti") for name in ("log", "rra", "cli", "resource")]
    answers = fleet_of_two.host("stable1").run(code + "; ".join(f"curl {path}" for path in paths))
    assert set(answers.split()) == {"403"}


def test_changed_secrets_take_effect_and_the_old_ones_end(fleet_of_two: Monitored) -> None:
    """Of snmpd, of Cacti's devices and of its admin."""
    old = fleet_of_two.secrets["snmp/auth"]
    graph = fleet_of_two.graphs()["stable1 load"]
    fleet_of_two.deliver(snmp_auth="another \"one'", snmp_privacy="a third\\ one", cacti_admin="new'one")
    assert fleet_of_two.ask("monitor1", "stable1") == '"stable1"'
    assert "Authentication failure" in fleet_of_two.ask("monitor1", "stable1", auth=old)
    polled = fleet_of_two.sql("SELECT DISTINCT snmp_password FROM poller_item;")
    assert polled == [["another \"one'"]]
    assert fleet_of_two.browse("new'one", graph)[0].startswith("Console")
    assert fleet_of_two.browse(SECRETS["cacti/admin"], graph)[:2] == [
        "Login to Cacti",
        "text/html; charset=UTF-8",
    ]


def test_what_goes_leaves_nothing_and_what_stays_keeps_its_graphs(fleet_of_two: Monitored) -> None:
    """A partition, then a device; both come back as new ones."""
    before = fleet_of_two.graphs()
    files = "ls /var/lib/cacti/rra | wc -l"
    # The first poll of all of them makes the files.
    wait_for(lambda: int(fleet_of_two.host("monitor1").run(files)) >= len(before), 200, "files of all graphs")
    had = int(fleet_of_two.host("monitor1").run(files))
    assert (
        fleet_of_two.apply("monitor1", (Device("monitor1", "192.168.2.20", partitions=("/",)),)).status == 0
    )
    left = fleet_of_two.graphs()
    assert left == {
        name: number
        for name, number in before.items()
        if name.startswith("monitor1 ") and name != "monitor1 partition /var/log"
    }
    rows = fleet_of_two.sql(
        "SELECT COUNT(*) FROM host UNION ALL SELECT COUNT(*) FROM graph_local"
        " UNION ALL SELECT COUNT(DISTINCT host_id) FROM data_local;"
    )
    assert [row[0] for row in rows] == ["1", str(len(left)), "1"]
    assert int(fleet_of_two.host("monitor1").run(files)) < had
    assert fleet_of_two.apply("monitor1").status == 0
    after = fleet_of_two.graphs()
    assert after.keys() == before.keys()
    assert {name: after[name] for name in left} == left


def test_a_partition_that_is_gone_takes_no_values_of_another(fleet_of_two: Monitored) -> None:
    """Its number in the table of disks is another's then; it is polled again once it is back."""
    items = (
        "SELECT DISTINCT p.arg1 FROM poller_item p JOIN data_template_rrd r USING (local_data_id)"
        " JOIN graph_templates_item i ON i.task_item_id = r.id WHERE p.rrd_name = 'hdd_used'"
        " AND i.local_graph_id = {};"
    )
    graphs = fleet_of_two.graphs()
    data, log = (items.format(graphs[f"stable1 partition {path}"]) for path in ("/data", "/var/log"))
    numbers = fleet_of_two.sql(data), fleet_of_two.sql(log)
    fleet_of_two.host("stable1").run("umount /data && systemctl restart snmpd")
    wait_for(lambda: not fleet_of_two.sql(data), 130, "it is no longer polled")
    assert fleet_of_two.sql(log) == [[".1.3.6.1.4.1.2021.9.1.8.2"]]
    assert fleet_of_two.sync()["pending"] == ["stable1 partition /data"]
    for verb in ("host-stop", "host-start"):
        fleet_of_two.lab.ask(verb, "stable1")
    wait_for(lambda: (fleet_of_two.sql(data), fleet_of_two.sql(log)) == numbers, 190, "it is polled again")
    assert fleet_of_two.graphs() == graphs


def test_a_device_that_is_down_waits_and_the_rest_goes_on(fleet_of_two: Monitored) -> None:
    """The apply succeeds, and the sync adds what is missing once the device answers."""
    assert fleet_of_two.apply("monitor1", (MONITOR,)).status == 0
    fleet_of_two.lab.ask("link-down", "stable1")
    try:
        assert fleet_of_two.apply("monitor1").status == 0
        assert "stable1 traffic" in fleet_of_two.sync()["pending"]
        assert "stable1 partition /" not in fleet_of_two.graphs()
    finally:
        fleet_of_two.lab.ask("link-up", "stable1")
    wait_for(
        lambda: fleet_of_two.sync()["pending"] == [] and "stable1 partition /" in fleet_of_two.graphs(), 150
    )
