"""The names of stacks, hosts and roles for the completion of shells, read without a check of the settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from habla.cli.invocation import Invocation
from habla.cli.project import stacks_of
from habla.errors import HablaError

__all__ = ["host_names", "role_names", "stack_names"]


def stack_names(invocation: Invocation) -> list[str]:
    """The stacks of the project; none outside of a project."""
    try:
        return stacks_of(invocation.root)
    except OSError:
        return []


def host_names(invocation: Invocation) -> list[str]:
    """The hosts of the stack."""
    return sorted(_hosts(invocation))


def role_names(invocation: Invocation) -> list[str]:
    """The roles that the hosts of the stack have."""
    hosts = [host for host in _hosts(invocation).values() if isinstance(host, dict)]
    return sorted({str(host["role"]) for host in hosts if "role" in host})


def _hosts(invocation: Invocation) -> Mapping[str, Any]:
    """The hosts in the stack file. Empty if it cannot be read, because a shell has no place for an error."""
    import yaml

    try:
        path = invocation.root / "stacks" / f"Pulumi.{invocation.environment}.yaml"
        hosts = yaml.safe_load(path.read_text("utf-8"))["config"]["habla:hosts"]
    except (HablaError, OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return {}
    return {str(name): host for name, host in hosts.items()} if isinstance(hosts, dict) else {}
