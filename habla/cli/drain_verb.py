"""``habla drain HOST`` and ``habla undrain HOST``: out of rotation and back."""

from __future__ import annotations

import math

import click

from habla.cli.command_options import command, host_argument, identity_option, report_options, stack_option
from habla.cli.exit_status import ExitStatus
from habla.cli.invocation import Invocation
from habla.cli.result import Result

__all__ = ["drain", "undrain"]


def _seconds(value: str) -> float:
    """A time in seconds. Raises BadParameter."""
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < math.inf:
        raise click.BadParameter(f"{value!r} is not a number of seconds from 0 up")
    return seconds


@command(examples=("habla drain -s production stable2", "habla drain -s production stable2 --wait 60"))
@stack_option
@identity_option
@click.option(
    "--wait",
    "seconds",
    metavar="SECONDS",
    type=_seconds,
    default="0",
    help="Then wait up to SECONDS for the present requests and connections to end.",
)
@report_options
@host_argument()
def drain(invocation: Invocation, *, host: str, seconds: float) -> Result:
    """Take HOST out of rotation.

    HAProxy sends it no new request or connection and lets the present ones finish. A front host gives the
    shared address to another front host. The host stays drained over reboots and `pulumi up` until you run
    `habla undrain HOST`. The exit status is 1 if requests or connections are left at the end of --wait. Those
    of old processes, which a reload of HAProxy has replaced, count too.
    """
    from habla.cli.draining import Rotation, is_balanced, refuse_undrainable, shares_address
    from habla.model.drain_flags import BY_HAND

    plan = invocation.plan()
    refuse_undrainable(plan, host)
    text, left = [], {}
    with invocation.shells(plan) as reached, invocation.waiting(f"draining {host}") as progress:
        reached.run(host, f"touch {BY_HAND}")
        rotation = Rotation(plan, reached, host=host)
        if shares_address(plan, host):
            text.append(rotation.await_address_elsewhere())
        if is_balanced(plan, host):
            rotation.await_state(lambda server: server.drained, failure="still in rotation")
            text.append(f"{host} is drained: HAProxy sends it nothing new")
            left = rotation.await_idle(seconds, progress=progress)
            words = ", ".join(f"{backend} {count}" for backend, count in left.items())
            text.append(f"{host} still has: {words}" if left else f"{host} has no request or connection left")
    return Result(
        {"host": host, "drained": True, "left": left},
        text,
        notes=rotation.notes(),
        status=ExitStatus.FOUND if left and seconds else ExitStatus.DONE,
    )


@command(examples=("habla undrain -s production stable2",))
@stack_option
@identity_option
@report_options
@host_argument()
def undrain(invocation: Invocation, *, host: str) -> Result:
    """Put a drained HOST back into rotation.

    The command ends when HAProxy uses the host again. The exit status is 1 if the settings of the stack keep
    the host drained.
    """
    from habla.cli.draining import Rotation, refuse_undrainable
    from habla.model.drain_flags import BY_HAND, BY_SETTING

    plan = invocation.plan()
    refuse_undrainable(plan, host)
    with invocation.shells(plan) as reached, invocation.waiting(f"putting {host} back into rotation"):
        if reached.run(host, f"rm -f {BY_HAND}; test ! -e {BY_SETTING} || echo yes").strip():
            words = "stays drained because the settings of the stack say so"
            fault = f"{host} {words}: set hosts.{host}.drained to false and run pulumi up"
            return Result({"host": host, "drained": True}, faults=[fault], status=ExitStatus.FOUND)
        rotation = Rotation(plan, reached, host=host)
        rotation.await_state(lambda server: server.state.startswith("UP"), failure="not back in rotation")
    return Result({"host": host, "drained": False}, [f"{host} is in rotation"], notes=rotation.notes())
