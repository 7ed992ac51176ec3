"""Secrets, archives, full disks and users on a real host."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from dataclasses import replace

import pytest
from agent import AgentHost, Done, agent_hosts
from hosts import Lab

from habla.onhost.document import Action, Archive, Check, File, Health, HostState, Unit, secret

pytestmark = pytest.mark.lab

# Told from everything else on a host; with what SQL and environment files escape.
_POISON = "poison'Pa\"ss$w0rd"
_ROTATED = "rotated'Pa\"ss$w0rd"
_MARKS = ("poison", "rotated")
_KEY = "/etc/keys/key"
_DAEMON = """\
[Service]
ExecStart=/bin/sh -c 'cat %s; exec sleep infinity'
[Install]
WantedBy=multi-user.target
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One host with the agent; its other user may use sudo."""
    with agent_hosts(tmp_path_factory.mktemp("agent"), "front1") as lab:
        yield lab


@pytest.fixture
def host(lab: Lab) -> AgentHost:
    """The host."""
    return AgentHost(lab, "front1")


def _silent(done: Done) -> None:
    assert not [mark for mark in _MARKS if mark in done.stdout + done.stderr], done


def _keyed(**changes: object) -> HostState:
    """Files with a secret in each form, a daemon that prints it, an action that gets it on standard input."""
    text = f"{secret('db/root')}\n{secret('db/root', 'sql')}\n{secret('db/root', 'env')}\n"
    state = HostState(
        "front1",
        "keyed",
        files={
            _KEY: File(text, "0440", "root", "daemon"),
            "/etc/systemd/system/keyed.service": File(_DAEMON % _KEY),
        },
        units={"keyed.service": Unit(restart_on=(_KEY,))},
        actions={"use": Action(("sh", "-c", "cat >/root/used"), stdin=_KEY)},
    )
    return replace(state, **changes)  # type: ignore[arg-type]


def test_secrets_are_only_where_they_belong(host: AgentHost) -> None:
    """A secret reaches the file that asks for it, and neither output, journal, record nor process list."""
    missing = host.apply(_keyed())
    assert missing.status == 1 and "step secrets: db/root" in missing.stderr
    delivered = host.secrets(db_root=_POISON, other="unused secret")
    _silent(delivered)
    assert delivered.report["secrets"] == ["db/root", "other"]
    done = host.apply(_keyed())
    assert done.status == 0, done
    _silent(done)
    assert host.run(f"cat {_KEY}").splitlines() == [
        _POISON,
        _POISON.replace("'", "\\'"),
        _POISON.replace('"', '\\"').replace("$", "\\$"),
    ]
    assert host.run(f"stat -c '%a %U %G' {_KEY} /etc/habla/secrets.json /var/lib/habla").splitlines() == [
        "440 root daemon",
        "600 root root",
        "700 root root",
    ]
    # The search finds it where it is meant to be, and nowhere else.
    found = host.run(
        "grep -rl --exclude-dir=journal poison /etc /var /usr/local /opt /tmp /run 2>/dev/null; true"
    )
    assert sorted(found.split()) == ["/etc/habla/secrets.json", _KEY]
    assert "poison" not in host.run("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' ' '")


def test_rotation_reaches_what_asks_for_the_secret(host: AgentHost) -> None:
    """New secrets alone re-apply the components that use them; the same ones again do nothing."""
    assert host.secrets(db_root=_POISON).status == 0 and host.apply(_keyed()).status == 0
    pid = host.look((), ("keyed.service",)).pid("keyed.service")
    done = host.secrets(db_root=_ROTATED)
    _silent(done)
    assert (done.report["changed"], done.report["applied"]) == (True, ["keyed"])
    assert host.run(f"head -1 {_KEY}; head -1 /root/used").splitlines() == [_ROTATED] * 2
    assert host.look((), ("keyed.service",)).pid("keyed.service") != pid
    again = host.secrets(db_root=_ROTATED).report
    assert (again["changed"], again["applied"]) == (False, [])


def test_component_that_asks_for_a_secret_that_is_gone_does_not_stop_the_delivery(host: AgentHost) -> None:
    """Secrets come before the change or deletion of who used them; an old state is left alone then."""
    assert host.secrets(db_root=_POISON).status == 0 and host.apply(_keyed()).status == 0
    done = host.secrets(other="a new one")
    assert done.status == 0, done
    assert done.report["waiting"] == ["keyed"]
    assert host.agent("delete", "keyed").report["deleted"]
    assert host.secrets(db_root=_POISON).report["waiting"] == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"checks": {"c": Check(("sh", "-c", f"cat {{{_KEY}}}; exit 1"), (_KEY,))}}, "step check"),
        ({"actions": {"use": Action(("sh", "-c", "cat; exit 1"), stdin=_KEY)}}, "step actions"),
        (
            {"actions": {"use": Action(("sh", "-c", f"printf %0480d 0; cat {_KEY}; exit 1"), (_KEY,))}},
            "step actions",
        ),
        (
            {"health": {"h": Health(unit="keyed.service", port=9, address="127.0.0.1", deadline=1)}},
            "step health",
        ),
        ({"health": {"h": Health(command=("sh", "-c", f"cat {_KEY}; exit 1"), deadline=1)}}, "step health"),
    ],
    ids=["checker", "action", "long line", "daemon", "health command"],
)
def test_what_prints_a_secret_is_redacted(host: AgentHost, changes: dict[str, object], words: str) -> None:
    """A program that prints a secret and fails does not get it into the message, in no escaped form."""
    host.agent("delete", "keyed")
    assert host.secrets(db_root=_POISON).status == 0
    done = host.apply(_keyed(**changes))
    assert done.status == 1 and words in done.stderr, done
    assert "[secret]" in done.stderr, done
    _silent(done)
    assert not [part for part in ('Pa"ss', "ss$w", "0rd") if part in done.stderr]


def _tar(*members: tuple[str, bytes | str]) -> bytes:
    """A tar of files (bytes) and links (str)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _send(host: AgentHost, content: bytes, sha256: str = "") -> str:
    """Send an archive as a component does; its digest."""
    sha256 = sha256 or hashlib.sha256(content).hexdigest()
    host.send_file(f".habla-archive-{sha256}", content)
    return sha256


