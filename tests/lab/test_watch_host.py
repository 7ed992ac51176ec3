"""The watcher on a real host: somebody hears before a partition is full, and when it is well again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest
from agent import AgentHost
from hosts import REPOSITORY, SUPPORT, Lab, wait_for

from habla.hosts.watch import Watch
from habla.model.disk import AlertsSpec, SmtpSpec
from habla.model.site import Site
from habla.plan.component import plan_component

pytestmark = pytest.mark.lab

_SITE = Site("a1", IPv4Address("192.168.2.100"))
_SPEC = AlertsSpec(to=("ops@hab.la",), smtp=SmtpSpec(host="127.0.0.1", port=2525), every_seconds=5)
_WATCH = Watch(_SPEC, "lab", partitions=("/", "/var/log"), exempt=("/var/log/btmp", "/var/log/wtmp"))
# A mail server on the host, which writes what it takes to a file.
_SINK = """\
import json, sys
sys.path.insert(0, "/root")
from smtp_sink import Sink
class Kept(list):
    def append(self, letter):
        with open("/root/letters", "a") as file:
            file.write(json.dumps([letter["Subject"], letter.get_content()]) + "\\n")
sink = Sink(port=2525)
sink.letters = Kept()
sink.serve_forever()
"""
# Five MiB a second, 110 in all; then it keeps the file open until the test ends it.
_WRITER = """\
import time
from pace import Pace
log = open("/var/log/runaway.log", "ab", 0)
for number in Pace(rate=5, most=110):
    log.write(b"x" * (1 << 20))
time.sleep(600)
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentHost]:
    """A host with two partitions, a mail server and the watcher."""
    lab = Lab(tmp_path_factory.mktemp("watch") / "lab")
    try:
        lab.create("logrotate")
        lab.host("a1", partitions={"/": "1G", "/var/log": "128M"})
        found = AgentHost(lab, "a1")
        found.install()
        sink = (REPOSITORY / "tests" / "unit" / "smtp_sink.py").read_text()
        found.run("cat >/root/smtp_sink.py", sink)
        found.run("cat >/root/sink.py", _SINK)
        found.run("cat >/root/writer.py", _WRITER)
        found.run("cat >/root/pace.py", (SUPPORT / "pace.py").read_text())
        found.run("systemd-run --quiet --unit=sink python3 /root/sink.py")
        found.run("ln -sf /usr/share/zoneinfo/Asia/Kolkata /etc/localtime")
        assert found.apply(plan_component("watch", _SITE, services=[_WATCH]).state).status == 0
        yield found
    finally:
        lab.ask("lab-delete")


def _next_run(host: AgentHost) -> None:
    """Wait until a run has ended."""
    before = host.run("cat /run/habla-watch/alive")
    wait_for(lambda: host.run("cat /run/habla-watch/alive") != before, 15, "the end of a run")


def _letters(host: AgentHost) -> list[tuple[str, str]]:
    """Subjects and texts of the mail that was taken."""
    text = host.run("cat /root/letters 2>/dev/null || true")
    return [(subject, body.replace("\r\n", "\n")) for subject, body in map(json.loads, text.splitlines())]


def _count(host: AgentHost, words: str) -> int:
    """How many mails have these words in their subject."""
    return sum(words in subject for subject, _ in _letters(host))


def _heard(host: AgentHost, words: str, seconds: float) -> str:
    """Wait for a mail whose subject has these words; its text."""

    def found() -> str:
        return next((body for subject, body in _letters(host) if words in subject), "")

    return str(wait_for(found, seconds, words))


def test_a_host_that_is_well_tells_nothing(host: AgentHost) -> None:
    """Runs end well, show that they were there, and write nothing to the journal."""
    _next_run(host)
    assert host.run("/usr/local/lib/habla/watch --logs >/dev/null; echo $?") == "0"
    assert host.run("journalctl --quiet --unit habla-watch") == ""
    assert _letters(host) == []


def test_a_run_that_is_ended_is_no_failure(host: AgentHost) -> None:
    """A deployment restarts the watcher, perhaps in the middle of a run, and a shutdown ends it."""
    end = "systemctl --no-block start habla-watch && systemctl stop habla-watch; "
    end += "systemctl show --property=ExecMainStatus,Result habla-watch"
    # A run may be over, or not have begun, when it is ended.
    killed = "ExecMainStatus=15"
    lines = wait_for(lambda: killed in (seen := host.run(end).split()) and seen, 30, "a run that was ended")
    assert set(lines) == {killed, "Result=success"}
    assert host.run("journalctl --quiet --unit habla-watch --grep Failed || true") == ""


