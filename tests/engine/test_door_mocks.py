"""Mistakes of a program of a user's own are faults with words, before the resource is registered."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pulumi
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mocks import Recorder
from pulumi_command.remote import ProxyConnectionArgs

from habla import (
    AppSpec,
    CacheDbNode,
    CacheDbNodeArgs,
    ExistingHost,
    HaproxySpec,
    Host,
    HostArgs,
    HostWatch,
    HostWatchArgs,
    InternalSubnet,
    InternalSubnetArgs,
    JabberSpec,
    LoadBalancerPair,
    LoadBalancerPairArgs,
    Member,
    ServiceNode,
    ServiceNodeArgs,
    StableServiceNode,
    StableServiceNodeArgs,
    WebNode,
)
from habla.errors import Faults
from habla.onhost.document_text import read_document

KEY = "ssh-ed25519 AAAA"
SECRETS = dict.fromkeys(("mysql/habla", "jabber/cookie"), "a secret")
APP = AppSpec(roles=["web"], command=["/bin/a"])


@pytest.fixture
def recorder() -> Recorder:
    return started()


def started() -> Recorder:
    """A new program."""
    mocks = Recorder()
    pulumi.runtime.set_mocks(mocks, project="door", stack="test", preview=False)
    return mocks


def host(name: str, **changes: Any) -> Host:
    """A host with everything that it needs, but for changes."""
    machine = ExistingHost(
        changes.pop("address", "198.51.100.1"),
        changes.pop("host_key", KEY),
        port=changes.pop("port", 22),
        private_key=changes.pop("private_key", "a key"),
        user=changes.pop("user", "root"),
        proxy=changes.pop("proxy", None),
    )
    given = {"outside_address": "203.0.113.1", "secrets": SECRETS, **changes}
    return Host(name, HostArgs(machine, given.pop("outside_address"), **given))


def subnet(*members: tuple[Host, str], name: str = "net") -> InternalSubnet:
    return InternalSubnet(name, InternalSubnetArgs([Member(each, role) for each, role in members]))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"host_key": "rubbish"}, r"hosts\.a\.ssh\.host_key: not valid \(rubbish\)"),
        ({"host_key": None}, r"hosts\.a\.ssh\.host_key: not valid"),
        ({"address": ""}, r"hosts\.a\.ssh\.address: missing"),
        ({"port": 99999}, r"hosts\.a\.ssh\.port: not valid \(99999\)"),
        ({"private_key": None}, r"hosts\.a\.ssh\.private_key: missing, and no SSH agent"),
        (
            {"address": "[::1]"},
            r"hosts\.a\.ssh\.address: not valid \(\[::1\]\)\n  rule: a name of the DNS or",
        ),
        ({"user": "-oX"}, r"hosts\.a\.ssh\.user: not valid \(-oX\)\n  rule: letters, digits and"),
        (
            {"proxy": ProxyConnectionArgs(host="b c", user="it's", host_key="rubbish")},
            r"(?s)proxy\.address: not valid.*proxy\.host_key: not valid.*proxy\.user: not valid",
        ),
    ],
)
def test_a_machine_that_cannot_be_reached_is_a_fault(
    recorder: Recorder, changes: dict[str, Any], words: str
) -> None:
    """The rules are those of a stack's ssh section."""
    with pytest.raises(Faults, match=words):
        host("a", **changes)
    assert not recorder.types


def test_every_way_that_a_stack_may_have_is_open_to_a_program(recorder: Recorder) -> None:
    """IPv6, users with dots, bastions, and outputs, which are not known yet."""
    host("a", address="2001:db8::10", user="jane.Doe", proxy=ProxyConnectionArgs(host="::1", port=2222.0))
    later = pulumi.Output.from_input("later")
    host("b", address=later, host_key=later, proxy=ProxyConnectionArgs(host=later, user=later))


@pytest.mark.parametrize("name", ["Front_1!", "-a", "", "a.b", "x" * 64])
def test_a_host_has_a_name_of_the_dns(recorder: Recorder, name: str) -> None:
    """It reaches /etc/hosts."""
    with pytest.raises(Faults, match="not a name that can be used"):
        host(name)


def test_two_components_of_one_name_on_a_host_are_a_fault(recorder: Recorder) -> None:
    """Each would overwrite the other, and undo it in the end."""
    front = host("front1")
    net = subnet((front, "front"))
    CacheDbNode("cache", CacheDbNodeArgs(front, net, mysql=None))
    with pytest.raises(Faults, match="CacheDbNode cache and CacheDbNode other need the same names"):
        CacheDbNode("other", CacheDbNodeArgs(front, net, memcached=None))
    pair = LoadBalancerPairArgs(front, net, haproxy=HaproxySpec(dialect="2.x"))
    LoadBalancerPair("pair", pair)
    with pytest.raises(Faults, match="LoadBalancerPair pair and LoadBalancerPair twin"):
        LoadBalancerPair("twin", pair)


def test_a_name_is_not_taken_by_a_component_that_was_refused(recorder: Recorder) -> None:
    """A program may catch the fault and go on."""
    web = host("web1")
    net = subnet((web, "web"))
    with pytest.raises(Faults):
        WebNode("web", ServiceNodeArgs(web, net, apps={"jabber-cluster!": APP}))
    WebNode("web", ServiceNodeArgs(web, net, apps={"a": APP}))