def _site(sha256: str, component: str = "site", path: str = "/srv/site") -> HostState:
    return HostState(host="front1", component=component, archives={path: Archive(sha256)})


def test_archive_is_switched_repaired_and_cleared_away(host: AgentHost) -> None:
    """A new archive replaces the old one in one step; what is damaged is unpacked again; nothing is left."""
    first = _send(host, _tar(("index", b"one"), ("below/file", b"x"), ("below/link", "../index")))
    assert host.apply(_site(first)).changed == {"archives": ["/srv/site"]}
    assert (
        host.run("cat /srv/site/below/link /srv/site/below/file; readlink /srv/site")
        == f"onex/srv/site.d/{first}"
    )
    second = _send(host, _tar(("index", b"two")))
    # Readers never find nothing there. The reader stops by itself after a minute, which is an error.
    look = "while [ ! -e /tmp/stop ]; do cat /srv/site/index || echo gone; echo; sleep 0.001; done"
    reader = host.start(f"(timeout 60 sh -c '{look}' || echo late) | sort -u")
    assert host.apply(_site(second)).status == 0
    host.run("touch /tmp/stop")
    assert reader.communicate(timeout=30)[0].split() == ["one", "two"]
    assert host.run("cat /srv/site/index; ls /srv/site.d") == f"two{second}"
    assert host.apply(_site(second)).changed == {}
    host.run("rm -r /srv/site.d")
    assert host.apply(_site(second)).changed == {"archives": ["/srv/site"]}
    host.run("rm /srv/site; ln -s /etc /srv/site")
    assert host.apply(_site(second)).changed == {"archives": ["/srv/site"]}
    # Another component's delivery takes nothing from this one.
    third = _send(host, _tar(("index", b"three")))
    host.run("rm -r /srv/site.d")
    assert host.apply(_site(second)).status == 0 and host.apply(_site(third, "more", "/srv/more")).status == 0
    # An archive that is dropped from a component goes with its versions; a directory beside a file does not.
    assert host.apply(HostState(host="front1", component="more", files={"/srv/plain": File("x")})).status == 0
    host.run("mkdir /srv/plain.d && touch /srv/plain.d/mine")
    assert host.apply(HostState(host="front1", component="more")).status == 0
    for component in ("site", "more"):
        assert host.agent("delete", component).report["deleted"]
    assert host.run("cd /srv && find site* more* plain* 2>/dev/null; true").split() == [
        "plain.d",
        "plain.d/mine",
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (_tar(("../outside", b"x")), "links below its root"),
        (_tar(("/outside", b"x")), "links below its root"),
        (_tar(("ok", b"x"), ("link", "/etc")), "leads out of the archive"),
        (_tar(("a/link", "../../outside")), "leads out of the archive"),
        (_tar(("a/here", "."), ("a/link", "here/../..")), "leads out of the archive"),
        (_tar(("a/../../outside", b"x")), "links below its root"),
        (b"no tar at all", "not a tar archive"),
        (_tar(("big", bytes(range(256)) * 999))[:-200], "not a tar archive"),
    ],
    ids=["above", "absolute", "link", "link above", "link by link", "hidden above", "no tar", "cut off"],
)
def test_bad_archive_is_refused_and_leaves_nothing(host: AgentHost, content: bytes, words: str) -> None:
    """An archive with anything but files below itself, or a broken one, changes nothing."""
    sha256 = _send(host, content)
    done = host.apply(_site(sha256, "bad", "/srv/bad"))
    assert done.status == 1 and "step stage" in done.stderr and words in done.stderr, done
    assert host.run("find /srv -name 'bad*' -o -name 'outside*'; ls /outside 2>/dev/null; true") == ""


