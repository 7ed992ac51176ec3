"""The keys of ``Pulumi.yaml`` and of a stack file, as far as they are habla's.

Pulumi takes a key without a prefix for one of the project, and ignores keys that it does not know. Both would
leave a section unread, so they are faults.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from habla.errors import Fault, one_edit_apart
from habla.settings.sections import section_names

__all__ = ["PREFIX", "file_faults"]

_OURS = "habla"
PREFIX = f"{_OURS}:"
_CONFIG = "config"
# The keys of a section in Pulumi.yaml: https://www.pulumi.com/docs/iac/concepts/projects/project-file/.
_DECLARED = {"default", "description", "items", "secret", "type", "value"}


def file_faults(name: str, document: Mapping[str, Any], *, is_project: bool) -> Iterator[Fault]:
    """Faults of the keys at the top of a file and of those under ``config``. name: of the file."""
    sections = section_names()
    for key in document:
        section = key.removeprefix(PREFIX)
        if key != section or (section in sections and not is_project):
            yield _outside(name, key, section=section)
        elif _CONFIG in one_edit_apart(key, [_CONFIG]):
            rule = f"the sections of a fleet are under {_CONFIG}"
            yield Fault(f"{name}: {key}", "unknown key", rule=rule, fix=f"did you mean {_CONFIG}?")
    config = document.get(_CONFIG)
    if config is None:
        return
    if not isinstance(config, dict):
        rule = "config is a mapping of habla:SECTION to its settings"
        path, shown = f"{name}: {_CONFIG}", type(config).__name__
        yield Fault(path, "not a mapping", value=shown, rule=rule, fix="write habla:SECTION: …")
        return
    for key, value in config.items():
        path = f"{name}: {_CONFIG}.{key}"
        prefix, colon, section = key.rpartition(":")
        if not colon:
            rule = f"the sections of a fleet begin with {PREFIX}"
            close = [key] if key in sections else one_edit_apart(key, sections)
            fix = f"did you mean {PREFIX}{close[0]}?" if close else f"remove it, or write {PREFIX}SECTION"
            yield Fault(path, "a key without its prefix", rule=rule, fix=fix)
        elif prefix != _OURS and (prefix.lower() == _OURS or one_edit_apart(prefix, [_OURS])):
            rule = f"the sections of a fleet begin with {PREFIX}"
            yield Fault(
                path, "unknown prefix", value=prefix, rule=rule, fix=f"did you mean {PREFIX}{section}?"
            )
        elif is_project and prefix == _OURS and isinstance(value, Mapping) and not {*value} <= _DECLARED:
            rule = "in Pulumi.yaml the settings of a section are under value"
            fix = f"write {key}: {{value: …}}"
            yield Fault(path, "a section without a value", rule=rule, fix=fix)


def _outside(name: str, key: str, *, section: str) -> Fault:
    rule = f"the sections of a fleet are under {_CONFIG}"
    fix = f"move it to {_CONFIG}, as {PREFIX}{section}"
    return Fault(f"{name}: {key}", f"a section outside of {_CONFIG}", rule=rule, fix=fix)
