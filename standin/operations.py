"""Create, update, delete and invoke: which command runs when, and what goes into the state."""

from __future__ import annotations

import secrets
from typing import Any

from standin import local, values
from standin.output import STDERR, STDOUT, Output, Reporter
from standin.schema import COPY_TO_REMOTE, INPUTS, LOCAL_COMMAND, LOCAL_RUN
from standin.values import UNKNOWN, Values


def new_id(token: str, name: str) -> str:
    """A resource's id, unique enough: the name and eight random hex digits, the digits alone for a copy."""
    digits = secrets.token_hex(4)
    return digits if token == COPY_TO_REMOTE else f"{name}{digits}"


def preview(token: str, inputs: Values) -> Values:
    """The outputs as far as they are known before anything has run."""
    if token == COPY_TO_REMOTE:
        return inputs
    return {**inputs, "stdout": UNKNOWN, "stderr": UNKNOWN}


async def create(token: str, inputs: Values, reporter: Reporter, timeout: float | None) -> Values:
    """Run `create` (if given) or copy; the new state."""
    if token == COPY_TO_REMOTE:
        await _copy(inputs, reporter, timeout)
        return inputs
    return await _step(token, inputs.get("create"), inputs, {}, reporter, timeout)


async def update(
    token: str, old: Values, inputs: Values, reporter: Reporter, timeout: float | None
) -> Values:
    """Run `update`, or `create` when there is none; the new state. A copy is made again only if need be."""
    if token == COPY_TO_REMOTE:
        before, now = values.revealed(old), values.revealed(inputs)
        if _hash(before) != _hash(now) or before.get("remotePath") != now.get("remotePath"):
            await _copy(inputs, reporter, timeout)
        return inputs
    command = inputs.get("update", inputs.get("create"))
    return await _step(token, command, inputs, old, reporter, timeout)


async def delete(token: str, state: Values, reporter: Reporter, timeout: float | None) -> None:
    """Run `delete` (if given) with the connection and input of the state. A copy stays where it is."""
    if token != COPY_TO_REMOTE and state.get("delete") is not None:
        await _step(token, state["delete"], state, state, reporter, timeout)


async def invoke(arguments: Values, reporter: Reporter) -> Values:
    """Run the command of `command:local:run`; its arguments and output."""
    return await _step(LOCAL_RUN, arguments["command"], arguments, {}, reporter, None)


def _hash(inputs: Values) -> Any:
    return (inputs.get("source") or {}).get("hash")


async def _copy(inputs: Values, reporter: Reporter, timeout: float | None) -> None:
    # Imported late, as `remote` below: local commands need not wait for an SSH library.
    from standin import copying

    await copying.copy(values.revealed(inputs), reporter.log, timeout)


async def _step(
    token: str, command: Any, inputs: Values, old: Values, reporter: Reporter, timeout: float | None
) -> Values:
    # Outputs of a previous state are no inputs.
    state = {name: value for name, value in inputs.items() if name in INPUTS[token]}
    before = {name: values.revealed(old.get(name)) or "" for name in ("stdout", "stderr")}
    if command is None:
        return {**state, **before}
    plain = values.revealed(state)
    environment = {}
    if plain.get("addPreviousOutputInEnv", True):
        environment = {f"PULUMI_COMMAND_{name.upper()}": text for name, text in before.items() if text}
    output = Output(plain.get("logging"), reporter.log)
    text = values.revealed(command)
    if token in (LOCAL_COMMAND, LOCAL_RUN):
        await local.run(text, plain, environment, output)
    else:
        from standin import remote

        await remote.run(text, plain, environment, output, reporter, timeout)
    return {**state, "stdout": output.text(STDOUT), "stderr": output.text(STDERR)}