def test_archive_with_another_digest_is_refused(host: AgentHost) -> None:
    """A damaged file is named and not kept; then the next run says that the archive was not delivered."""
    sha256 = _send(host, b"other", "0" * 64)
    done = host.apply(_site(sha256, "bad", "/srv/bad"))
    assert done.status == 1 and "the sha256 is" in done.stderr and "not 000" in done.stderr
    done = host.apply(_site(sha256, "bad", "/srv/bad"))
    assert done.status == 1 and "was not delivered to this host" in done.stderr
    assert host.run("ls -a | grep habla-archive; true") == ""


@pytest.mark.parametrize("full", ["/etc/small", "/var/lib/habla"])
def test_full_disk_fails_cleanly_and_loses_nothing(host: AgentHost, full: str) -> None:
    """With no space for files or for what the agent keeps, nothing changes; with space again, all is well."""

    def state(text: str) -> HostState:
        files = {f"/etc/small/{number}": File(text * 20_000) for number in range(8)}
        return HostState(host="front1", component="small", files={**files, "/etc/other": File(text)})

    host.run(
        f"mkdir -p {full} /tmp/kept; cp -a {full}/. /tmp/kept; "
        f"mount -t tmpfs -o size=1m,mode=700 tmpfs {full}; cp -a /tmp/kept/. {full}"
    )
    try:
        assert host.apply(state("a")).status == 0
        host.run(f"dd if=/dev/zero of={full}/filler bs=4k 2>/dev/null; true")
        done = host.apply(state("b"))
        assert done.status == 1 and "No space left on device" in done.stderr, done
        assert f"step {'stage: /etc/small/' if full == '/etc/small' else ''}" in done.stderr
        assert "front1: step" in done.stderr and "nothing was changed" in done.stderr
        assert host.run("cat /etc/small/[0-7] /etc/other | tr -d '\\n' | sha256sum").split()[0] == (
            hashlib.sha256(b"a" * 160_001).hexdigest()
        )
        assert host.look().left == []
        host.run(f"rm {full}/filler")
        assert host.apply(state("b")).status == 0
        assert host.apply(state("b")).changed == {}
    finally:
        host.agent("delete", "small")
        host.run(f"cp -a {full}/. /tmp/kept; umount {full}; cp -a /tmp/kept/. {full}; rm -rf /tmp/kept")


def test_user_with_sudo_does_all_this_and_one_without_is_told(lab: Lab) -> None:
    """As another user than root everything goes through ``sudo -n``, which is checked first."""
    operator = AgentHost(lab, "front1", "operator")
    operator.install()
    state = HostState(host="front1", component="sudoed", files={"/etc/sudoed": File("x")})
    assert operator.apply(state).changed == {"files": ["/etc/sudoed"]}
    assert operator.run("stat -c %U /etc/sudoed") == "root"
    root = AgentHost(lab, "front1")
    root.run("mv /etc/sudoers.d /etc/sudoers.away")
    try:
        done = operator.apply(state)
    finally:
        root.run("mv /etc/sudoers.away /etc/sudoers.d")
    assert done.status == 1
    assert "habla: front1: operator may not use sudo without a password" in done.stderr
    assert operator.agent("delete", "sudoed").report["deleted"]


def test_agent_is_gone_when_its_components_are(host: AgentHost) -> None:
    """Uninstalling is refused while a component is there; afterwards no unit and no secret is left."""
    host.agent("delete", "keyed")
    assert host.apply(HostState(host="front1", component="last", files={"/etc/last": File("x")})).status == 0
    done = host.agent("uninstall")
    assert done.status == 1 and "step uninstall: last" in done.stderr
    assert host.agent("delete", "last").status == 0
    assert host.agent("uninstall").report == {"uninstalled": True}
    left = host.run("find /etc /usr/local /var/lib -name '*habla*'; true")
    assert left == ""
