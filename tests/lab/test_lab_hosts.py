"""The lab's hosts as a user of them sees them."""

from __future__ import annotations

import ipaddress
import json
import socket
import subprocess
import urllib.request

import pytest
from hosts import Lab, wait_for

pytestmark = pytest.mark.lab

INTERNAL = "192.168.2.0/24"

#: A server that answers only after the client said that it has no more to say.
COUNT_SERVER = """
import socket
server = socket.create_server(("0.0.0.0", 7))
while True:
    client, peer = server.accept()
    total = 0
    while chunk := client.recv(65536):
        total += len(chunk)
    client.sendall(f"{total} from {peer[0]}".encode())
    client.close()
"""


def _start(lab: Lab, name: str, unit: str, command: str) -> None:
    lab.run(name, f"systemctl is-active -q {unit} || systemd-run -q --unit={unit} {command}")


def _internal_address(lab: Lab, name: str, address: str) -> None:
    text = f"[Match]\\nName=internal0\\n[Network]\\nAddress={address}/24\\n"
    lab.run(name, f"printf '{text}' > /etc/systemd/network/50-internal.network && networkctl reload")
    wait_for(
        lambda: address in lab.run(name, "ip -brief address show internal0"), what=f"{address} on {name}"
    )


def test_root_logs_in_with_pinned_key(lab: Lab) -> None:
    """Root logs in to every host through its loopback port, with the host's key pinned."""
    assert {name: lab.run(name, "id -un; hostname") for name in lab.hosts} == {
        name: f"root\n{name}" for name in ("front1", "stable1", "web1")
    }


def test_operator_has_sudo(lab: Lab) -> None:
    """The user operator is not root and becomes root without a password."""
    assert lab.hosts["web1"]["user"] == "operator"
    assert lab.run("web1", "id -un && sudo -n id -un", user="operator") == "operator\nroot"


def test_wrong_host_key_is_refused(lab: Lab) -> None:
    """Each host has a key of its own: pinned to another host's, SSH refuses to connect."""
    done = lab.ssh("front1", "true", host_key=lab.hosts["stable1"]["host_key"])
    assert done.returncode == 255


def test_host_is_whole(lab: Lab) -> None:
    """A host boots to the state running, with no failed unit and no job left."""
    wait_for(lambda: lab.ssh("stable1", "systemctl is-system-running").stdout == "running\n")


def test_nothing_waits_for_the_network(lab: Lab) -> None:
    """What wants the network to be online does not wait on a host whose internal0 nobody configured."""
    lab.run("web1", "timeout 5 systemctl start network-online.target")
    assert lab.run("web1", "systemctl is-active network-online.target") == "active"


def test_internal_interface_has_no_address(lab: Lab) -> None:
    """internal0 is there, without an address of any family, and networkd leaves it alone."""
    links = json.loads(lab.run("stable1", "ip -json address show internal0"))
    assert [link["addr_info"] for link in links] == [[]]
    assert "unmanaged" in lab.run("stable1", "networkctl --no-legend list internal0")


def test_sshd_listens_on_the_management_address_alone(lab: Lab) -> None:
    """Nothing of a fresh host listens where the outside could reach it."""
    listening = lab.run("front1", "ss --no-header --listening --tcp --udp --numeric | awk '{print $5}'")
    assert listening.split() == [f"{lab.hosts['front1']['management_address']}:22"]


def test_hosts_meet_on_the_internal_network(lab: Lab) -> None:
    """Once networkd is told addresses for internal0, hosts reach each other over it."""
    _internal_address(lab, "stable1", "192.168.2.100")
    _internal_address(lab, "front1", "192.168.2.10")
    lab.run("stable1", "mkdir -p /srv/www && echo internal > /srv/www/index.html")
    _start(lab, "stable1", "www", "python3 -m http.server --directory /srv/www --bind 192.168.2.100 8080")
    fetch = "python3 -c 'import urllib.request as u; print(u.urlopen(\"http://192.168.2.100:8080/\").read())'"
    assert "internal" in wait_for(lambda: lab.ssh("front1", fetch).stdout, what="a page over internal0")