def test_two_subnets_of_one_network_are_a_fault(recorder: Recorder) -> None:
    """Two hosts would have one address."""
    first, second = host("front1"), host("front2")
    subnet((first, "front"))
    with pytest.raises(Faults, match=r"the internal address 192\.168\.2\.10"):
        subnet((second, "front"), name="other")
    with pytest.raises(Faults, match="InternalSubnet again and InternalSubnet net"):
        subnet((first, "front"), name="again")


@pytest.mark.parametrize(
    "make",
    [
        lambda it, net: CacheDbNode("c", CacheDbNodeArgs(it, net)),
        lambda it, net: LoadBalancerPair("b", LoadBalancerPairArgs(it, net)),
        lambda it, net: ServiceNode("s", ServiceNodeArgs(it, net)),
        lambda it, net: StableServiceNode("s", StableServiceNodeArgs(it, net)),
        lambda it, net: HostWatch("w", HostWatchArgs(it, net)),
    ],
)
def test_a_host_that_is_no_member_is_a_fault(
    recorder: Recorder, make: Callable[[Host, InternalSubnet], Any]
) -> None:
    """It has no address there."""
    with pytest.raises(Faults, match=r"members\.other: not a member"):
        make(host("other"), subnet((host("front1"), "front")))


def test_a_secret_that_nobody_gives_is_a_fault(recorder: Recorder) -> None:
    """With the line that gives it."""
    stable = host("stable1", secrets={})
    with pytest.raises(Faults, match=r"secrets\.jabber/cookie: the secret is not given"):
        StableServiceNode(
            "jabber", StableServiceNodeArgs(stable, subnet((stable, "stable")), jabber=JabberSpec())
        )


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda output: InternalSubnetArgs([], output), "network"),
        (lambda output: InternalSubnetArgs([Member(host("a"), "web", address=output)]), "members.a.address"),
    ],
)
def test_an_output_where_a_plain_value_is_needed_is_named(
    recorder: Recorder, make: Callable[[Any], InternalSubnetArgs], argument: str
) -> None:
    """The error says which argument, and why."""
    with pytest.raises(Faults, match=f"{argument}: not known at preview\n.*plain value"):
        InternalSubnet("net", make(pulumi.Output.from_input("192.168.2.0/24")))


def test_the_name_of_a_program_is_no_output(recorder: Recorder) -> None:
    """Its text would be a message of Pulumi's, in a file name."""
    web = host("web1")
    name: Any = pulumi.Output.from_input("a")
    with pytest.raises(Faults, match="not known at preview"):
        WebNode("web", ServiceNodeArgs(web, subnet((web, "web")), apps={name: APP}))


@pulumi.runtime.test
def test_the_public_address_may_be_an_output(recorder: Recorder) -> Any:
    """An address that the same program reserves: HAProxy binds to it once it is known."""
    reserved = pulumi.Output.from_input("203.0.113.77")
    front = host("front1", outside_address=reserved)
    pair = LoadBalancerPair(
        "pair",
        LoadBalancerPairArgs(front, subnet((front, "front")), haproxy=HaproxySpec(dialect="2.x")),
    )

    def check(_: Any) -> None:
        document = read_document(recorder.inputs["pair-state"]["stdin"])
        assert "bind 203.0.113.77:80\n" in document["files"]["/etc/haproxy/www.cfg"]["text"]
        assert "240." not in json.dumps(document)

    return pair.report.apply(check)


KINDS = ("cache", "pair", "web", "stable", "watch", "subnet")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    roles=st.lists(st.sampled_from(("front", "web", "stable")), min_size=1, max_size=4),
    asked=st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 3)), max_size=8),
)
def test_any_combination_is_a_fault_or_has_one_owner_of_each_component(
    roles: list[str], asked: list[tuple[str, int]]
) -> None:
    """Over one to four hosts: no document of a component of a host comes twice."""
    recorder = started()

    @pulumi.runtime.test
    def declare() -> Any:
        hosts = [
            host(f"h{number}", outside_address=f"203.0.113.{number + 1}") for number in range(len(roles))
        ]
        net = subnet(*zip(hosts, roles, strict=True))
        reports = []
        for number, (kind, index) in enumerate(asked):
            it, name = hosts[index % len(hosts)], f"n{number}"
            try:
                match kind:
                    case "cache":
                        reports.append(CacheDbNode(name, CacheDbNodeArgs(it, net)).report)
                    case "pair":
                        args = LoadBalancerPairArgs(it, net, haproxy=HaproxySpec(dialect="2.x"))
                        reports.append(LoadBalancerPair(name, args).report)
                    case "web":
                        reports.append(WebNode(name, ServiceNodeArgs(it, net, apps={"a": APP})).report)
                    case "stable":
                        stable = StableServiceNodeArgs(it, net, jabber=JabberSpec(), peers=[])
                        reports.append(StableServiceNode(name, stable).report)
                    case "watch":
                        reports.append(HostWatch(name, HostWatchArgs(it, net)).report)
                    case _:
                        subnet((it, roles[index % len(hosts)]), name=name)
            except Faults:
                continue
        return pulumi.Output.all(*reports)

    declare()
    documents = [
        read_document(inputs["stdin"])
        for name, inputs in recorder.inputs.items()
        if recorder.types[name] == "command:remote:Command" and '"component":' in str(inputs.get("stdin"))
    ]
    owners = Counter((document["host"], document["component"]) for document in documents)
    assert not [key for key, count in owners.items() if count > 1]
