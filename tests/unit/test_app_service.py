"""What an app's settings become on its hosts."""

from __future__ import annotations

from ipaddress import IPv4Address

from habla.model.site import Endpoint, Endpoints, FleetFacts, Site
from habla.services.app import App
from habla.services.app_spec import AppSpec, HealthSpec, RouteSpec
from habla.services.haproxy import Haproxy
from habla.services.haproxy.haproxy_spec import HaproxySpec
from habla.services.mysql import Mysql, MysqlSpec

SITE = Site("stable1", IPv4Address("192.168.2.100"))
RPC = AppSpec(roles=("stable",), command=("/bin/rpc",), port=8001, health=HealthSpec(path="/ok"))


def test_an_app_reaches_what_it_names() -> None:
    """References become the address and port of whoever offers it; nobody types an address twice."""
    database = Endpoint(
        Mysql(MysqlSpec(port=3307)).offers()[0], "front1", address=IPv4Address("192.168.2.10")
    )
    spec = RPC.model_copy(
        update={"environment": {"DB": "${mysql.address}:${mysql.port}", "ME": "${host.name}"}}
    )
    site = Site(SITE.host, SITE.address, fleet=FleetFacts(endpoints=Endpoints((database,))))
    text = App("rpc", spec).state(site).files["/etc/habla/apps/rpc.env"].text
    assert "DB=192.168.2.10:3307\n" in text
    assert "ME=stable1\n" in text


def test_an_environment_value_reaches_the_program_as_it_was_written() -> None:
    """What systemd would take for quotes, escapes or variables is escaped."""
    spec = RPC.model_copy(update={"environment": {"X": 'say "hi" \\ $HOME `x`'}})
    text = App("rpc", spec).state(SITE).files["/etc/habla/apps/rpc.env"].text
    assert 'X="say \\"hi\\" \\\\ \\$HOME \\`x\\`"\n' in text


def test_a_word_of_a_command_stays_one_word() -> None:
    """Blanks are quoted, and systemd's own specifiers are taken literally."""
    spec = RPC.model_copy(update={"command": ("/bin/rpc", "two words", "100%", "$HOME")})
    unit = App("rpc", spec).state(SITE).files["/etc/systemd/system/habla-rpc.service"].text
    assert 'ExecStart=/bin/rpc "two words" 100%% $$HOME\n' in unit


def test_the_longest_path_is_asked_first() -> None:
    """/rpc/admin goes to its own backend although /rpc would take it too."""
    apps = [
        App("rpc", RPC.model_copy(update={"routes": (RouteSpec(path="/rpc"),)})),
        App("admin", RPC.model_copy(update={"routes": (RouteSpec(path="/rpc/admin"),)})),
    ]
    ends = Endpoints.of(Endpoint(app.offers()[0], "stable1", address=SITE.address) for app in apps)
    outside = IPv4Address("203.0.113.10")
    fleet = FleetFacts(endpoints=ends)
    site = Site("front1", IPv4Address("192.168.2.10"), fleet=fleet, outside=outside)
    text = Haproxy(HaproxySpec(dialect="2.x")).state(site).files["/etc/haproxy/www.cfg"].text
    assert text.index("use_backend admin") < text.index("use_backend rpc")
