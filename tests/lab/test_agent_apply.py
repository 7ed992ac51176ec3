"""What an apply does on a real host: nothing when nothing is to be done, repairs, refusals, undoing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from agent import HAPROXY, PAGE, SERVER, UNIT, AgentHost, Look, agent_hosts, demo, with_files

from habla.onhost.document import Action, Check, File, Health, HostState, Unit

pytestmark = pytest.mark.lab

_FILES = (HAPROXY, PAGE, SERVER, UNIT, "/etc/demo/only-live")
_UNITS = ("haproxy.service", "demo.service")
_LIVE = demo("live")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentHost]:
    """A host with the agent; what the package brings is known."""
    with agent_hosts(tmp_path_factory.mktemp("agent"), "front1") as lab:
        found = AgentHost(lab, "front1")
        assert found.apply(_LIVE).status == 0
        yield found


@pytest.fixture
def live(host: AgentHost) -> Look:
    """What the host looks like in the state that every test starts from."""
    assert host.apply(_LIVE).status == 0
    return host.look(_FILES, _UNITS)


def _unchanged(host: AgentHost, live: Look) -> None:
    seen = host.look(_FILES, _UNITS)
    assert (seen.files, seen.units, seen.left) == (live.files, live.units, [])


def _back(host: AgentHost, live: Look) -> None:
    seen = host.look(_FILES, _UNITS)
    assert (seen.pages, seen.left, seen.content()) == (["live", "live"], [], live.content())
    assert [state[1:] for state in seen.units.values()] == [["active", "enabled"]] * 2


def test_second_apply_touches_nothing(host: AgentHost, live: Look) -> None:
    """An apply of what is there touches no file and no process, and takes less than a second."""
    done = host.apply(_LIVE)
    assert done.changed == {}
    assert done.report["seconds"]["all"] < 1
    assert done.stdout.count("\n") == 1
    _unchanged(host, live)


def test_diff_says_what_apply_would_do_and_does_nothing(host: AgentHost, live: Look) -> None:
    """``diff`` ends with 3 and names the changes; with 0 when there is none."""
    done = host.agent("diff", stdin=with_files(_LIVE, page="other\n").canonical())
    assert (done.status, done.report["changed"]["files"]) == (3, [PAGE])
    _unchanged(host, live)
    assert host.agent("diff", stdin=_LIVE.canonical()).status == 0


@pytest.mark.parametrize(
    ("damage", "changes"),
    [
        (f"echo by hand >>{HAPROXY}", {"files": [HAPROXY], "reload": ["haproxy.service"]}),
        (f"chmod 600 {HAPROXY}", {"files": [HAPROXY], "reload": ["haproxy.service"]}),
        ("chown daemon /etc/demo/only-live", {"files": ["/etc/demo/only-live"]}),
        (f"rm {PAGE}", {"files": [PAGE], "restart": ["demo.service"], "actions": ["note"]}),
        (f"ln -sf /etc/passwd {PAGE}", {"files": [PAGE], "restart": ["demo.service"], "actions": ["note"]}),
        (f"sed -i '1a Nice=3' {UNIT}", {"files": [UNIT], "restart": ["demo.service"]}),
        ("chmod 777 /var/lib/demo", {"directories": ["/var/lib/demo"]}),
        ("systemctl -q stop demo", {"start": ["demo.service"]}),
        ("systemctl -q disable haproxy", {"enable": ["haproxy.service"]}),
        (
            "systemctl -q disable --now demo; systemctl -q mask --runtime demo",
            {"enable": ["demo.service"], "start": ["demo.service"]},
        ),
        (
            "systemctl -q kill -s KILL demo; "
            "timeout 10 sh -c 'while systemctl -q is-active demo; do sleep 0.05; done'",
            {"start": ["demo.service"]},
        ),
        ("DEBIAN_FRONTEND=noninteractive apt-get -qq remove haproxy >/dev/null", {"packages": ["haproxy"]}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_damage_is_repaired_and_named(
    host: AgentHost, live: Look, damage: str, changes: dict[str, list[str]]
) -> None:
    """What was changed by hand is put right by the next apply, which reports just that."""
    host.run(damage)
    done = host.apply(_LIVE)
    found = done.changed
    if "packages" in changes:
        assert found["packages"] == ["haproxy"]
    else:
        assert found == changes
    _back(host, live)


def _refused(host: AgentHost, state: HostState, *words: str) -> str:
    done = host.apply(state)
    assert (done.status, done.stdout) == (1, ""), done
    assert done.stderr.startswith("habla: front1: step ")
    for word in words:
        assert word in done.stderr, done.stderr
    return done.stderr


def test_refused_configuration_changes_nothing(host: AgentHost, live: Look) -> None:
    """A checker's refusal names the file, the line and its own words; nothing was touched."""
    text = _LIVE.files[HAPROXY].text + "    frobnicate everything\n"
    words = ("step check", f"{HAPROXY}:9", "unknown keyword 'frobnicate'", "nothing was changed")
    message = _refused(host, with_files(_LIVE, haproxy=text, page="new\n"), *words)
    assert ".habla-new" not in message
    _unchanged(host, live)


