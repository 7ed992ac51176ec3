"""When somebody is told, and when not: looks and the state before in, notices out."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from habla.onhost.watch import events, peers
from habla.onhost.watch.events import Condition
from habla.onhost.watch.logs import Uncovered
from habla.onhost.watch.partitions import Partition
from habla.onhost.watch.settings import Peer, Settings
from habla.onhost.watch.trend import Trend

SETTINGS = Settings("stable1", "lab", partitions=("/", "/var/log"))
PEERS = (
    Peer("stable2", "192.0.2.2"),
    Peer("monitor1", url="http://192.0.2.3/habla-alive", silent_seconds=600),
)


class Story:
    """A run of looks at one partition; ``told`` are the labels of what each look told."""

    def __init__(self) -> None:
        self.events: dict[str, Any] = {}
        self.now = 1000.0

    def look(self, conditions: dict[str, Condition], taken: bool = True, after: float = 20) -> list[str]:
        """One look; the subjects of what was due."""
        self.now += after
        self.events = events.advance(self.events, conditions, self.now)
        due = events.due(self.events)
        for notice in due if taken else []:
            self.events = events.mark(self.events, notice, self.now)
        return [notice.subject for notice in due]

    def use(self, percent: float, taken: bool = True, after: float = 20) -> list[str]:
        """A look that finds so much of /var/log used."""
        return self.look(of(percent, self.events), taken, after)


def of(
    percent: float, told: dict[str, Any], inodes: int = 0, trend: Trend | None = None
) -> dict[str, Condition]:
    """The conditions of /var/log."""
    used = round(percent * 10)
    partition = Partition("/var/log", 1000, used, 1000 - used, 100, inodes)
    return events.of_partition(partition, SETTINGS, told, trend)


def test_each_level_is_told_once_and_so_is_the_end() -> None:
    """Begin, worse, over; nothing in between."""
    story = Story()
    assert [story.use(percent) for percent in (50, 79, 80, 85, 85, 90, 99, 100, 95)] == [
        [],
        [],
        ["/var/log 80 % full (warning)"],
        [],
        [],
        ["/var/log 90 % full (critical)"],
        [],
        [],
        [],
    ]
    assert story.use(40) == ["/var/log 40 % full (recovered)"]
    assert story.use(40) == []
    assert story.events == {}


def test_use_that_swings_by_a_point_is_one_event() -> None:
    """A level holds until use is two points below it."""
    story = Story()
    assert [len(story.use(percent)) for percent in (80, 79, 80, 78.1, 81, 79, 77.9)] == [1, 0, 0, 0, 0, 0, 1]


def test_critical_again_is_told_again_after_an_hour_only() -> None:
    """It went down to a warning; whoever was told an hour ago must hear that it is critical again."""
    story = Story()
    story.use(91)
    assert (story.use(85), story.use(91)) == ([], [])
    assert story.use(85, after=3700) == []
    assert story.use(91) == ["/var/log 91 % full (critical)"]


def test_what_was_not_taken_stays_due() -> None:
    """A dead mail server delays, and loses nothing."""
    story = Story()
    assert story.use(85, taken=False) == story.use(85, taken=False) == ["/var/log 85 % full (warning)"]
    assert story.use(92, taken=False) == ["/var/log 92 % full (critical)"]
    assert story.use(92) == ["/var/log 92 % full (critical)"]
    assert story.use(92) == []


def test_what_began_and_ended_untold_is_told_in_one() -> None:
    """Somebody hears that it was critical although it is over."""
    story = Story()
    story.use(95, taken=False)
    assert story.use(20, taken=False) == ["/var/log 20 % full (was critical, recovered)"]
    assert story.use(20) == ["/var/log 20 % full (was critical, recovered)"]
    assert story.events == {}


def test_what_came_back_before_its_end_was_told_is_told_anew() -> None:
    """And the new message says what it had been."""
    story = Story()
    story.use(95)
    story.use(20, taken=False)
    assert story.use(85) == ["/var/log 85 % full (warning)"]
    earlier = story.events["space /var/log"]["earlier"]
    assert earlier == {"worst": "critical", "since": 1020.0, "ended": 1040.0}


def test_inodes_have_the_same_levels() -> None:
    """A partition can be full of names while it has space."""
    story = Story()
    assert story.look(of(10, {}, inodes=81)) == ["/var/log 81 % of inodes used (warning)"]


def test_a_trend_is_told_while_there_is_space_and_ends_when_it_stays_away() -> None:
    """Soon full is a warning; a trend that flickers is one event."""
    story, soon = Story(), Trend(1000.0, 3600.0)
    assert story.look(of(30, story.events, trend=soon)) == ["/var/log full in 60 minutes (warning)"]
    assert story.look(of(30, story.events)) == []
    assert story.look(of(30, story.events, trend=soon)) == []
    assert story.look(of(30, story.events)) == []
    assert story.look(of(30, story.events), after=901) == [
        "/var/log no longer on its way to full (recovered)"
    ]


def test_a_trend_is_not_told_of_a_partition_that_is_nearly_full() -> None:
    """Its use was told already."""
    story = Story()
    assert story.look(of(85, {}, trend=Trend(1.0, 60.0))) == ["/var/log 85 % full (warning)"]


def test_a_partition_that_is_not_mounted_is_critical() -> None:
    """What belongs there goes elsewhere."""
    story = Story()
    assert story.look(events.of_missing(SETTINGS, ["/"])) == ["/var/log not mounted (critical)"]
    assert story.look(events.of_missing(SETTINGS, ["/", "/var/log"])) == ["/var/log mounted (recovered)"]


def test_logs_are_one_event_and_a_new_one_is_told() -> None:
    """Two files are one message; a third is a second message; none is the end."""
    story = Story()

    def logs(*paths: str) -> dict[str, Condition]:
        found = [Uncovered(path, 1, "/", "no rule", "") for path in paths]
        return {"logs": events.of_logs(found, {})}

    assert story.look(logs("/a", "/b")) == ["no size bounds /a and 1 more (warning)"]
    assert story.look(logs("/a", "/b")) == story.look(logs("/b")) == []
    assert story.look(logs("/b", "/c")) == ["no size bounds /b and 1 more (warning)"]
    assert story.look(logs()) == ["every log has a rule by size (recovered)"]


def peer_story(answers: list[tuple[float, str, str]]) -> list[str]:
    """Subjects of what was told of stable2: (seconds after the last, sign of life, why there is none)."""
    story, known, told = Story(), {}, []
    for after, value, why in answers:
        known = peers.advance(known, {"stable2": (value, why)}, story.now + after)
        told += story.look(peers.conditions(PEERS, known), after=after)
    return told


def test_a_host_that_does_not_answer_is_told_after_its_time() -> None:
    """Three minutes without an answer, then one again."""
    down = [(30.0, "", "Timeout")] * 5
    assert peer_story([(30, "1", ""), *down]) == []
    assert peer_story([(30, "1", ""), *down, (30, "", "Timeout"), (30, "2", "")]) == [
        "host stable2 does not answer (critical)",
        "stable2 is well (recovered)",
    ]


def test_a_watcher_that_is_silent_is_told_of_while_its_host_answers() -> None:
    """The same sign of life again and again is none."""
    assert peer_story([(60, "7", "")] * 5) == ["watcher on stable2 is silent (critical)"]


def test_an_asker_that_slept_does_not_call_others_dead() -> None:
    """What it knows is from before its own boot; then it waits as long as ever."""
    assert peer_story([(30, "1", ""), (9000, "", "Timeout"), (100, "", "Timeout")]) == []
    assert len(peer_story([(30, "1", ""), (9000, "", "Timeout"), *[(100.0, "", "Timeout")] * 2])) == 1


def test_a_monitor_is_dead_when_its_page_stops_changing() -> None:
    """A guard asks for a page."""
    known: dict[str, Any] = {}
    for second in range(0, 700, 100):
        known = peers.advance(known, {"monitor1": ("5", "")}, 1000.0 + second)
    condition = peers.conditions(PEERS, known)["peer monitor1"]
    assert (condition.level, condition.headline) == ("critical", "the monitor monitor1 is dead")


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=60))
def test_whoever_reads_the_messages_knows_how_it_stands(looks: list[tuple[float, bool]]) -> None:
    """Once all was taken, nothing is due, and the last label told is the level that there is."""
    story, last = Story(), ""
    for percent, taken in [*looks, (looks[-1][0] if looks else 0.0, True)]:
        told = story.use(percent, taken)
        if told and taken:
            last = told[-1].rsplit("(", 1)[1].rstrip(")")
    level = story.events.get("space /var/log", {"level": ""})["level"]
    assert events.due(story.events) == []
    assert ("" if "recovered" in last else last) in (level, "critical" if level == "warning" else level)


@given(st.lists(st.floats(0, 100), max_size=80))
def test_never_twice_the_same_without_an_end_between(looks: list[float]) -> None:
    """Per event at most one warning and one critical within an hour."""
    story, told = Story(), []
    for percent in looks:
        told += [subject.rsplit("(", 1)[1] for subject in story.use(percent)]
    for first, second in pairwise(told):
        assert first != second
