"""Whatever roles, apps, hosts and users are called: no name is lost without a word."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from habla.errors import Faults
from habla.plan import FleetPlan, make_plan
from habla.plan.resources import common_resource_claims, resource_claims
from habla.settings.loading import load_settings

# Names of habla's own, parts of them, and short ones that meet by chance.
WORDS = (
    *("internal", "lab", "network", "cachedb", "balancer", "monitor", "watch", "drain", "stats", "www"),
    *(
        "jabber",
        "mysql",
        "haproxy",
        "static",
        "bosh",
        "c2s",
        "recover",
        "agent",
        "state",
        "secrets",
        "machine",
    ),
    *(
        "machine",
        "archives",
        "web",
        "stable",
        "front",
        "volatile",
        "app",
        "snmp",
        "system-logs",
        "partitions",
    ),
)
short = st.from_regex(r"[ab](-[ab])?", fullmatch=True)
word = st.one_of(st.sampled_from(WORDS), short)
name = st.one_of(word, st.tuples(word, word).map("-".join)).filter(lambda text: len(text) <= 24)
user = st.one_of(st.none(), st.sampled_from(("root", "haproxy-www", "habla-a", "shared")), name)


@st.composite
def stacks(draw: st.DrawFn) -> dict[str, Any]:
    """Valid in all but its names."""
    own = draw(st.lists(name, max_size=2, unique=True))
    roles = {
        role: {"ranges": [f"10.0.{number}.0/24"], "services": ["app", "jabber", "static"]}
        for number, role in enumerate({*own, "front", "web", "stable", "monitor", "volatile"}, start=1)
        if role not in ("front", "monitor")
    }
    roles["front"] = {"ranges": ["10.0.100.0/24"]}
    roles["monitor"] = {"ranges": ["10.0.101.0/24"]}
    usable = sorted({*roles} - {"front", "monitor"})
    hosts: dict[str, Any] = {
        host: {"role": draw(st.sampled_from(usable))}
        for host in draw(st.lists(name, min_size=1, max_size=4, unique=True))
    }
    fronts = draw(st.lists(name, max_size=1))
    hosts |= {host: {"role": "front", "outside_address": "203.0.113.10"} for host in fronts}
    apps = {
        app: {
            "roles": draw(st.lists(st.sampled_from(usable), min_size=1, max_size=2, unique=True)),
            "command": ["/bin/a"],
            "user": draw(user),
            "port": 9000 + number,
            "routes": [{"path": f"/{number}"}],
            "health": {"path": "/"},
        }
        for number, app in enumerate(draw(st.lists(name, max_size=4, unique=True)))
    }
    return {
        "lab": {},
        "network": {"cidr": "10.0.0.0/16"},
        "load_balancer": {"dialect": "2.x"},
        "roles": roles,
        "hosts": hosts,
        "apps": apps,
    }


def planned(raw: dict[str, Any]) -> FleetPlan:
    def none(spec: object) -> Any:
        raise AssertionError("no archives here")

    return make_plan(load_settings("lab", raw), {}, read_archive=none)


@settings(max_examples=400, deadline=None)
@given(stacks())
def test_every_owner_has_its_names_or_a_fault_says_who_else_wants_them(raw: dict[str, Any]) -> None:
    """A fault names both owners; or every unit and file of every owner is there, and no resource twice."""
    try:
        plan = planned(raw)
    except Faults as error:
        for fault in error.faults:
            assert fault.what.endswith(" need the same names"), fault
            assert " and " in fault.what and fault.path, fault
        return
    for host in plan.hosts.values():
        seen = Counter(path for state in host.states.values() for path in state.files)
        seen += Counter(unit for state in host.states.values() for unit in state.units)
        assert not [key for key, count in seen.items() if count > 1]
        for part in host.parts.values():
            for service in part.all:
                state = service.state(host.site)
                for kind in ("files", "units", "users", "archives", "actions", "checks", "health"):
                    wanted, found = getattr(state, kind), getattr(part.state, kind)
                    assert all(found.get(key) == value for key, value in wanted.items()), (service, kind)
    claims = [claim for host in plan.hosts.values() for claim in resource_claims(plan.settings, host)]
    names = Counter(claim.name for claim in (*claims, *common_resource_claims(plan.settings)))
    assert not [key for key, count in names.items() if count > 1]


def test_the_property_can_fail() -> None:
    """Ordinary names are not refused, so the property looks at whole fleets too."""
    app = {"roles": ["web"], "command": ["/bin/a"]}
    hosts = {"web1": {"role": "web"}, "web2": {"role": "web"}}
    assert len(planned({"lab": {}, "hosts": hosts, "apps": {"forum": app}}).hosts) == 2
