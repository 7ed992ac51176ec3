"""Releases of HAProxy: which are built, where their programs are, and what stands in whose way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from habla.model.spec import ArchiveSpec
from habla.onhost.document import Archive
from habla.onhost.reading import from_json
from habla.plan import FleetPlan, make_plan
from habla.services.haproxy.haproxy_spec import HaproxyInstanceSpec, HaproxySpec, ReleaseSpec
from habla.services.haproxy.release import binary, built, release_faults, release_states
from habla.settings import read_stack

ROOT = Path(__file__).parents[2]
OLD, NEW = ReleaseSpec(url="https://example.com/old", sha256="a" * 64), ReleaseSpec(path="new.tar.gz")
ARCHIVES = {"1.3.14.10": Archive("a" * 64, "https://example.com/old"), "2.6.12": Archive("b" * 64)}
RELEASES = {"1.3.14.10": OLD, "2.6.12": NEW, "2.8.0": ReleaseSpec(binary="/usr/local/sbin/haproxy")}
SPEC = HaproxySpec(dialect="2.x", releases=RELEASES)


def with_www(**changes: str) -> HaproxySpec:
    return SPEC.model_copy(update={"www": HaproxyInstanceSpec.model_validate(changes)})


@pytest.mark.parametrize(
    ("changes", "versions", "program"),
    [
        ({}, [], "/usr/sbin/haproxy"),
        ({"version": "2.6.12"}, ["2.6.12"], "/opt/haproxy/2.6.12-bbbbbbbb/haproxy"),
        ({"dialect": "1.3.14"}, ["1.3.14.10"], "/opt/haproxy/1.3.14.10-aaaaaaaa/haproxy"),
        ({"version": "2.8.0"}, [], "/usr/local/sbin/haproxy"),
    ],
    ids=["distribution", "version", "dialect", "binary"],
)
def test_one_setting_moves_one_instance(changes: dict[str, str], versions: list[str], program: str) -> None:
    """Only what an instance runs is built, and the other instance stays where it is."""
    spec = with_www(**changes)
    assert release_faults(spec) == []
    assert list(built(spec)) == versions
    assert binary(spec, "www", archives=ARCHIVES) == program
    assert binary(spec, "jabber", archives=ARCHIVES) == "/usr/sbin/haproxy"


def test_another_archive_of_a_version_is_another_program() -> None:
    """It is built beside the first, which runs until the new one is there."""
    spec = with_www(version="2.6.12")
    patched = {"2.6.12": Archive("c" * 64)}
    assert binary(spec, "www", archives=patched) != binary(spec, "www", archives=ARCHIVES)
    (one,), (other,) = (
        release_states("front1", patched),
        release_states("front1", {"2.6.12": Archive("b" * 64)}),
    )
    assert one.component != other.component
    assert not {*one.files, *one.archives} & {*other.files, *other.archives}


@pytest.mark.parametrize("version", ARCHIVES)
def test_the_agent_reads_the_document_of_a_release(version: str) -> None:
    """Its component's name included; the program is built where the instances look for it."""
    (state,) = release_states("front1", {version: ARCHIVES[version]})
    document = from_json(state.document())
    assert document.component == f"haproxy-{version.replace('.', '-')}-{ARCHIVES[version].sha256[:8]}"
    (directory,), (script,) = document.archives, document.files
    assert f"\ncd {directory}\n" in document.files[script].text
    (action,) = document.actions.values()
    assert action.command == (script,) and set(action.inputs) == {directory, script}


@pytest.mark.parametrize(
    ("version", "needs", "words"),
    [
        ("1.3.14.10", {"gcc", "libc6-dev", "make"}, "TARGET=linux26"),
        (
            "2.6.12",
            {"gcc", "libc6-dev", "libpcre2-dev", "libssl-dev", "libsystemd-dev", "make"},
            "USE_SYSTEMD=1",
        ),
    ],
)
def test_a_host_is_given_what_its_release_needs(version: str, needs: set[str], words: str) -> None:
    """And no more; a 2.x tells systemd when it is ready, as its unit says."""
    (state,) = release_states("front1", {version: ARCHIVES[version]})
    assert set(state.packages) == needs
    assert words in next(iter(state.files.values())).text


@pytest.fixture(scope="module")
def planned() -> Callable[[HaproxySpec], FleetPlan]:
    settings = read_stack(ROOT, "lab")

    def read(spec: ArchiveSpec) -> Archive:
        return Archive(spec.sha256 or "b" * 64, spec.url or "")

    return lambda spec: make_plan(
        replace(settings, services={**settings.services, "haproxy": spec}), {}, read_archive=read
    )


def test_a_release_comes_before_the_balancer_with_its_packages(
    planned: Callable[[HaproxySpec], FleetPlan],
) -> None:
    """The host has them from the start, and a lab's pool holds them."""
    plan = planned(with_www(version="2.6.12"))
    assert list(plan.hosts["front1"].states) == [
        "network",
        "cachedb",
        "haproxy-2-6-12-bbbbbbbb",
        "balancer",
        "watch",
    ]
    assert "libsystemd-dev" in plan.hosts["front1"].packages
    assert "gcc" in plan.hosts["front1"].states["network"].packages
    assert "gcc" not in plan.hosts["stable1"].packages


def test_moving_www_changes_nothing_of_jabber(planned: Callable[[HaproxySpec], FleetPlan]) -> None:
    """Neither its unit nor its config. Of the host, the guard's settings and the kernel's bounds change."""
    before, after = (
        planned(spec).hosts["front1"].states["balancer"] for spec in (SPEC, with_www(dialect="1.3.14"))
    )
    changed = {path for path in before.files if before.files[path] != after.files[path]}
    www = {"/etc/haproxy/www.cfg", "/etc/systemd/system/haproxy@www.service"}
    assert changed == www | {"/etc/habla/haproxy.json", "/etc/sysctl.d/60-habla-balancer.conf"}
    assert before.units["haproxy@jabber.service"] == after.units["haproxy@jabber.service"]


def test_a_new_program_reads_the_config_before_the_old_one_stops(
    planned: Callable[[HaproxySpec], FleetPlan],
) -> None:
    """The check runs when the unit changes, not only when the config does."""
    check = planned(with_www(version="2.6.12")).hosts["front1"].states["balancer"].checks["www"]
    assert check.command[0] == "/opt/haproxy/2.6.12-bbbbbbbb/haproxy"
    assert "/etc/systemd/system/haproxy@www.service" in check.files
