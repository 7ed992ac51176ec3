"""Names for the completion of shells, read from the stack file without checking it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from habla.cli.invocation import Invocation
from habla.cli.project import stacks_of
from habla.errors import HablaError

if TYPE_CHECKING:
    import click

__all__ = ["complete_hosts", "complete_roles", "complete_stacks"]


def complete_stacks(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The stacks of the project."""
    try:
        names = stacks_of(_invocation(context).root)
    except OSError:
        return []
    return [name for name in names if name.startswith(incomplete)]


def complete_hosts(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The hosts of the stack."""
    return sorted(name for name in _hosts(context) if name.startswith(incomplete))


def complete_roles(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The roles of the hosts of the stack."""
    hosts = [host for host in _hosts(context).values() if isinstance(host, dict)]
    roles = {str(host["role"]) for host in hosts if "role" in host}
    return sorted(role for role in roles if role.startswith(incomplete))


def _hosts(context: click.Context) -> dict[str, Any]:
    """The section of the hosts; empty if the stack or its file cannot be told. A shell must not see an
    error."""
    import yaml

    invocation = _invocation(context)
    try:
        root = invocation.root
        path = root / "stacks" / f"Pulumi.{invocation.environment}.yaml"
        hosts = yaml.safe_load(path.read_text("utf-8"))["config"]["habla:hosts"]
    except (HablaError, OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return {}
    return {str(name): host for name, host in hosts.items()} if isinstance(hosts, dict) else {}


def _invocation(context: click.Context) -> Invocation:
    invocation = context.find_object(Invocation)
    assert invocation is not None
    return invocation