def test_management_network_joins_no_hosts(lab: Lab) -> None:
    """A host cannot reach another one over the management network, only the lab can."""
    address = lab.hosts["stable1"]["management_address"]
    connect = f"import socket; socket.create_connection(('{address}', 22), 2)"
    assert lab.ssh("front1", f'python3 -c "{connect}"').returncode != 0
    assert lab.call("inside", "--", "python3", "-c", connect).returncode == 0


def test_machine_knows_nothing_of_the_labs_networks(lab: Lab) -> None:
    """The machine's own network namespace has no address, route or interface of the lab."""
    networks = [ipaddress.ip_network(text) for text in (INTERNAL, "10.213.0.0/24", "203.0.113.0/24")]

    def of_lab(text: str) -> bool:
        network = ipaddress.ip_network(text, strict=False)
        return (
            network.version == 4 and network.prefixlen > 0 and any(network.overlaps(one) for one in networks)
        )

    def ask(*arguments: str) -> list[dict[str, object]]:
        return json.loads(subprocess.check_output(["ip", "-json", *arguments]))

    addresses = [info["local"] for link in ask("address") for info in link.get("addr_info", [])]
    routes = [
        route["dst"] for route in ask("-4", "route", "show", "table", "all") if route["dst"] != "default"
    ]
    links = {link["ifname"] for link in ask("link")}
    assert addresses and [text for text in [*addresses, *routes] if of_lab(text)] == []
    assert not links & {"internal", "management", "outside", "client", "i11", "m11"}


def test_outside_reaches_what_is_public_only(lab: Lab) -> None:
    """The outside client reaches a service on an outside address, no internal and no management address."""
    _start(lab, "front1", "public", "python3 -m http.server --directory /etc/ssh --bind 203.0.113.10 80")
    _internal_address(lab, "front1", "192.168.2.10")

    def reach(address: str, port: int) -> str:
        code = f"import socket; print(socket.create_connection(('{address}', {port}), 3).getpeername()[0])"
        done = lab.outside("python3", "-c", code)
        return done.stdout.strip() or done.stderr.strip().splitlines()[-1]

    wait_for(lambda: reach("203.0.113.10", 80) == "203.0.113.10")
    assert "Network is unreachable" in reach("192.168.2.10", 80)
    assert "Network is unreachable" in reach(lab.hosts["front1"]["management_address"], 22)
    assert "Connection refused" in reach("203.0.113.10", 22)
    routes = json.loads(lab.outside("ip", "-json", "route").stdout)
    assert [route["dst"] for route in routes] == ["203.0.113.0/24"]


def test_outside_command_keeps_its_exit_status(lab: Lab) -> None:
    """outside passes a command's exit status on, and names a program that is not there."""
    assert lab.outside("sh", "-c", "exit 7").returncode == 7
    done = lab.outside("no-such-program")
    assert done.returncode == 3 and "no-such-program" in done.stderr


def test_forward_carries_both_directions_to_their_ends(lab: Lab) -> None:
    """Through a forward, a client that ended its half still receives; servers see the outside client."""
    lab.run("front1", f"cat > /root/count.py <<'END'\n{COUNT_SERVER}END")
    _start(lab, "front1", "count", "python3 /root/count.py")
    size = 3_000_000

    def talk() -> bytes:
        with socket.create_connection(("127.0.0.1", lab.hosts["front1"]["forwards"]["echo"]), 10) as client:
            try:
                client.sendall(b"x" * size)
                client.shutdown(socket.SHUT_WR)
                return client.recv(100)
            except OSError:
                return b""

    assert wait_for(talk, what="an answer") == f"{size} from 203.0.113.1".encode()


def test_a_forward_reaches_what_a_host_offers_to_itself_alone(lab: Lab) -> None:
    """Such as a page on its internal address; the host's network is entered, and nobody else's."""
    lab.run("stable1", f"cat > /root/count.py <<'END'\n{COUNT_SERVER}END")
    lab.run("stable1", "sed -i s/0.0.0.0/127.0.0.1/ /root/count.py")
    _start(lab, "stable1", "count", "python3 /root/count.py")
    port = lab.host("stable1", forwards={"echo": "itself:127.0.0.1:7"})["forwards"]["echo"]

    def talk() -> bytes:
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            try:
                client.sendall(b"12345")
                client.shutdown(socket.SHUT_WR)
                return client.recv(100)
            except OSError:
                return b""

    assert wait_for(talk, what="an answer") == b"5 from 127.0.0.1"
    lab.host("stable1")


