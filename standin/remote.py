"""Runs commands on another machine, over SSH."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import asyncssh
from asyncssh.constants import EXTENDED_DATA_STDERR
from asyncssh.packet import String

from standin.connection import connected
from standin.output import STDERR, STDOUT, CommandError, Log, Output, Reporter

_NOT_ACCEPTED = (
    "Unable to set '%s'. This only works if your SSH server is configured to accept these variables via"
    " AcceptEnv. Alternatively, if a Bash-like shell runs the command on the remote host, you could prefix"
    " the command itself with the variables in the form 'VAR=value command'"
)


async def run(
    command: str,
    inputs: Mapping[str, Any],
    optional_environment: Mapping[str, str],
    output: Output,
    reporter: Reporter,
    timeout: float | None,
) -> None:
    """Run `command` on the host of `inputs["connection"]`; raises CommandError when it fails.

    The host must accept every variable of `inputs["environment"]`; of `optional_environment` it may refuse
    any, which is a warning. `timeout`, in seconds, bounds the dialling.
    """
    async with connected(inputs["connection"], reporter.log, timeout) as ssh:
        session = _Session(inputs.get("environment") or {}, optional_environment, output, reporter.warn)
        try:
            channel, _ = await ssh.create_session(lambda: session, command, encoding=None, request_pty=False)
            stdin = inputs.get("stdin") or ""
            if stdin:
                channel.write(stdin.encode())
            channel.write_eof()
            await session.ended
        except (OSError, asyncssh.Error) as error:
            raise output.failure(f"the connection failed: {error}", command) from error
        finally:
            output.close()
    if session.reason:
        raise output.failure(session.reason, command)


class _Session(asyncssh.SSHClientSession[bytes]):
    """One command's session: hands over its output, and remembers how it ended."""

    def __init__(
        self, environment: Mapping[str, str], optional: Mapping[str, str], output: Output, warn: Log
    ) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.reason = "wait: remote command exited without exit status or exit signal"
        self._environment = environment
        self._optional = optional
        self._output = output
        self._warn = warn

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        """Take care that the variables are set, and answered for, between the opening and the command.

        asyncssh itself sends variables without asking for an answer, so that a refusal would go unseen.
        """
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
        """Output of the command."""
        self._output.write(STDERR if datatype == EXTENDED_DATA_STDERR else STDOUT, data)

    def exit_status_received(self, status: int) -> None:
        """The command ended by itself."""
        self.reason = f"Process exited with status {status}" if status else ""

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        """The command was killed."""
        self.reason = f"Process exited from signal {signal}"

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is closed, orderly or not; only now is all output here."""
        if not self.ended.done():
            self.ended.set_result(None)
