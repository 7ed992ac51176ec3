"""The errors that users of the library catch."""

from __future__ import annotations

from habla.errors import SettingsError


def test_a_settings_error_is_a_value_error() -> None:
    """Callers who do not know habla can catch it."""
    assert issubclass(SettingsError, ValueError)
