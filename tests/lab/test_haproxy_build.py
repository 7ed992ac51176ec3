"""A host builds a release of HAProxy: from archives of any shape, once, whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import pytest
from agent import AgentHost, Done, agent_hosts
from hosts import wait_for
from releases import mortal, tar

from habla.onhost.document import Archive, File, HostState
from habla.services.haproxy.release import release_states

pytestmark = pytest.mark.lab
VERSION = "2.6.99"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentHost]:
    """A host with the agent; what it takes to build anything at all may be installed."""
    packages = ("gcc", "libc6-dev", "libpcre2-dev", "libssl-dev", "libsystemd-dev", "make")
    with agent_hosts(tmp_path_factory.mktemp("build"), "front1", packages=packages) as lab:
        yield AgentHost(lab, "front1")


@pytest.fixture(autouse=True)
def nothing_left(host: AgentHost) -> Iterator[None]:
    """Whatever a test built goes with its components, all of it."""
    yield
    for path in host.run("ls /var/lib/habla/components 2>/dev/null || true").split():
        assert host.agent("delete", path.removesuffix(".json")).report["deleted"]
    assert host.run("ls -A /opt") == ""


def delivered(host: AgentHost, content: bytes, version: str = VERSION) -> tuple[HostState, str]:
    """The state of a release whose archive the host has been handed, and where its program will be."""
    sha256 = hashlib.sha256(content).hexdigest()
    host.send_file(f".habla-archive-{sha256}", content)
    (state,) = release_states("front1", {version: Archive(sha256)})
    (directory,) = state.archives
    return state, f"{directory}/haproxy"


@pytest.mark.parametrize("top", ["", "haproxy-2.6.99/", "haproxy/"], ids=["none", "upstream's", "bare name"])
def test_an_archive_is_built_whatever_directory_it_has_on_top(host: AgentHost, top: str) -> None:
    """The program is at its place, executable, and links of the archive do no harm."""
    content = tar(mortal(VERSION), top, {"sub/link": "../Makefile"})
    state, program = delivered(host, content)
    assert host.apply(state).changed["actions"] == [f"build-{VERSION}"]
    assert host.run(f"{program} -v") == f"HAProxy version {VERSION} 2026/01/01"
    assert host.run(f"ls -A $(dirname {program}) | grep building || true") == ""


def test_what_is_built_is_not_built_again(host: AgentHost) -> None:
    """A second apply touches nothing; two releases of one version stand side by side."""
    state, program = delivered(host, tar(mortal(VERSION)))
    assert host.apply(state).status == 0
    look = f"stat -c %Y.%i {program}"
    before = host.run(look)
    assert host.apply(state).changed == {}
    patched, other = delivered(host, tar({**mortal(VERSION), "note": "patched"}))
    assert host.apply(patched).status == 0
    assert host.run(look) == before and host.run(f"{other} -v")
    assert host.agent("delete", state.component).report["deleted"]
    assert host.run(f"{other} -v; ls -d {program} 2>/dev/null || true").splitlines()[1:] == []


def test_an_interrupted_build_is_mended_by_the_next_apply(host: AgentHost) -> None:
    """Whoever kills the agent leaves no program that is half built, and no builder that gets in the way."""
    files = mortal(VERSION)
    files["Makefile"] = files["Makefile"].replace(
        "$(WAIT)", "sleep 3; echo half >haproxy; sleep 1; rm haproxy"
    )
    state, program = delivered(host, tar(files))
    process = host.start("exec python3 /usr/local/lib/habla/agent.pyz apply")
    assert process.stdin
    process.stdin.write(state.canonical())
    process.stdin.close()
    building = "pgrep -x sleep >/dev/null && echo yes || true"
    wait_for(lambda: host.run(building) == "yes", 20, "the build")
    host.run("kill -9 $(pgrep -f 'agent.pyz appl[y]')")
    process.wait(10)
    assert host.run(f"ls {program} 2>/dev/null || true") == ""
    assert host.apply(state).report["recovered"] == state.component
    assert host.run(f"{program} -v").startswith("HAProxy version")


def _refused(done: Done, *words: str) -> None:
    assert done.status == 1 and not [word for word in words if word not in done.stderr], done.stderr


def test_a_build_that_fails_says_so_in_the_words_of_the_compiler(host: AgentHost) -> None:
    """Not just that make failed; and no component is left of it."""
    files = mortal(VERSION)
    files["haproxy.c"] = files["haproxy.c"].replace("return 3", "return frobnicate")
    state, program = delivered(host, tar(files))
    _refused(
        host.apply(state),
        f"step actions: build-{VERSION}",
        "error:",
        "frobnicate",
        "the earlier state is back",
    )
    assert host.run(f"ls {program} /var/lib/habla/components 2>/dev/null || true").split() == [
        "/var/lib/habla/components:"
    ]


def test_an_archive_of_another_version_is_refused(host: AgentHost) -> None:
    """What the program says of itself counts, not the name of its archive."""
    state, _ = delivered(host, tar(mortal("2.6.98"), "haproxy-2.6.99/"))
    _refused(host.apply(state), "not HAProxy 2.6.99", "HAProxy version 2.6.98")


def test_an_archive_without_sources_is_refused(host: AgentHost) -> None:
    """Such as one of binaries, or one directory too deep."""
    state, _ = delivered(host, tar(mortal(VERSION), "a/b/"))
    _refused(host.apply(state), "no Makefile in the archive")


def test_a_release_that_somebody_runs_is_not_deleted(host: AgentHost) -> None:
    """Not before the component that names its program has left it, whoever asks first."""
    state, program = delivered(host, tar(mortal(VERSION)))
    assert host.apply(state).status == 0
    user = HostState(host="front1", component="user", files={"/etc/user.conf": File(f"run {program}\n")})
    assert host.apply(user).status == 0
    refused = host.agent("delete", state.component)
    assert refused.status == 1 and "user still uses this archive" in refused.stderr
    assert host.run(f"{program} -v").startswith("HAProxy version")
    assert host.apply(replace(user, files={"/etc/user.conf": File("run none\n")})).status == 0
    assert host.agent("delete", state.component).report["deleted"]
    assert host.agent("delete", "user").report["deleted"]
