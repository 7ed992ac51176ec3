"""How a text is written in each format, so that its reader gets the same text back.

The types in ``text_types`` refuse the characters that a format cannot hold; docs/limits.md has the table.
"""

from __future__ import annotations

import re

__all__ = ["environment_value", "log_glob", "sql_text", "systemd_word"]


def systemd_word(word: str) -> str:
    """A word of ExecStart, without specifiers and variables (systemd.service(5), "Command lines")."""
    word = word.replace("%", "%%").replace("$", "$$")
    if word and not re.search(r"[\s\"'\\;]", word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def environment_value(value: str) -> str:
    """A value of an EnvironmentFile: systemd takes the escapes of a shell's double quotes."""
    if re.fullmatch(r"[A-Za-z0-9_./:,@+-]*", value):
        return value
    return '"' + re.sub(r'([\\"$`])', r"\\\1", value) + '"'


def sql_text(value: str) -> str:
    """The text, escaped for single quotes in SQL."""
    return re.sub(r"([\\'])", r"\\\1", value)


def log_glob(path: str) -> str:
    """The name of a log in a rule of logrotate: in double quotes where a blank would end it."""
    return f'"{path}"' if re.search(r"\s", path) else path
