"""The errors that users of the library catch."""

from __future__ import annotations

from habla.errors import Fault, SettingsError


def test_a_settings_error_is_a_value_error() -> None:
    """Callers who do not know habla can catch it."""
    assert issubclass(SettingsError, ValueError)


def test_a_fault_that_many_hosts_have_is_one_fault_with_their_names() -> None:
    """Thirty hosts without a host key are a few lines, and another fault beside it stays visible."""
    faults = [Fault(f"hosts.web{n}.ssh.host_key", "missing", rule="keys are pinned") for n in range(30)]
    other = Fault("hosts.web1.role", "unknown role", value="wbe")
    error = SettingsError([*faults, other])
    assert len(error.faults) == 31
    assert str(error).splitlines() == [
        "2 faults:",
        "hosts.{web0, web1, web10 and 27 more}.ssh.host_key: missing",
        "  rule: keys are pinned",
        "hosts.web1.role: unknown role (wbe)",
    ]
