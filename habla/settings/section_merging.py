"""The sections of a stack: the project's (``Pulumi.yaml``) and the stack's own, merged key by key.

Pulumi itself lets a section of a stack replace the project's whole. So the program of a stack reads the
project's sections by itself, and comes to the same settings as the ``habla`` command.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from habla.errors import Fault
from habla.model.names import DEFAULT_DOMAIN
from habla.settings.shape import Shape, stack_shape

__all__ = ["DOMAIN", "merged_sections", "with_domain"]

# In any key or text of the settings it becomes the fleet's domain.
DOMAIN = "${domain}"
# Values of secrets are no settings, and each stack encrypts its own.
_SECRETS = "secrets"


def merged_sections(
    project: Mapping[str, Any], stack: Mapping[str, Any], *, faults: list[Fault]
) -> dict[str, Any]:
    """Section -> value. A stack's value replaces the project's, and its null removes the project's."""
    domain = stack["domain"] if "domain" in stack else project.get("domain")
    ours, theirs = (with_domain(sections, domain, faults=faults) for sections in (stack, project))
    found = _merged(theirs, ours, shape=stack_shape())
    assert isinstance(found, dict)
    if _SECRETS in ours:
        found[_SECRETS] = ours[_SECRETS]
    return found


def with_domain(sections: Mapping[str, Any], domain: Any, *, faults: list[Fault]) -> dict[str, Any]:
    """The sections with the fleet's domain in the place of ``${domain}``. domain: None takes the default."""
    if domain is not None and not isinstance(domain, str):
        # Which is a fault of its own.
        return dict(sections)
    found = dict(sections)
    for section, value in sections.items():
        if section != _SECRETS:
            # A value that contains itself is a fault of its own.
            with suppress(RecursionError):
                found[section] = _filled(value, domain or DEFAULT_DOMAIN, path=section, faults=faults)
    return found


def _filled(value: Any, domain: str, *, path: str, faults: list[Fault]) -> Any:
    if isinstance(value, str):
        return value.replace(DOMAIN, domain)
    if isinstance(value, list | tuple):
        return [
            _filled(item, domain, path=f"{path}[{index}]", faults=faults) for index, item in enumerate(value)
        ]
    if not isinstance(value, Mapping):
        return value
    found: dict[Any, Any] = {}
    for key, item in value.items():
        name = key.replace(DOMAIN, domain) if isinstance(key, str) else key
        where = f"{path}.{name}"
        if name in found:
            rule = f"{DOMAIN} stands for {domain}, and a mapping has each key once"
            faults.append(Fault(where, "the same key twice", value=name, rule=rule, fix="remove one"))
        found[name] = _filled(item, domain, path=where, faults=faults)
    return found


def _merged(project: Any, stack: Any, *, shape: Shape) -> Any:
    """Mappings are merged, everything else is the stack's. null is kept where it is a value of its own."""
    if not (isinstance(project, Mapping) and isinstance(stack, Mapping) and shape.merges):
        return stack
    found = dict(project)
    for key, value in stack.items():
        inner = shape.at(key)
        if value is None and found.get(key) is not None and not inner.is_nullable:
            del found[key]
        else:
            found[key] = _merged(found.get(key), value, shape=inner)
    return found
