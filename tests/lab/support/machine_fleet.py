"""The lab's fleet on machines that a user has: five of them, which Pulumi reaches by SSH and did not make."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent import AgentHost
from clients import Jabber, Program
from hosts import REPOSITORY, SUPPORT, Lab, wait_for
from lab_stack import lab_sections

from habla.components.agent_bundle import AGENT_PATH
from habla.model.names import NETWORK, SUBNET, joined_resource, node_resource, state_resource
from habla.plan import HostPlan, make_plan
from habla.plan.archive_files import ArchiveFiles
from habla.settings.loading import load_settings
from stacks import PROGRAM, Stack, Up

MACHINES = {"front1": "one", "stable1": "two", "stable2": "three", "web1": "four", "monitor1": "five"}
SECRETS = {
    "mysql/habla": "mysql-password",
    "jabber/cookie": "COOKIECOOKIECOOKIE",
    "snmp/auth": "snmp-auth-passphrase",
    "snmp/privacy": "snmp-privacy-passphrase",
    "cacti/admin": "cacti-admin-password",
    "cacti/database": "cacti-database-password",
}
OUTSIDE = "203.0.113.10"
USER, PASSWORD = "ada", "secret"
# A service, a page that each of its hosts serves, and where. The forum is in MySQL.
_PAGES = (
    ("web", "/", "www.hab.la"),
    ("web", "/forum", "www.hab.la"),
    ("rpc", "/rpc/health", "www.hab.la"),
    ("status", "/status/", "www.hab.la"),
    ("static", "/logo.svg", "static.hab.la"),
)

# As in a user's own program, components may have other names: ``names`` has them by the stack's own name, and
# ``former`` has the names that such a component had before, as aliases.
_NAMING = """\
import json
from pathlib import Path

import pulumi

from habla.components import fleet, fleet_nodes

known = json.loads(Path("names.json").read_text())
name_of, make = fleet_nodes.node_resource, fleet.make_node


def node_resource(host, component):
    return known["names"].get(name_of(host, component), name_of(host, component))


def make_node(component, host, *, opts, **more):
    former = known["former"].get(node_resource(host.name, component), [])
    aliases = pulumi.ResourceOptions(aliases=[pulumi.Alias(name=name) for name in former])
    return make(component, host, opts=pulumi.ResourceOptions.merge(opts, aliases), **more)


