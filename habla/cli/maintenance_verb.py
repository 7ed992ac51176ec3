"""``habla maintenance``: HAProxy answers every request of an instance itself, on all front hosts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from habla.cli.command_options import command, identity_option, report_options, stack_option
from habla.cli.exit_status import ExitStatus
from habla.cli.invocation import Invocation
from habla.cli.result import Result
from habla.errors import Fault, SettingsError

__all__ = ["off", "on"]

F = TypeVar("F", bound=Callable[..., Any])


class _InstanceChoice(click.Choice[str]):
    """The instances that can be in maintenance."""

    def convert(self, value: Any, *arguments: Any, **named: Any) -> str:
        """The instance. Raises SettingsError for jabber, with the command to use instead."""
        if value == "jabber":
            what = "maintenance would cut the connections of Jabber's users"
            rule = "only www can be in maintenance"
            fix = "take one host after the other out of rotation: habla drain HOST"
            raise SettingsError([Fault("INSTANCE", what, value=value, rule=rule, fix=fix)])
        return super().convert(value, *arguments, **named)


def _instance_argument(function: F) -> F:
    """The argument INSTANCE."""
    return click.argument("instance", metavar="INSTANCE", type=_InstanceChoice(("www",)))(function)


@command(examples=("habla maintenance on -s production www",))
@stack_option
@identity_option
@report_options
@_instance_argument
def on(invocation: Invocation, *, instance: str) -> Result:
    """Let HAProxy answer all requests of INSTANCE with its 503 page.

    INSTANCE is www. HAProxy then answers requests for the website, the apps and the static images itself,
    with status 503 and Retry-After, on every front host. Requests under way are finished. Users of Jabber
    stay online. The maintenance lasts over `pulumi up`, reloads and restarts of HAProxy, and reboots of a
    front host, until you run `habla maintenance off INSTANCE`. The exit status is 3 if a front host cannot
    be reached; the others are in maintenance all the same.
    """
    return _switched(invocation, instance, on=True)


@command(examples=("habla maintenance off -s production www",))
@stack_option
@identity_option
@report_options
@_instance_argument
def off(invocation: Invocation, *, instance: str) -> Result:
    """End the maintenance of INSTANCE.

    The command ends when HAProxy sends requests to servers again, on every front host. The exit status is
    1 if a backend has no server left, and 3 if a front host cannot be reached; the maintenance of the others
    ends all the same.
    """
    return _switched(invocation, instance, on=False)


def _switched(invocation: Invocation, instance: str, *, on: bool) -> Result:
    from habla.cli.maintenance import refuse_without_front, switch

    plan = invocation.plan()
    refuse_without_front(plan)
    work = f"putting {instance} into maintenance" if on else f"ending the maintenance of {instance}"
    with invocation.shells(plan) as reached, invocation.waiting(work):
        outcome = switch(reached, plan, instance=instance, on=on)
    unserved = [
        f"{front}: backend {backend} of {instance} has no server left" for front, backend in outcome.unserved
    ]
    faults = [*outcome.failed, *unserved]
    words = "answers 503 with Retry-After" if on else "sends requests to servers again"
    found = ExitStatus.FOUND if unserved else ExitStatus.DONE
    return Result(
        {"instance": instance, "maintenance": on, "fronts": list(outcome.done), "faults": faults},
        [f"{instance} of {front} {words}" for front in outcome.done],
        faults=faults,
        status=ExitStatus.FAILED if outcome.failed else found,
    )
