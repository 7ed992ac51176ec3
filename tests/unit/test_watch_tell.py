"""What reaches somebody: mail that a server takes, or a command; and what is kept when it does not."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from smtp_sink import Sink

from habla.onhost.watch import look, message, old_processes, partitions, rules, tell
from habla.onhost.watch.events import Notice
from habla.onhost.watch.growth import Growth
from habla.onhost.watch.logs import Uncovered
from habla.onhost.watch.openfiles import Opener
from habla.onhost.watch.partitions import Partition
from habla.onhost.watch.settings import Mail, Settings
from habla.onhost.watch.state import Places
from habla.onhost.watch.tell import Message

MIB = 1 << 20
LETTER = Message("[habla lab] a1: /x 91 % full (critical)", "a1 is full.\n.\nLong: " + "/x" * 200 + "\n")
RECORD: dict[str, Any] = {
    "level": "critical",
    "kind": "space",
    "point": "/var/log",
    "headline": "/var/log 91 % full",
    "since": 1764000000.0,
    "ended": 0.0,
    "told": "",
    "worst": "critical",
    "earlier": "",
    "current": [],
    "items": [],
}


def by_mail(port: int, **more: Any) -> Settings:
    """A watcher that sends mail to a port of loopback."""
    return Settings("a1", "lab", mail=Mail(("ops@hab.la", "b@hab.la"), "habla@a1", "127.0.0.1", port, **more))


def test_a_letter_is_whole() -> None:
    """Subject, text, date and number arrive as they were written, in lines as they are."""
    with Sink() as sink:
        assert tell.tell(by_mail(sink.port), [LETTER, LETTER]) == ([True, True], "")
    letter = sink.letters[0]
    assert letter["Subject"] == LETTER.subject
    assert letter["To"] == "ops@hab.la, b@hab.la"
    assert letter["Date"] and letter["Auto-Submitted"] == "auto-generated"
    assert letter["Message-ID"] != sink.letters[1]["Message-ID"]
    assert letter.get_content().replace("\r\n", "\n") == LETTER.text
    assert letter["Content-Transfer-Encoding"] == "7bit"


def test_names_that_are_no_utf8_and_newlines_in_them_are_survived() -> None:
    """A file may be called anything; a subject has one line."""
    with Sink() as sink:
        odd = os.fsdecode(b"/x/\xff\nBcc: evil@example.net")
        assert tell.tell(by_mail(sink.port), [Message(odd, odd + " ü")]) == ([True], "")
    assert sink.letters[0]["Subject"] == "/x/\\udcff?Bcc: evil@example.net"
    assert sink.letters[0]["Bcc"] is None


def test_one_refused_recipient_does_not_keep_the_other_from_hearing() -> None:
    """It is told, and the refusal is said; when all are refused, it is not."""
    with Sink() as sink:
        sink.refuse = {"ops@hab.la": "550 no such user"}
        assert tell.tell(by_mail(sink.port), [LETTER]) == ([True], "127.0.0.1 refuses ops@hab.la")
        sink.refuse["b@hab.la"] = "451 later"
        taken, fault = tell.tell(by_mail(sink.port), [LETTER])
        assert (taken, len(sink.letters)) == ([False], 1)
        assert "no such user" in fault


def test_a_server_that_is_not_there_takes_nothing() -> None:
    """And it is said which."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    taken, fault = tell.tell(by_mail(port), [LETTER])
    assert taken == [False]
    assert fault.startswith(f"127.0.0.1:{port}: ")


def test_a_password_is_sent_encrypted_to_a_server_that_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """STARTTLS, and a certificate that this host trusts; to any other server nothing is sent."""
    both = tmp_path / "both.pem"
    names = "subjectAltName=IP:127.0.0.1"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=sink"]
    command += ["-addext", names, "-keyout", str(both), "-out", str(tmp_path / "cert.pem")]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", both)
    (tmp_path / "password").write_text('pa"ss\\ word\n')
    with Sink(context) as sink:
        login = {"starttls": True, "user": "habla", "password_file": str(tmp_path / "password")}
        taken, fault = tell.tell(by_mail(sink.port, **login), [LETTER])
        assert (taken, sink.logins) == ([False], [])
        assert "certificate" in fault
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        assert tell.tell(by_mail(sink.port, **login), [LETTER]) == ([True], "")
        assert sink.logins == [("habla", 'pa"ss\\ word')]


def command(*words: str) -> Settings:
    """A watcher that runs a command."""
    return Settings("a1", "lab", command=words)