fleet_nodes.node_resource, fleet.make_node = node_resource, make_node
"""

# Runs on a machine: what the agent would still change, and what is there of all that ever was.
_LOOK = """\
import json, os, pathlib, socket, subprocess, sys
wanted = json.load(sys.stdin)
def run(*command, stdin=None):
    return subprocess.run(command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
changed = {}
for component, document in wanted["documents"].items():
    done = run("python3", AGENT, "diff", stdin=document)
    if done.returncode:
        changed[component] = done.stdout
records = {}
for path in pathlib.Path("/var/lib/habla/components").glob("*.json"):
    record = json.loads(path.read_text())
    records[path.stem] = [record["owner"], record["document"]]
def packaged(path):
    return run("dpkg", "-S", path).returncode == 0
active = [unit for unit in wanted["units"] if run("systemctl", "is-active", unit).stdout.strip() == "active"]
print(json.dumps({
    "name": socket.gethostname(),
    "changed": changed,
    "owners": {component: owner for component, (owner, _) in records.items()},
    "documents": {component: document for component, (_, document) in records.items()},
    "files": [path for path in wanted["files"] if os.path.lexists(path) and not packaged(path)],
    "units": active,
}))
"""


@dataclass
class MachineFleet(Stack):
    """The fleet of stacks/Pulumi.lab.yaml, on machines of a lab. Names of hosts may move between machines.

    names: a component's name in a stack -> its name in the program. former: its name -> its aliases.
    places: the paths and units that a machine has ever had, by machine.
    """

    program: str = _NAMING + PROGRAM
    names: dict[str, str] = field(default_factory=dict)
    former: dict[str, list[str]] = field(default_factory=dict)
    places: dict[str, dict[str, set[str]]] = field(default_factory=dict)

    def host(self, name: str) -> AgentHost:
        """The machine of a host."""
        return AgentHost(self.lab, self.machines[name])

    def hosts(self, role: str) -> list[str]:
        """The hosts of a role, by name."""
        return sorted(name for name, host in self.settings["hosts"].items() if host["role"] == role)

    def up(self, *options: str) -> Up:
        """``pulumi up`` without a preview, as a user does it."""
        plan = self.plan()
        for name, machine in self.machines.items():
            known = self.places.setdefault(machine, {"files": set(), "units": set()})
            for state in plan.hosts[name].states.values():
                known["files"] |= {*state.files, *state.archives}
                known["units"] |= {*state.units}
        return super().up(*options)

    def cli(self, *words: str) -> Up:
        """Run the CLI with the program, the settings and the names as they are now."""
        known = {"names": self.names, "former": self.former}
        (self.directory / "names.json").write_text(json.dumps(known))
        return super().cli(*words)

    def rename(self, old: str, new: str) -> None:
        """Give a host another name, on the same machine."""
        hosts = self.settings["hosts"]
        hosts[new] = hosts.pop(old)
        self.machines[new] = self.machines.pop(old)

    def owners(self, host: HostPlan) -> dict[str, str]:
        """Component -> the resource that a host's component belongs to."""
        found = {NETWORK: joined_resource(SUBNET, host.name)}
        for component, part in host.parts.items():
            node = self.node_name(host.name, component)
            found |= {ahead.component: state_resource(node, ahead.component) for ahead in part.ahead}
            found[component] = state_resource(node)
        return {component: f"test/test/{name}" for component, name in found.items()}

    def node_name(self, host: str, component: str) -> str:
        """The resource of a component."""
        name = node_resource(host, component)
        return self.names.get(name, name)

    def processes(self) -> dict[str, list[str]]:
        """Host -> the main processes of its services."""
        daemons = "haproxy@www haproxy@jabber mariadb memcached beanstalkd ejabberd nginx apache2"
        show = f"systemctl show --property=MainPID --value {daemons} habla-rpc habla-web"
        return {name: self.host(name).run(show).split() for name in self.machines}

    def faults(self) -> dict[str, Any]:
        """Whatever differs between the machines and the plan; empty when there is nothing."""
        plan = self.plan()

        def look(name: str) -> dict[str, Any]:
            host, machine = plan.hosts[name], self.machines[name]
            states = host.states
            files = {path for state in states.values() for path in (*state.files, *state.archives)}
            units = {unit for state in states.values() for unit in state.units}
            wanted = {
                "documents": {component: state.canonical() for component, state in states.items()},
                "files": sorted(self.places[machine]["files"] - files),
                "units": sorted(self.places[machine]["units"] - units),
            }
            script = f"AGENT = {AGENT_PATH!r}\n{_LOOK}"
            there = AgentHost(self.lab, machine)
            there.run("cat >/root/look.py", script)
            seen = json.loads(there.run("python3 /root/look.py", json.dumps(wanted)))
            expected = {
                "name": name,
                "changed": {},
                "owners": self.owners(host),
                "documents": {component: state.document() for component, state in states.items()},
                "files": [],
                "units": [],
            }
            return {key: seen[key] for key, value in expected.items() if seen[key] != value}

        with ThreadPoolExecutor(len(self.machines)) as pool:
            found = dict(zip(self.machines, pool.map(look, self.machines), strict=True))
        return {name: seen for name, seen in found.items() if seen}

    def settled(self) -> None:
        """The machines are as planned, with nothing of the past; another ``up`` says so; services answer."""
        assert self.faults() == {}
        again = super().up()
        assert again.unchanged, again.output
        self.serves()

    def serves(self) -> None:
        """The website, the programs, images and Cacti answer, a user logs in, and no row was lost."""
        for service, path, domain in _PAGES:
            hosts, ask = self.running(service), (path, domain)
            wait_for(lambda hosts=hosts, ask=ask: self.served_by(*ask) == hosts, 60, f"{path} by {hosts}")
        assert self.messages() == ["kept"]
        self.log_in()
        monitor = self.running("cacti").pop()
        address = self.plan().addresses.hosts[monitor]
        page = (
            f"python3 -c 'import urllib.request as u; print(u.urlopen(\"http://{address}/cacti/\").status)'"
        )
        wait_for(lambda: self.host(monitor).send(page).stdout.strip() == "200", 60, "Cacti")

    def running(self, service: str) -> set[str]:
        """The hosts that run a service."""
        hosts = self.plan().hosts
        return {name for name, host in hosts.items() if service in [item.name for item in host.services]}

    def get(self, path: str, host: str = "www.hab.la", body: object = None) -> tuple[int, bytes, str]:
        """Status, body and the host that served a request from the outside. body: sent as JSON, by POST."""
        port = self.lab.hosts[MACHINES["front1"]]["forwards"]["www"]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        data = None if body is None else json.dumps(body)
        try:
            connection.request("POST" if data else "GET", path, data, {"Host": host})
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers.get("X-Served-By", "")
        except OSError:
            return 0, b"", ""
        finally:
            connection.close()

    def served_by(self, path: str, host: str = "www.hab.la") -> set[str]:
        """The hosts that answer a path with 200, of eight requests."""
        answers = [self.get(path, host) for _ in range(8)]
        return {server for status, _, server in answers if status == 200}

    def send(self, text: str) -> None:
        """A message by RPC, which MySQL keeps."""
        params = {"from": "ada", "to": "bob", "text": text}
        body = {"jsonrpc": "2.0", "id": 1, "method": "chat.send", "params": params}
        status, answer, _ = self.get("/rpc", body=body)
        assert status == 200 and b"result" in answer, answer

    def messages(self) -> list[str]:
        """The texts in MySQL."""
        query = 'mariadb --batch --skip-column-names habla -e "SELECT text FROM rpc_messages"'
        return self.host(self.running("mysql").pop()).run(query).splitlines()

    def accounts(self) -> list[str]:
        """The accounts that Jabber has, as the first node says."""
        return self.host(self.hosts("stable")[0]).run("ejabberdctl registered_users hab.la").split()

    def register(self) -> None:
        """Make the user's account."""
        self.host(self.hosts("stable")[0]).run(f"ejabberdctl register {USER} hab.la {PASSWORD}")

    def log_in(self) -> None:
        """The user logs in through HAProxy, and out again. The cluster has all its nodes."""
        nodes = set(self.hosts("stable"))
        for name in nodes:
            wait_for(lambda name=name: self.cluster(name) == nodes, 90, f"all nodes in the cluster of {name}")
        machines = tuple(self.machines[name] for name in nodes)
        with self._xmpp() as program:
            jabber = Jabber(self.lab, program, machines)
            jabber.log_in(USER, seconds=60)
            jabber.log_out()

    def cluster(self, host: str) -> set[str]:
        """The nodes of the Jabber cluster, as one of them sees it."""
        lines = self.host(host).send("ejabberdctl list_cluster").stdout.split()
        return {line.removeprefix("ejabberd@") for line in lines}

    @contextlib.contextmanager
    def _xmpp(self) -> Iterator[Program]:
        lab = [sys.executable, "-m", "habla.lab", "outside", "--dir", str(self.lab.directory), "--"]
        program = Program(*lab, sys.executable, str(SUPPORT / "xmpp.py"))
        try:
            yield program
        finally:
            program.end()


def lab_settings() -> dict[str, Any]:
    """The sections of stacks/Pulumi.lab.yaml and Pulumi.yaml, without the lab and its secrets."""
    sections = lab_sections(REPOSITORY)
    return {name: value for name, value in sections.items() if name not in ("lab", "secrets")}


@contextlib.contextmanager
def machine_fleet(root: Path) -> Iterator[MachineFleet]:
    """A fleet that is deployed, with a message in MySQL and an account in Jabber. The lab ends with it."""
    lab = Lab(root / "lab")
    try:
        project = root / "project"
        shutil.copytree(REPOSITORY / "examples", project / "examples")
        settings = lab_settings()
        partitions = {mount: part["size"] for mount, part in settings["partitions"].items()}
        lab.create(*_packages(settings))
        lab.together(
            *(
                {
                    "name": machine,
                    "outside_address": OUTSIDE if host == "front1" else None,
                    "forwards": {"www": 80} if host == "front1" else {},
                    "partitions": partitions,
                }
                for host, machine in MACHINES.items()
            )
        )
        fleet = MachineFleet(project, lab, settings, dict(MACHINES), secrets=SECRETS)
        done = fleet.up()
        assert done.ok, done.output
        wait_for(lambda: fleet.get("/rpc/health")[0] == 200, 60, "RPC")
        fleet.send("kept")
        fleet.register()
        yield fleet
    finally:
        lab.ask("lab-delete")


def _packages(settings: dict[str, Any]) -> set[str]:
    """The packages that any host of the lab installs: the same pool as that of ``make up``."""
    raw = {**settings, "lab": {}, "secrets": dict.fromkeys(SECRETS)}
    plan = make_plan(load_settings("lab", raw), {}, read_archive=ArchiveFiles(REPOSITORY).archive)
    return {package for host in plan.hosts.values() for package in host.packages}
