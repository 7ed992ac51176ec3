"""Create, update, delete and invoke: which command runs for each, and which values the state keeps."""

from __future__ import annotations

import secrets
from typing import Any

from standin import local, values
from standin.output import STDERR, STDOUT, Operation, Output
from standin.schema import COPY_TO_REMOTE, INPUTS, LOCAL_COMMAND, LOCAL_RUN
from standin.values import UNKNOWN, Values


def new_id(token: str, name: str) -> str:
    """A new resource id: the name and eight random hex digits, or only the digits for a CopyToRemote."""
    digits = secrets.token_hex(4)
    return digits if token == COPY_TO_REMOTE else f"{name}{digits}"


def preview(token: str, inputs: Values) -> Values:
    """The outputs that are known before the command runs."""
    if token == COPY_TO_REMOTE:
        return inputs
    return {**inputs, "stdout": UNKNOWN, "stderr": UNKNOWN}


async def create(token: str, inputs: Values, *, operation: Operation) -> Values:
    """Run `create`, if it is given, or copy. Returns the new state."""
    if token == COPY_TO_REMOTE:
        await _copy(inputs, operation)
        return inputs
    return await _step(inputs.get("create"), inputs, token=token, operation=operation)


async def update(token: str, inputs: Values, *, old: Values, operation: Operation) -> Values:
    """Run `update`, or `create` if `update` is not given. Returns the new state.

    A copy is made again only if the source or the path has changed.
    """
    if token == COPY_TO_REMOTE:
        before, now = values.revealed(old), values.revealed(inputs)
        if _hash(before) != _hash(now) or before.get("remotePath") != now.get("remotePath"):
            await _copy(inputs, operation)
        return inputs
    command = inputs.get("update", inputs.get("create"))
    return await _step(command, inputs, token=token, old=old, operation=operation)


async def delete(token: str, state: Values, *, operation: Operation) -> None:
    """Run `delete`, if it is given, with the inputs in the state. A copied file stays on the host."""
    if token != COPY_TO_REMOTE and state.get("delete") is not None:
        await _step(state["delete"], state, token=token, old=state, operation=operation)


async def invoke(arguments: Values, operation: Operation) -> Values:
    """Run the command of `command:local:run`. Returns its arguments and output."""
    return await _step(arguments["command"], arguments, token=LOCAL_RUN, operation=operation)


def _hash(inputs: Values) -> Any:
    return (inputs.get("source") or {}).get("hash")


async def _copy(inputs: Values, operation: Operation) -> None:
    # Imported late, like `remote` below, because local commands need no SSH library.
    from standin import copying

    await copying.copy(values.revealed(inputs), operation)


async def _step(
    command: Any, inputs: Values, *, token: str, operation: Operation, old: Values | None = None
) -> Values:
    """Run a command and return the new state. `old` is the state before, for the previous output."""
    # A state also holds outputs, which are not inputs.
    state = {name: value for name, value in inputs.items() if name in INPUTS[token]}
    before = {name: values.revealed((old or {}).get(name)) or "" for name in ("stdout", "stderr")}
    if command is None:
        return {**state, **before}
    plain = values.revealed(state)
    environment = {}
    if plain.get("addPreviousOutputInEnv", True):
        environment = {f"PULUMI_COMMAND_{name.upper()}": text for name, text in before.items() if text}
    output = Output(plain.get("logging"), operation.log)
    text = values.revealed(command)
    if token in (LOCAL_COMMAND, LOCAL_RUN):
        await local.run(text, plain, environment=environment, output=output)
    else:
        from standin import remote

        await remote.run(text, plain, optional_environment=environment, output=output, operation=operation)
    return {**state, "stdout": output.text(STDOUT), "stderr": output.text(STDERR)}