def test_a_log_that_fills_its_partition_is_told_within_a_minute(host: AgentHost) -> None:
    """With its name, who writes it, that no rule bounds it; and once more when it is gone, then no more.

    The times are those of the host, and the last mail says how long it lasted.
    """
    host.run("systemd-run --quiet --unit=writer python3 /root/writer.py")
    body = _heard(host, "/var/log", 60)
    for words in ("a1 (lab): /var/log", "free", "It grows by", "/var/log/runaway.log", "writer.service"):
        assert words in body
    assert "no rule of logrotate rotates it" in body
    assert host.run("/usr/local/lib/habla/watch --logs >/root/logs; echo $?") == "1"
    logs = json.loads(host.run("cat /root/logs"))["uncovered"]
    assert [(log["path"], log["open_by"][0]["unit"]) for log in logs] == [
        ("/var/log/runaway.log", "writer.service")
    ]
    _heard(host, "(critical)", 30)
    host.run("systemctl stop writer; rm /var/log/runaway.log")
    over = _heard(host, "recovered", 30)
    for text in (body, over):
        assert re.search(
            r"^Time of this message: 20\d\d-\d\d-\d\d \d\d:\d\d IST \(UTC\+05:30\)\.$", text, re.M
        )
    assert re.search(r"^(Since|Critical since) (yesterday )?\d\d:\d\d, (just now|\d+ s)", body, re.M), body
    times = r"from (yesterday )?\d\d:\d\d to \d\d:\d\d; its worst level was critical\.$"
    assert re.search(r"^It lasted (\d+ s|\d+ min), " + times, over, re.M), over
    labels = [subject.rsplit("(", 1)[1] for subject, _ in _letters(host)]
    assert labels in (["warning)", "critical)", "recovered)"], ["critical)", "recovered)"])


def test_full_disks_and_a_dead_mail_server_lose_nothing(host: AgentHost) -> None:
    """Both partitions are full to the last byte; who is told hears it once the server is back."""
    host.run("systemctl stop sink; rm -f /root/letters")
    host.run("for place in /var/log /root; do cat /dev/zero >$place/fill 2>/dev/null || true; done")
    said = "journalctl --quiet --unit habla-watch --grep 'cannot tell' | wc -l"
    wait_for(lambda: host.run(said) == "1", 30)
    _next_run(host)
    # Only the mail server's own file needs room.
    host.run("truncate --size=-1M /root/fill; systemd-run --quiet --unit=sink python3 /root/sink.py")
    wait_for(lambda: _count(host, "full (critical)") == 2, 30, "both partitions")
    assert host.run(said) == "1"
    host.run("rm /var/log/fill /root/fill")
    wait_for(lambda: _count(host, "full (recovered)") == 2, 30, "both recoveries")


def test_a_power_cut_in_between_tells_it_only_once(host: AgentHost) -> None:
    """What was told is on disk; what is over after the boot is told as over."""
    host.run("rm -f /root/letters; fallocate -l 98M /var/log/held")
    # The journal grows with a boot; that must not make it critical.
    _heard(host, "full (warning)", 30)
    # A cut between the mail and the end of that run would tell it twice, rather than never.
    _next_run(host)
    host.lab.ask("host-kill", "a1")
    host.lab.ask("host-start", "a1")
    host.run("systemd-run --quiet --unit=sink python3 /root/sink.py")
    wait_for(lambda: host.send("test -s /run/habla-watch/alive").status == 0, 40)
    assert [subject.split()[-1] for subject, _ in _letters(host)] == ["(warning)"]
    host.run("rm /var/log/held")
    _heard(host, "recovered", 30)
    assert len(_letters(host)) == 2


def test_nothing_of_it_is_left_when_it_is_deleted(host: AgentHost) -> None:
    """Not its timer, not its program, not its settings."""
    assert host.agent("delete", "watch").status == 0
    left = host.run("ls /usr/local/lib/habla /etc/habla 2>/dev/null; systemctl list-timers --all --no-legend")
    assert "watch" not in left
