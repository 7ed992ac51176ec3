"""SSH connections. Each operation dials its own, retries within limits, and closes it at the end."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import asyncssh

from standin.output import CommandError, Log, Operation

T = TypeVar("T")

# The pause between two attempts grows by half from 0.1 s to at most 5 s: 11 s in all for the default limit.
_FIRST_PAUSE = 0.1
_PAUSE_GROWTH = 1.5
_LONGEST_PAUSE = 5.0

_KEEPALIVE_SECONDS = 15
_KEEPALIVE_LIMIT = 4

# ValueError and OverflowError are Python's own about a host or port that no network has.
_DIAL_ERRORS = (OSError, asyncssh.Error, TimeoutError, ValueError, OverflowError)


@contextlib.asynccontextmanager
async def connected(
    connection: Mapping[str, Any], operation: Operation
) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """An SSH connection to the host in `connection`, which is the resource's input with secrets revealed.

    The operation's timeout limits the dialling, but not the use of the connection. Raises CommandError after
    `dialErrorLimit` failed attempts, with the reason of the last one.
    """
    async with contextlib.AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(operation.timeout):
                ssh = await _dial_all(connection, stack, log=operation.log)
        except TimeoutError as error:
            raise CommandError("context deadline exceeded") from error
        yield ssh


async def _dial_all(
    connection: Mapping[str, Any], stack: contextlib.AsyncExitStack, *, log: Log
) -> asyncssh.SSHClientConnection:
    options = await _options(connection, stack)
    tunnel: asyncssh.SSHClientConnection | None = None
    proxy = connection.get("proxy")
    if proxy is not None:
        try:
            proxy_options = await _options(proxy, stack)
            tunnel = await _retried(
                "Dial proxy", lambda: _dial(proxy, proxy_options), connection=proxy, log=log
            )
        except CommandError as error:
            raise CommandError(f"proxy: {error}") from error
        stack.push_async_callback(_close, tunnel)
    ssh = await _retried(
        "Dial", lambda: _dial(connection, options, tunnel=tunnel), connection=connection, log=log
    )
    stack.push_async_callback(_close, ssh)
    return ssh


async def _close(ssh: asyncssh.SSHClientConnection) -> None:
    ssh.close()
    with contextlib.suppress(TimeoutError, *_DIAL_ERRORS):
        async with asyncio.timeout(5):
            await ssh.wait_closed()


async def _dial(
    connection: Mapping[str, Any],
    options: Mapping[str, Any],
    *,
    tunnel: asyncssh.SSHClientConnection | None = None,
) -> asyncssh.SSHClientConnection:
    limit = connection.get("perDialTimeout", 15) or None
    async with asyncio.timeout(limit):
        return await asyncssh.connect(
            connection["host"],
            int(connection.get("port", 22)),
            tunnel=tunnel or (),
            username=connection.get("user", "root"),
            # The files in ~/.ssh have no effect: only the inputs of the resource count.
            config=None,
            gss_host=None,
            compression_algs=None,
            keepalive_interval=_KEEPALIVE_SECONDS,
            keepalive_count_max=_KEEPALIVE_LIMIT,
            login_timeout=0,
            **options,
        )


async def _options(connection: Mapping[str, Any], stack: contextlib.AsyncExitStack) -> dict[str, Any]:
    """The options for our identity and the host's key. A fault in them ends the operation without a retry.

    stack: closes the connection to an SSH agent, which must stay open until the login is done.
    """
    # None if there are no keys: asyncssh reads an empty list as permission to use the files in ~/.ssh.
    options: dict[str, Any] = {"known_hosts": None, "client_keys": None, "password": None, "agent_path": None}
    host_key = connection.get("hostKey")
    if host_key is not None:
        try:
            pinned = asyncssh.import_public_key(host_key)
        except (asyncssh.Error, ValueError) as error:
            raise CommandError(f"failed to parse host key: {error}") from error
        options["known_hosts"] = ([pinned], [], [])
        # A server with a key of another kind alone is then a mismatch, and not a lost connection.
        kinds = ",".join(name.decode() for name in pinned.sig_algorithms)
        options["server_host_key_algs"] = f"{kinds},*"
    private_key = connection.get("privateKey")
    if private_key:
        try:
            key = asyncssh.import_private_key(private_key, connection.get("privateKeyPassword"))
        except (asyncssh.Error, ValueError) as error:
            raise CommandError(f"failed to parse private key: {error}") from error
        options["client_keys"] = [key]
    if connection.get("password") is not None:
        options["password"] = connection["password"]
    path = connection.get("agentSocketPath") or os.environ.get("SSH_AUTH_SOCK")
    if path:
        agent = await _connected_agent(path, stack)
        # Like the official plugin, which offers the keys of the agent only if there is no private key.
        if not private_key:
            options["client_keys"] = await _agent_keys(agent, path) or None
    return options


async def _connected_agent(path: str, stack: contextlib.AsyncExitStack) -> asyncssh.SSHAgentClient:
    """Fail if the agent does not answer, even if there is a private key, as the official plugin does."""
    agent = asyncssh.SSHAgentClient(path)
    try:
        await agent.connect()
    except OSError as error:
        raise CommandError(f"dial unix {path}: connect: {error.strerror or error}") from error
    stack.push_async_callback(agent.wait_closed)
    stack.callback(agent.close)
    return agent


async def _agent_keys(agent: asyncssh.SSHAgentClient, path: str) -> Sequence[asyncssh.SSHKeyPair]:
    # asyncssh's own option `agent_path` is not used: without other keys, it adds the files in ~/.ssh.
    try:
        return await agent.get_keys()
    except ValueError as error:
        raise CommandError(f"the SSH agent at {path} does not list its keys: {error}") from error


async def _retried(
    what: str, dial: Callable[[], Awaitable[T]], *, connection: Mapping[str, Any], log: Log
) -> T:
    limit = int(connection.get("dialErrorLimit", 10))
    pause = _FIRST_PAUSE
    failed = 0
    while True:
        try:
            return await dial()
        except _DIAL_ERRORS as error:
            failed += 1
            if 0 <= limit < failed:
                raise CommandError(f"after {limit} failed attempts: {_reason(error, connection)}") from error
        log(f"{what} {failed}/{limit if limit >= 0 else 'inf'} failed: retrying")
        await asyncio.sleep(pause)
        pause = min(pause * _PAUSE_GROWTH, _LONGEST_PAUSE)


def _reason(error: Exception, connection: Mapping[str, Any]) -> str:
    host = connection["host"]
    address = f"{f'[{host}]' if ':' in host else host}:{int(connection.get('port', 22))}"
    match error:
        case asyncssh.HostKeyNotVerifiable():
            return f"{address}: ssh: handshake failed: ssh: host key mismatch"
        case asyncssh.PermissionDenied():
            return f"{address}: ssh: handshake failed: ssh: unable to authenticate: {error.reason}"
        case asyncssh.Error():
            return f"{address}: ssh: handshake failed: {error.reason}"
        case TimeoutError():
            return f"dial tcp {address}: i/o timeout"
        case OSError() if error.errno is not None and error.errno > 0:
            # error.strerror is not used because asyncio puts its own words there.
            return f"dial tcp {address}: connect: {os.strerror(error.errno).lower()}"
    return f"dial tcp {address}: {error or type(error).__name__}"