def test_a_command_gets_the_subject_as_its_last_word_and_the_text(tmp_path: Path) -> None:
    """In one argument, whatever is in it."""
    script = f'printf "%s|" "$@" >{tmp_path}/words; cat >{tmp_path}/text'
    assert tell.tell(command("sh", "-c", script, "sh", "first"), [LETTER]) == ([True], "")
    assert (tmp_path / "words").read_text() == f"first|{LETTER.subject}|"
    assert (tmp_path / "text").read_text() == LETTER.text


def test_a_command_that_fails_told_nobody() -> None:
    """Its exit status counts; so does that it is there."""
    assert tell.tell(command("sh", "-c", "exit 3"), [LETTER]) == ([False], "sh ends with 3")
    assert tell.tell(command("/nowhere"), [LETTER]) == ([False], "/nowhere: No such file or directory")


def test_a_command_that_hangs_is_ended_with_what_it_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not hold the watcher, and is not tried for each message."""
    monkeypatch.setattr(tell, "COMMAND_SECONDS", 0.5)
    started = time.monotonic()
    taken, fault = tell.tell(command("sh", "-c", "sleep 60 & sleep 60"), [LETTER, LETTER])
    assert taken == [False, False]
    assert "did not end" in fault
    assert time.monotonic() - started < 5


def test_a_message_has_all_that_one_must_know() -> None:
    """Where, how full, how fast, who, and what to do."""
    partition = Partition("/var/log", 100 * MIB, 91 * MIB, 9 * MIB, 1000, 20)
    log = Uncovered("/var/log/x", MIB, "/var/log", "no rule", "no rule of logrotate rotates it")
    who = Opener(7, "rpc", "habla-rpc.service")
    context = message.Context(
        [partition],
        {"/var/log": 3.0 * MIB},
        {"/var/log": [Growth("/var/log/x", MIB, 2.0 * MIB, str(who))]},
        [replace(log, openers=(who,)), replace(log, path="/srv/y", partition="/")],
    )
    settings = Settings("stable1", "lab")
    written = message.write(settings, Notice("space /var/log", RECORD, "critical"), context, RECORD["since"])
    assert written.subject == "[habla lab] stable1: /var/log 91 % full (critical)"
    for words in (
        "91.0 % of 100.0 MiB used, 9437184 bytes (9.0 MiB) free",
        "Inodes: 2.0 % used, 980 free",
        "It grows by 3.0 MiB a minute: full in 3 minutes",
        "/var/log/x: 2.0 MiB/min, 1.0 MiB (rpc, pid 7, habla-rpc.service)",
        "no rule of logrotate rotates it; open by rpc, pid 7, habla-rpc.service",
        "docs/disk.md",
    ):
        assert words in written.text
    assert "/srv/y" not in written.text


def test_a_message_of_logs_lists_those_that_it_is_about() -> None:
    """Not one that was seen for the first time just now."""
    logs = [Uncovered(path, MIB, "/", "no rule", "no rule of logrotate") for path in ("/old", "/new")]
    record = {**RECORD, "kind": "logs", "point": "", "level": "warning", "current": ["/old"]}
    context = message.Context(uncovered=logs)
    written = message.write(Settings("a1", "lab"), Notice("logs", record, "warning"), context, 0.0)
    assert "/old: 1.0 MiB" in written.text
    assert "/new" not in written.text


class Host:
    """A host of one partition, whose use a test sets, and whose logs are all bounded."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.percent = 10
        self.now = 1e9
        self.places = Places(tmp_path / "run", tmp_path / "lib")
        for place in (self.places.memory, self.places.disk):
            place.mkdir()
        monkeypatch.setattr(partitions, "read", lambda _: ([self.partition()], []))
        monkeypatch.setattr(rules, "ask", lambda *_: rules.Rules([rules.Rule(("/x",), "1 bytes", 1)]))

    def partition(self) -> Partition:
        return Partition("/", 100, self.percent, 100 - self.percent)

    def run(self, settings: Settings) -> look.Report:
        """The next look, twenty seconds later."""
        self.now += 20
        return look.run(replace(settings, directories=(), data=("/",)), self.places, self.now)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """The host of a test."""
    return Host(tmp_path, monkeypatch)


def test_what_a_dead_server_did_not_take_is_told_when_it_is_back(host: Host) -> None:
    """Each run tries again, and says so once; then it is told once."""
    with Sink() as sink:
        settings = by_mail(sink.port)
    host.percent = 95
    assert "cannot tell" in host.run(settings).said[0]
    assert host.run(settings) == look.Report()
    with Sink() as sink:
        settings = by_mail(sink.port)
        assert host.run(settings).said == ["[habla lab] a1: / 95 % full (critical)"]
        assert host.run(settings).said == []
        host.percent = 30
        assert host.run(settings).said == ["[habla lab] a1: / 30 % full (recovered)"]
    assert [str(letter["Subject"]).rsplit("(", 1)[1] for letter in sink.letters] == [
        "critical)",
        "recovered)",
    ]