def test_unit_that_dies_at_start_brings_the_old_one_back(host: AgentHost, live: Look) -> None:
    """A daemon that does not survive its new file is named with its last words; the old one runs again."""
    message = _refused(
        host,
        with_files(
            _LIVE, server="raise SystemExit('no such luck')\n", haproxy=_LIVE.files[HAPROXY].text + "\n"
        ),
        *("demo.service", "no such luck", "the earlier state is back"),
    )
    assert "step health" in message
    _back(host, live)
    # Over and over: systemd's limit of starts is not what ends this.
    bad = _LIVE.files[UNIT].text.replace("ExecStart=", "ExecStartPre=/bin/false\nExecStart=")
    for _ in range(6):
        _refused(host, with_files(_LIVE, unit=bad), "step units", "demo.service")
    _back(host, live)


def test_unit_without_health_check_that_dies_is_noticed(host: AgentHost, live: Look) -> None:
    """Started is not enough: a unit that dies at once, or over and over, fails the apply."""
    for more in ("", "Restart=always\n"):
        text = f"[Service]\nExecStart=/bin/false\n{more}[Install]\nWantedBy=multi-user.target\n"
        path = "/etc/systemd/system/dying.service"
        state = replace(
            _LIVE, files={**_LIVE.files, path: File(text)}, units={**_LIVE.units, "dying.service": Unit()}
        )
        _refused(host, state, "step units", "dying.service", "the unit does not keep running")
        assert host.look((path,), ("dying.service",)).units["dying.service"][1] == "inactive"
    _back(host, live)


def test_health_check_fails_within_its_deadline(host: AgentHost, live: Look) -> None:
    """What never answers as it should fails the apply soon after the deadline, and names what it answers."""
    for health, words in (
        (Health(address="127.0.0.1", port=8081, path="/", expect=418, deadline=1), "answers 200, not 418"),
        (Health(address="127.0.0.1", port=9, deadline=1), "127.0.0.1:9"),
        (Health(command=("sh", "-c", "echo so; sleep 60"), deadline=1), "timed out"),
    ):
        begun = time.monotonic()
        state = with_files(replace(_LIVE, health={**_LIVE.health, "more": health}), page="new\n")
        _refused(host, state, "step health: more", "not healthy after 1 s", words)
        assert time.monotonic() - begun < 8
    _back(host, live)


def test_failed_action_brings_the_old_state_back(host: AgentHost, live: Look) -> None:
    """An action that fails is named with its words, and one that hangs ends at its time-out."""
    for command, words in (
        (("sh", "-c", "echo it cannot be >&2; exit 3"), "it cannot be"),
        (("sleep", "60"), "the command did not end within 1 s"),
    ):
        action = Action(command, inputs=(PAGE,), timeout=1)
        state = with_files(replace(_LIVE, actions={"wish": action}), page="new\n")
        _refused(host, state, "step actions: wish", words, "the earlier state is back")
        _back(host, live)


def test_package_that_does_not_exist_is_named_in_apts_words(host: AgentHost, live: Look) -> None:
    """A package that cannot be installed fails its step; nothing else was touched."""
    state = with_files(replace(_LIVE, packages=("haproxy", "no-such-package")), page="new\n")
    _refused(host, state, "step packages: no-such-package", "Unable to locate package no-such-package")
    _unchanged(host, live)
    assert host.run("ls /usr/sbin/policy-rc.d 2>&1; true").endswith("No such file or directory")


