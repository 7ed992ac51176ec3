"""Runs commands on another machine over SSH."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import asyncssh
from asyncssh.constants import EXTENDED_DATA_STDERR
from asyncssh.packet import String

from standin.connection import connected
from standin.output import STDERR, STDOUT, CommandError, Log, Operation, Output

_NOT_ACCEPTED = (
    "Unable to set '%s'. This only works if your SSH server is configured to accept these variables via"
    " AcceptEnv. Alternatively, if a Bash-like shell runs the command on the remote host, you could prefix"
    " the command itself with the variables in the form 'VAR=value command'"
)


async def run(
    command: str,
    inputs: Mapping[str, Any],
    *,
    optional_environment: Mapping[str, str],
    output: Output,
    operation: Operation,
) -> None:
    """Run `command` on the host in `inputs["connection"]`. Raises CommandError if it fails.

    The host must accept every variable in `inputs["environment"]`. It may refuse a variable in
    `optional_environment`, which gives a warning. Sets `operation.started` after dialling: the command may go
    on after a lost connection, so an interrupted update waits for its result, as with the official plugin.
    """
    async with connected(inputs["connection"], operation) as ssh:
        operation.started.set()
        environment = inputs.get("environment") or {}
        session = _Session(environment, optional_environment, output=output, warn=operation.warn)
        try:
            channel, _ = await ssh.create_session(lambda: session, command, encoding=None, request_pty=False)
            # A command may end without reading its input. Then its exit status says how it ended.
            with contextlib.suppress(BrokenPipeError):
                channel.write((inputs.get("stdin") or "").encode())
                channel.write_eof()
            await session.ended
        except (OSError, asyncssh.Error) as error:
            raise output.failure(f"the connection failed: {error}", command) from error
        finally:
            output.close()
    if session.reason:
        raise output.failure(session.reason, command)


class _Session(asyncssh.SSHClientSession[bytes]):
    """The session of one command. It passes on the output and remembers how the command ended."""

    def __init__(
        self, environment: Mapping[str, str], optional: Mapping[str, str], *, output: Output, warn: Log
    ) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.reason = "wait: remote command exited without exit status or exit signal"
        self._environment = environment
        self._optional = optional
        self._output = output
        self._warn = warn
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        """Make the channel set the variables, and check each answer, before it starts the command.

        asyncssh itself asks for no answer when it sets a variable, so a refusal would go unnoticed.
        """
        self._channel = chan
        ask: Callable[..., Awaitable[bool | None]] = chan._make_request

        async def with_environment(request: bytes, *args: bytes) -> bool | None:
            if request == b"exec":
                for key, value in self._environment.items():
                    if not await ask(b"env", String(key), String(value)):
                        chan.close()
                        refused = f'could not set environment variable "{key}": ssh: setenv failed'
                        raise CommandError(f"{refused}\n{_NOT_ACCEPTED % key}")
                for key, value in self._optional.items():
                    if not await ask(b"env", String(key), String(value)):
                        self._warn(_NOT_ACCEPTED % key)
            return await ask(request, *args)

        chan._make_request = with_environment  # type: ignore[method-assign]

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Keep output of the command."""
        self._output.write(STDERR if datatype == EXTENDED_DATA_STDERR else STDOUT, data)

    def exit_status_received(self, status: int) -> None:
        """Remember the exit status of the command."""
        self.reason = f"Process exited with status {status}" if status else ""

    def connection_lost(self, exc: Exception | None) -> None:
        """Mark the end. All output has arrived only when the channel is closed."""
        # Not by `exit_signal_received`, which asyncssh calls with four positional arguments.
        exit_signal = self._channel.get_exit_signal() if self._channel else None
        if exit_signal is not None:
            self.reason = f"Process exited from signal {exit_signal[0]}"
        if not self.ended.done():
            self.ended.set_result(None)
