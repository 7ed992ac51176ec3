"""Values -> YAML that ejabberd reads; settings of the user merged in; secrets named in texts. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from habla.errors import Fault
from habla.model.names import SecretName
from habla.onhost.document import secret

__all__ = ["merged", "secret_faults", "with_secrets", "yaml_config"]

_SECRET = re.compile(r"\$\{secret:([^}]*)\}")
_NAME: TypeAdapter[str] = TypeAdapter(SecretName)


class _Dumper(yaml.SafeDumper):
    """Lists indented, and texts that may be anything in double quotes."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    # YAML's double quotes take the escapes of JSON, in which the agent fills in a secret. ejabberd's reader
    # is one of YAML 1.1: only plain words stay without quotes.
    plain = re.fullmatch(
        r"(?!(?:yes|no|on|off|y|n|true|false|null)$)[A-Za-z_/][A-Za-z0-9_./@-]*", value, re.I
    )
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain else '"')


_Dumper.add_representer(str, _text)


def yaml_config(values: Mapping[str, Any]) -> str:
    """The text of a config, with a blank line between its options."""
    return "\n".join(
        yaml.dump({key: value}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**31)
        for key, value in values.items()
    )


def merged(base: Any, extra: Any) -> Any:
    """``extra`` merged into ``base``: mappings key by key, where null removes one; lists are joined.

    For anything else ``extra`` wins.
    """
    if isinstance(base, Mapping) and isinstance(extra, Mapping):
        result = {key: value for key, value in base.items() if extra.get(key, ...) is not None}
        for key, value in extra.items():
            if value is not None:
                result[key] = merged(base[key], value) if key in base else value
        return result
    if isinstance(base, list) and isinstance(extra, list):
        return [*base, *(item for item in extra if item not in base)]
    return extra


def with_secrets(value: Any) -> Any:
    """The value with placeholders for the secrets that its texts name."""
    if isinstance(value, str):
        return _SECRET.sub(lambda match: secret(match[1], "json"), value)
    if isinstance(value, Mapping):
        return {key: with_secrets(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [with_secrets(item) for item in value]
    return value


def secret_faults(value: Any, path: str) -> Iterator[Fault]:
    """References to secrets that no secret can have as its name, and values that no YAML config can hold."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from secret_faults(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from secret_faults(item, f"{path}[{index}]")
    elif isinstance(value, str):
        for name in _SECRET.findall(value):
            if not _is_secret_name(name):
                rule = "${secret:NAME}, with lower-case letters, digits and . _ - between slashes"
                yield Fault(path, "not the name of a secret", value=name, rule=rule, fix="correct the name")
        if "@{secret:" in value:
            rule = "the name of a secret is written as ${secret:NAME}"
            yield Fault(
                path, "the wrong form for a secret", value=value, rule=rule, fix="write ${secret:NAME}"
            )


def _is_secret_name(name: str) -> bool:
    try:
        _NAME.validate_python(name)
    except ValidationError:
        return False
    return True