def test_two_components_are_applied_at_once_and_keep_apart(host: AgentHost, live: Look) -> None:
    """Applies at the same time all succeed, one after the other."""

    def other(name: str, text: str) -> HostState:
        slow = Action(("sleep", "0.5"), inputs=(f"/etc/demo/{name}",))
        return HostState(
            host="front1", component=name, files={f"/etc/demo/{name}": File(text)}, actions={"slow": slow}
        )

    names = ("one", "two", "three")
    for text in ("a", "b"):
        runs = [host.start("python3 /usr/local/lib/habla/agent.pyz apply") for _ in names]
        for run, name in zip(runs, names, strict=True):
            assert run.stdin
            run.stdin.write(other(name, text).canonical())
            run.stdin.close()
        assert [run.wait(60) for run in runs] == [0, 0, 0]
        for run in runs:
            assert run.stdout and run.stderr
            run.stdout.close()
            run.stderr.close()
        assert host.run("cat /etc/demo/one /etc/demo/two /etc/demo/three") == text * 3
    for name in names:
        assert host.agent("delete", name).report["deleted"]
    _unchanged(host, live)


def test_lock_is_waited_for_and_given_up(host: AgentHost, live: Look) -> None:
    """Who waits too long for another run says so."""
    script = (
        "import sys; sys.path.insert(0, '/usr/local/lib/habla/agent.pyz')\n"
        "from onhost.agent import cli, places\n"
        "places.LOCK_DEADLINE = 0.3\n"
        "with places.lock(): status = cli.main(['recover'])\n"
        "sys.exit(status)\n"
    )
    done = host.send("python3 -", script)
    assert done.status == 1
    assert "step lock: /run/habla.lock: another run of the agent has held this lock" in done.stderr
    _unchanged(host, live)


def test_directory_where_a_file_must_be_is_refused(host: AgentHost, live: Look) -> None:
    """What the agent cannot replace it leaves alone, and names it."""
    host.run("mkdir -p /etc/demo/there/x")
    state = replace(_LIVE, files={**_LIVE.files, "/etc/demo/there": File("x")})
    _refused(host, with_files(state, page="new\n"), "step swap: /etc/demo/there", "move it away")
    host.run("rm -r /etc/demo/there")
    _unchanged(host, live)


def test_deletion_undoes_the_component_but_not_its_data(host: AgentHost, live: Look) -> None:
    """Units stop, files go, the distribution's come back; data stays until it is purged."""
    assert host.agent("delete", "demo").report["kept"] == ["/var/lib/demo"]
    seen = host.look((*_FILES, "/etc/demo", "/usr/local/lib/demo", "/var/lib/demo/noted"), _UNITS)
    there = {path for path, found in seen.files.items() if found}
    assert there == {HAPROXY, "/var/lib/demo/noted"}
    assert "global" in host.run(f"cat {HAPROXY}")
    assert host.run("dpkg --verify haproxy") == ""
    assert {state[1] for state in seen.units.values()} == {"inactive"}
    assert host.apply(_LIVE).status == 0
    assert host.agent("delete", "demo", "--purge").report["kept"] == []
    assert host.look(("/var/lib/demo",)).files["/var/lib/demo"] is None
    assert host.apply(_LIVE).status == 0


def test_checks_see_the_staged_and_the_live_files_together(host: AgentHost, live: Look) -> None:
    """A checker of several files gets the new one of those that change and the live one of the others."""
    both = Check(("sh", "-c", "cat $0 $1 >/tmp/seen", f"{{{PAGE}}}", f"{{{SERVER}}}"), (PAGE, SERVER))
    assert host.apply(with_files(replace(_LIVE, checks={"both": both}), page="new\n")).status == 0
    seen = host.run("cat /tmp/seen")
    assert seen.startswith("new\n") and "serve_forever" in seen


def test_checker_finds_new_files_that_a_config_names(host: AgentHost, live: Look) -> None:
    """Where a config names another file that is new too, its checker reads a copy that names that."""
    page, config = "/etc/demo/page", "/etc/demo/config"
    check = Check(("sh", "-c", 'test "$(cat $(cat $0))" = fresh', f"{{{config}}}"), (config, page))
    files = {**_LIVE.files, config: File(page), page: File("fresh")}
    state = replace(_LIVE, files=files, checks={"names": check})
    assert host.apply(state).status == 0
    assert host.run(f"cat {config}") == page
    assert host.run("ls /var/lib/habla").split().count("checked") == 0
    worse = replace(state, files={**files, page: File("stale")})
    assert "step check" in host.apply(worse).stderr
    assert host.run(f"cat {page}; ls /var/lib/habla").split().count("checked") == 0
    assert host.apply(_LIVE).status == 0
