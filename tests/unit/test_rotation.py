"""Rotation rules and the bound on what logs take."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from habla.hosts.budget import budget_faults, budgets, size_text
from habla.hosts.rotation import Bound, bounds, rotation_rules, timer_text, worst_case
from habla.model.disk import LogRuleSpec, LogsSpec, PartitionSpec
from habla.model.service import Log

MINUTE = LogsSpec(check_seconds=60, rate="600k")
K, M = 1 << 10, 1 << 20


def test_a_log_is_copied_and_truncated_where_its_daemon_cannot_reopen_it() -> None:
    """Nothing of a daemon that keeps its file open is lost but what it writes during the copy."""
    text = rotation_rules([Log("/var/log/a.log", rule="a")], MINUTE)["/etc/logrotate.d/a"].text
    assert "    copytruncate\n" in text


def test_a_daemon_that_can_reopen_its_log_is_told_to() -> None:
    """Then nothing is copied, and a new file has the owner and mode that it needs."""
    log = Log("/var/log/a.log", rule="a", reopen="systemctl kill -s USR1 a", create="0640 www-data adm")
    text = rotation_rules([log], MINUTE)["/etc/logrotate.d/a"].text
    assert "copytruncate" not in text
    assert "    create 0640 www-data adm\n" in text
    assert "    postrotate\n        systemctl kill -s USR1 a\n    endscript\n" in text


def test_the_stack_changes_a_rule_by_its_name() -> None:
    """What is not given stays as the service says."""
    spec = LogsSpec(rules={"a": LogRuleSpec(size="5M")})
    text = rotation_rules([Log("/var/log/a.log", keep=7, rule="a")], spec)["/etc/logrotate.d/a"].text
    assert "    size 5M\n    rotate 7\n" in text


def test_the_bound_counts_old_files_the_copy_and_what_comes_between_two_checks() -> None:
    """3 old ones, the live one and its copy; each 1 MiB and 75 s of 600 KiB a minute."""
    log = Log("/var/log/a.log", size="1M", keep=3, rule="a")
    assert worst_case(log, MINUTE) == 5 * (1 * M + 750 * K)


def test_a_glob_counts_for_each_of_its_files() -> None:
    """Ten programs that log beside each other need ten times the room."""
    one, ten = (Log("/var/log/a/*.log", rule="a", files=files) for files in (1, 10))
    assert worst_case(ten, MINUTE) == 10 * worst_case(one, MINUTE)


@given(
    st.integers(1, 100), st.integers(1, 20), st.integers(10, 1800), st.integers(1, 500), st.integers(1, 500)
)
def test_a_log_that_grows_faster_never_takes_less(
    size: int, keep: int, seconds: int, rate: int, more: int
) -> None:
    """The bound rises with the rate, and is never below what the old files alone take."""
    log = Log("/var/log/a.log", size=f"{size}k", keep=keep, rule="a")
    slow = worst_case(log, LogsSpec(check_seconds=seconds, rate=f"{rate}k"))
    fast = worst_case(log, LogsSpec(check_seconds=seconds, rate=f"{rate + more}k"))
    assert (keep + 1) * size * K < slow < fast


def test_the_journal_has_its_share() -> None:
    """Its limit, and the file that is begun before the oldest goes."""
    assert Bound("journald", "/var/log/journal", bytes=72 * M) in bounds([], LogsSpec(journal="64M"))


def test_a_log_counts_for_the_partition_that_holds_it() -> None:
    """The longest mount point of its path, as the kernel has it."""
    partitions = {"/": PartitionSpec(size="4G", reserved="1G"), "/var/log": PartitionSpec(size="1G")}
    logs = [
        Bound("a", "/var/log/a.log", bytes=1),
        Bound("b", "/srv/b.log", bytes=2),
        Bound("c", "/var/logs/c", bytes=4),
    ]
    root, log = budgets(partitions, logs, warning=80)
    assert (root.logs, log.logs) == (6, 1)


def test_logs_that_can_fill_their_partition_are_a_fault_that_names_the_largest() -> None:
    """What the partition has, what may come, and what to change."""
    partitions = {"/var/log": PartitionSpec(size="100M")}
    found = budgets(
        partitions,
        [Bound("big", "/var/log/big.log", bytes=90 * M), Bound("s", "/var/log/s", bytes=M)],
        warning=80,
    )
    (fault,) = budget_faults("stable1", partitions, all_of=found)
    assert fault.path == "hosts.stable1.partitions./var/log"
    assert "big 90 MiB (/var/log/big.log)" in fault.rule
    assert "91 MiB" in fault.rule and "allows 72 MiB" in fault.rule


def test_a_partition_of_more_than_logs_must_say_what_else_it_holds() -> None:
    """Without that nobody knows what is left for logs."""
    partitions = {"/": PartitionSpec(size="4G")}
    (fault,) = budget_faults(
        "a", partitions, all_of=budgets(partitions, [Bound("a", "/var/log/a", bytes=1)], warning=80)
    )
    assert "reserved" in fault.what


def test_what_is_reserved_counts() -> None:
    """1 GiB of logs and 3 GiB of all else do not go into 4 GiB."""
    partitions = {"/": PartitionSpec(size="4G", reserved="3G")}
    assert budget_faults(
        "a", partitions, all_of=budgets(partitions, [Bound("a", "/var/log/a", bytes=1 << 30)], warning=80)
    )


def test_the_timer_has_nothing_left_of_debians_day() -> None:
    """An empty OnCalendar= takes back the one of the package."""
    assert timer_text(MINUTE).startswith("[Timer]\nOnCalendar=\n")
    assert "OnUnitActiveSec=60s" in timer_text(MINUTE)


def test_sizes_are_told_as_people_read_them() -> None:
    """Two figures are enough."""
    assert [size_text(count) for count in (12, 1536, 72 * M, 5 << 30)] == [
        "12 B",
        "1.5 KiB",
        "72 MiB",
        "5.0 GiB",
    ]