def test_pool_package_installs(lab: Lab) -> None:
    """apt-get installs a package of the pool on a host, and knows no other source."""
    lab.run(
        "web1", "apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq --yes install beanstalkd"
    )
    assert lab.run("web1", "beanstalkd -v").startswith("beanstalkd")
    sources = lab.run("web1", "cat /etc/apt/sources.list; find /etc/apt/sources.list.d -type f")
    assert sources == "deb [trusted=yes] file:/srv/repo ./"
    assert lab.ssh("web1", "touch /srv/repo/x").returncode != 0


def test_more_packages_appear_on_running_hosts(lab: Lab) -> None:
    """A package that lab-create adds can be installed on a host without restarting it."""
    boot = lab.run("stable1", "cat /proc/sys/kernel/random/boot_id")
    lab.create("beanstalkd", "memcached")
    lab.run("stable1", "apt-get -qq update && apt-get -qq --yes --download-only install memcached")
    assert lab.run("stable1", "cat /proc/sys/kernel/random/boot_id") == boot


def test_second_create_changes_nothing(lab: Lab) -> None:
    """host-create of a host that is as asked gives the same answer and does not touch the host."""
    before = lab.hosts["front1"]
    boot = lab.run("front1", "cat /proc/sys/kernel/random/boot_id")
    again = lab.host("front1", outside_address="203.0.113.10", forwards={"http": 80, "echo": 7})
    assert again == before
    assert lab.run("front1", "cat /proc/sys/kernel/random/boot_id") == boot


def test_forwards_change_without_a_restart(lab: Lab) -> None:
    """Another set of forwards leaves the host running and the port of a forward that stays as it was."""
    boot = lab.run("front1", "cat /proc/sys/kernel/random/boot_id")
    before = lab.hosts["front1"]["forwards"]
    after = lab.host("front1", outside_address="203.0.113.10", forwards={"http": 80, "xmpp": 5222})[
        "forwards"
    ]
    assert set(after) == {"http", "xmpp"} and after["http"] == before["http"]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", before["echo"]), 5)
    lab.host("front1", outside_address="203.0.113.10", forwards={"http": 80, "echo": 7})
    assert lab.run("front1", "cat /proc/sys/kernel/random/boot_id") == boot


def test_forward_to_a_shared_address_reaches_who_has_it(lab: Lab) -> None:
    """A forward of front1 leads to an address that web1 has, and goes on when front1 lost its power."""
    wanted = {"http": 80, "echo": 7}
    forwards = lab.host(
        "front1", outside_address="203.0.113.10", forwards={**wanted, "shared": "203.0.113.20:8080"}
    )["forwards"]
    _start(lab, "web1", "shared", "python3 -m http.server --directory /etc 8080")
    lab.run("web1", "ip address add 203.0.113.20/24 dev outside0")

    def name() -> bytes:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{forwards['shared']}/hostname", timeout=5
            ) as answer:
                return bytes(answer.read())
        except OSError:
            return b""

    assert wait_for(name, what="an answer") == b"web1\n"
    lab.ask("host-kill", "front1")
    assert name() == b"web1\n"
    lab.ask("host-start", "front1")
    lab.run("web1", "ip address del 203.0.113.20/24 dev outside0")
    lab.host("front1", outside_address="203.0.113.10", forwards=wanted)


def test_outside_address_changes(lab: Lab) -> None:
    """A host is given another outside address, or none, by a restart; its files and its port stay."""
    port = lab.hosts["web1"]["port"]
    lab.run("web1", "echo kept > /root/kept")
    lab.host("web1", outside_address="203.0.113.77", user="operator")
    assert "203.0.113.77/24" in lab.run("web1", "ip -brief address show outside0; cat /root/kept")
    lab.host("web1", outside_address=None, user="operator")
    assert lab.ssh("web1", "ip link show outside0").returncode != 0
    assert lab.run("web1", "cat /root/kept") == "kept" and lab.hosts["web1"]["port"] == port
    lab.host("web1", outside_address="203.0.113.11", user="operator")
