"""Turns errors of pydantic into faults, in the words of people who write YAML."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from ipaddress import AddressValueError, NetmaskValueError
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from habla.errors import Fault
from habla.settings.shape import Steps
from habla.settings.unknown_keys import belongs_to, misplaced_entry, path_text, unknown_key

__all__ = ["rule_of", "shared_faults", "validation_faults"]

# Kind of an error of pydantic -> the rule. Braces: of the error's context.
_RULES = {
    "bool_type": "true or false, without quotes",
    "dict_type": "a mapping, KEY: VALUE",
    "float_type": "a number, without quotes",
    "greater_than_equal": "at least {ge}",
    "int_from_float": "a whole number, without quotes",
    "int_type": "a whole number, without quotes",
    "ip": "IPv4, as in 192.168.2.10 or 192.168.2.0/24, without leading zeros",
    "less_than_equal": "at most {le}",
    "list_type": "a list, [FIRST, SECOND]",
    "literal_error": "one of {expected}",
    "model_type": "a mapping, KEY: VALUE",
    "model_attributes_type": "a mapping, KEY: VALUE",
    "string_too_long": "at most {max_length} characters",
    "string_too_short": "at least {min_length} characters",
    "string_type": "a text; write numbers in quotes",
    "too_long": "{max_length} or fewer entries",
    "too_short": "{min_length} or more entries",
    "tuple_type": "a list, [FIRST, SECOND]",
}
_MOST_SHOWN = 100


def validation_faults(steps: Steps, error: ValidationError, *, value: Any) -> list[Fault]:
    """Each error of pydantic as a fault. steps: the way to the value that was checked."""
    faults = []
    for detail in error.errors(include_url=False):
        inner = tuple(part for part in detail["loc"] if part != "[key]")
        where = (*steps, *inner)
        found = detail["input"]
        shown = "" if isinstance(found, (dict, list)) else _shown(found)
        misplaced = misplaced_entry(steps, inner, value=value)
        if misplaced is not None:
            faults.append(misplaced)
        elif detail["type"] == "extra_forbidden":
            faults.append(unknown_key(where))
        elif detail["type"] == "missing":
            rule = "this key is required"
            faults.append(Fault(path_text(where), "missing", rule=rule, fix="add it"))
        else:
            rule = _rule(detail)
            fix = belongs_to(where, most=1, is_entry=True) or "correct the value"
            faults.append(Fault(path_text(where), "not valid", value=shown, rule=rule, fix=fix))
    return faults


def shared_faults(field: str, addresses: Mapping[str, str | None], *, rule: str) -> Iterator[Fault]:
    """Addresses that two hosts have. field: below each host. addresses: host -> address, or None."""
    users: dict[str, list[str]] = defaultdict(list)
    for name, address in sorted(addresses.items()):
        if address is not None:
            users[address].append(name)
    for address, names in users.items():
        if len(names) > 1:
            what = f"{', '.join(names[:-1])} and {names[-1]} have the same one"
            fix = "correct the address of all but one of them"
            yield Fault(f"hosts.{names[0]}.{field}", what, value=address, rule=rule, fix=fix)


def rule_of(error: ValidationError) -> str:
    """The rule that a single value breaks."""
    return _rule(error.errors(include_url=False)[0])


def _rule(detail: ErrorDetails) -> str:
    """Our own words for it, or the message of one of our validators or of pydantic."""
    kind, context = detail["type"], detail.get("ctx", {})
    if isinstance(context.get("error"), (AddressValueError, NetmaskValueError)):
        kind = "ip"
    if kind in _RULES:
        return _RULES[kind].format(**context)
    return detail["msg"].removeprefix("Value error, ").removeprefix("Input should be ")


def _shown(value: Any) -> str:
    """A value as YAML has it, on one line and not too long."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = str(value)
    if not text.isprintable():
        text = text.encode("unicode_escape").decode()
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 1] + "…"