def test_a_clock_that_is_set_back_is_said_and_the_recovery_has_its_true_time(host: Host) -> None:
    """Set back by an hour after a minute of a full partition."""
    host.percent = 95
    with Sink() as sink:
        settings = by_mail(sink.port)
        for _ in range(4):
            host.run(settings)
        host.now -= 3620
        host.percent = 30
        assert host.run(settings).said[0].startswith("the clock was set back by 1 h: ")
    assert "It lasted 60 s, from " in sink.letters[-1].get_content()


def test_too_many_old_processes_of_haproxy_are_told_once_and_so_is_the_end(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text names the page about them. While they cannot be counted, nothing begins or ends."""
    count = 0

    def running(instance: str) -> list[old_processes.Process]:
        if count < 0:
            raise OSError(f"{instance}: no answer")
        # The last one is the present process.
        return [old_processes.Process(number, 1, number) for number in range(count + 1)]

    monkeypatch.setattr(old_processes, "running", running)
    with Sink() as sink:
        settings = replace(by_mail(sink.port), old_processes={"jabber": 4})
        assert host.run(settings) == look.Report()
        count = 4
        assert host.run(settings) == look.Report()
        count = 5
        assert host.run(settings).said == ["[habla lab] a1: haproxy@jabber has 5 old processes (warning)"]
        count = 6
        assert host.run(settings) == look.Report()
        count = -1
        assert host.run(settings) == look.Report(faults=["jabber: no answer"])
        count = 1
        assert host.run(settings).said == ["[habla lab] a1: haproxy@jabber has 1 old process (recovered)"]
    text = sink.letters[0].get_content()
    assert "What to do: Each stays until its clients have gone" in text
    assert text.replace("\r\n", "\n").endswith("docs/haproxy.md of habla explains more.\n")


def test_a_boot_in_between_does_not_tell_it_again(host: Host) -> None:
    """What is in memory is gone then; the copy on disk is read."""
    host.percent = 95
    with Sink() as sink:
        assert len(host.run(by_mail(sink.port)).said) == 1
        (host.places.memory / "state.json").unlink()
        assert host.run(by_mail(sink.port)).said == []


def test_a_state_that_cannot_be_read_is_said_and_begun_anew(host: Host) -> None:
    """A power cut may leave anything."""
    for text in ("{", "[]", '{"format": 99}', '{"format": 1}'):
        for place in (host.places.memory, host.places.disk):
            (place / "state.json").write_text(text)
        assert "starting anew" in host.run(Settings("a1", "lab")).said[0]
        assert json.loads((host.places.memory / "state.json").read_text())["format"] == 1


def test_each_run_leaves_a_sign_of_life_that_others_can_read(host: Host) -> None:
    """It changes with each run; snmpd is not root."""
    signs = set()
    for _ in range(3):
        host.run(Settings("a1", "lab"))
        signs.add((host.places.memory / "alive").read_text())
    assert len(signs) == 3
    assert (host.places.memory / "alive").stat().st_mode & 0o777 == 0o644
    assert (host.places.memory / "state.json").stat().st_mode & 0o777 == 0o600


def test_a_full_disk_does_not_stop_it(tmp_path: Path) -> None:
    """The state in memory is enough; no half of a file is left on disk, and the older copy stays whole."""
    script = (
        "import json, os, sys\nfrom pathlib import Path\n"
        "from habla.onhost.watch.state import Places, empty\n"
        "disk, memory = Path(sys.argv[1]), Path(sys.argv[2])\n"
        "places = Places(memory, disk)\n"
        "assert places.save(empty(), 1.0, True) == ''\n"
        "os.sync(); (disk / 'fill').touch()\n"
        "try:\n    (disk / 'fill').write_bytes(b'x' * (1 << 20))\nexcept OSError:\n    pass\n"
        "state = {**empty(), 'logs': {'x': 'y' * 100000}}\n"
        "assert places.save(state, 2.0, True) == '', 'memory is enough'\n"
        "assert json.loads((disk / 'state.json').read_text())['logs'] == {}\n"
        "assert sorted(p.name for p in disk.iterdir()) == ['fill', 'state.json']\n"
        "places = Places(disk / 'none', disk)\n"
        "assert 'No space left' in places.save(state, 3.0, True)\n"
    )
    disk, memory = tmp_path / "disk", tmp_path / "memory"
    disk.mkdir()
    memory.mkdir()
    inside = f'mount -t tmpfs -o size=64k tmpfs {disk} && exec "$@"'
    apart = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", inside, "sh"]
    done = subprocess.run(
        [*apart, sys.executable, "-c", script, str(disk), str(memory)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == 0, done.stderr
