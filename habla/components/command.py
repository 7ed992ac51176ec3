"""The one place where a ``remote.Command`` is built: every default that experience with it asks for.

No ``environment`` (sshd refuses names), no logging (a long line stalls the provider), bounded dialling (it
retries every error), ``update`` always given, and credentials that may rotate without re-running everything.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import hashlib
import os
import re
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path

import pulumi
from pulumi_command import remote

from habla.components.agent_bundle import AGENT_PATH, short_document
from habla.components.failed_run import fail_with
from habla.errors import Fault, SettingsError
from habla.onhost.document import HostState

__all__ = [
    "Connection",
    "agent_command",
    "agent_undo",
    "applied_state",
    "host_command",
    "owner_of",
    "sent_file",
    "split_options",
]

# Seconds on the host before a command is ended; the engine cannot end it, a cancelled update waits for it.
_DEADLINE = 1200
# Six of them are within the SDK.
_CALLS = 7
_DIAL_ERRORS = 4
_DIAL_SECONDS = 10
_ROTATING = (
    "privateKey",
    "privateKeyPassword",
    "password",
    "agentSocketPath",
    "dialErrorLimit",
    "perDialTimeout",
)


@dataclass(frozen=True)
class Connection:
    """How commands reach a host. user: other than ``root``, it may ``sudo -n``. host: its name, for errors.

    deleted_with: the resource with which the whole host goes, so that nothing on it needs to be undone.
    machine: tells machines apart. It has the port, because several machines may have one address behind a
    forwarder. It is "" for a machine of a lab, which goes as a whole.
    """

    args: remote.ConnectionArgs
    user: str
    _: KW_ONLY
    host: str
    deleted_with: pulumi.Resource | None = None
    machine: pulumi.Input[str] = ""
    unreachable: bool = False


def owner_of(resource: str) -> str:
    """How the agent knows a resource: by project, stack and name, without characters special to a shell."""
    owner = f"{pulumi.get_project()}/{pulumi.get_stack()}/{resource}"
    if re.fullmatch(r"[A-Za-z0-9._/-]+", owner):
        return owner
    return hashlib.sha256(owner.encode()).hexdigest()


def split_options(
    opts: pulumi.ResourceOptions | None,
) -> tuple[pulumi.ResourceOptions | None, pulumi.ResourceOptions]:
    """Options of a component -> those of the component itself, and those of its commands.

    Its commands wait, not the component. The engine does not register a component that waits for something
    that failed, and then the run ends with an error about the component instead of the failure.
    """
    if opts is None:
        return None, pulumi.ResourceOptions()
    own = copy.copy(opts)
    own.depends_on = None
    return own, pulumi.ResourceOptions(depends_on=opts.depends_on, retain_on_delete=opts.retain_on_delete)


def agent_command(*words: str) -> str:
    """The command line that runs the agent, with a deadline of its own."""
    return f"timeout -k 10 {_DEADLINE} python3 {AGENT_PATH} {' '.join(words)}"


def applied_state(
    name: str,
    connection: Connection,
    *,
    state: HostState,
    outside: tuple[str, pulumi.Output[str]] | None = None,
    opts: pulumi.ResourceOptions,
    depends_on: Sequence[pulumi.Resource] = (),
) -> remote.Command:
    """The state of a component as a resource: sent to the host, and undone when the resource is deleted.

    outside: the address in the state that stands for the public one, and the public one.
    """
    document: pulumi.Input[str] = short_document(state)
    if outside is not None:
        document = outside[1].apply(lambda address: _with_address(state, outside[0], address=address))
    owner = owner_of(name)
    apply = agent_command("apply", f"--owner={owner}")
    return host_command(
        name,
        connection,
        # The agent knows by this that an undo of the resource that this one replaces will follow.
        create=f"{apply} --new",
        update=apply,
        stdin=document,
        delete=agent_undo("delete", state.component, f"--owner={owner}"),
        opts=opts,
        depends_on=depends_on,
    )


def agent_undo(*words: str) -> str:
    """The same for an undo. A host without an agent was made anew and has nothing to undo."""
    return f"sh -c 'test ! -e {AGENT_PATH} || exec {agent_command(*words)}'"


def _with_address(state: HostState, stand_in: str, *, address: str) -> str:
    try:
        IPv4Address(address)
    except AddressValueError as error:
        rule = "an IPv4 address, such as 198.51.100.10"
        fault = Fault(
            "outside_address", "not an address", value=str(address), rule=rule, fix="set an IPv4 address"
        )
        raise SettingsError([fault]) from error
    return short_document(state).replace(stand_in, address)


def host_command(
    name: str,
    connection: Connection,
    *,
    create: str,
    update: str = "",
    stdin: pulumi.Input[str] | None,
    delete: str | None,
    opts: pulumi.ResourceOptions,
    depends_on: Sequence[pulumi.Resource] = (),
    as_root: bool = True,
) -> remote.Command:
    """One SSH round trip that makes, changes or undoes something on a host.

    create: must be idempotent. update: "" runs ``create`` again. delete: run before the resource goes.
    as_root: False for a command that becomes root by itself.
    """

    def line(command: str) -> str:
        return _as_root(command, connection.user, host=connection.host) if as_root else command

    options = pulumi.ResourceOptions.merge(opts, _of_machine(connection))
    options = pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(depends_on=list(depends_on)))
    _warn_of_stale_agent()
    with _short_call_stack():
        command = remote.Command(
            name,
            connection=replace_limits(connection.args),
            create=line(create),
            update=line(update or create),
            delete=line(delete) if delete else None,
            stdin=stdin,
            logging=remote.Logging.NONE,
            add_previous_output_in_env=False,
            triggers=_triggers(connection),
            opts=options,
        )
    fail_with(command.stdout)
    return command


def sent_file(
    name: str, connection: Connection, *, path: Path, to: str, opts: pulumi.ResourceOptions
) -> remote.CopyToRemote:
    """A file of this machine on a host. The engine keeps its digest, not its content.

    to: the path, relative to the home directory of the user who logs in.
    """
    with _short_call_stack():
        return remote.CopyToRemote(
            name,
            connection=replace_limits(connection.args),
            source=pulumi.FileAsset(str(path)),
            remote_path=to,
            # A machine that was made anew under the same address has another key, and none of the files. The
            # plugin copies again for a new trigger only, and takes nothing away for the old one.
            triggers=[*(_triggers(connection) or ()), connection.args.host_key or ""],
            opts=pulumi.ResourceOptions.merge(opts, _of_machine(connection)),
        )


@contextlib.contextmanager
def _short_call_stack() -> Iterator[None]:
    """Register a resource with the innermost calls only.

    The engine keeps the calls that lead to each resource in the state. There are about 20, most of them in
    Python's event loop, which makes 3 KB that are written at every step. Those of a component stay whole,
    because they name the line of the user's program.
    """
    before = getattr(sys, "tracebacklimit", None)
    sys.tracebacklimit = _CALLS
    try:
        yield
    finally:
        if before is None:
            del sys.tracebacklimit
        else:
            sys.tracebacklimit = before


def _of_machine(connection: Connection) -> pulumi.ResourceOptions:
    """The options that every resource on a host has."""
    rotating = [f"connection.{field}" for field in _ROTATING]
    return pulumi.ResourceOptions(
        deleted_with=connection.deleted_with,
        ignore_changes=["*"] if connection.unreachable else rotating,
        # Removing a dead host from the stack then forgets it instead of failing to reach it.
        retain_on_delete=True if connection.unreachable else None,
    )


def _triggers(connection: Connection) -> list[pulumi.Input[str]] | None:
    """On another machine everything is made anew, and undone on the old one.

    ``replace_on_changes`` cannot say so, because the official plugin reports a change of the connection as a
    whole. The engine creates the new resource before it deletes the old one. The undo of the old one does
    nothing on the machine of the new one, because the agent knows the owner of a component.
    """
    return [connection.machine] if connection.machine != "" else None


def replace_limits(args: remote.ConnectionArgs) -> remote.ConnectionArgs:
    """The connection with bounded dialling, unless the user set other bounds than the plugin's own.

    Those are 10 errors of 15 s; the SDK fills them in, so they cannot be told from the user's.
    """
    if args.dial_error_limit in (None, 10):
        args.dial_error_limit = _DIAL_ERRORS
    if args.per_dial_timeout in (None, 15):
        args.per_dial_timeout = _DIAL_SECONDS
    return args


@functools.cache
def _warn_of_stale_agent() -> None:
    """The plugin asks the agent that SSH_AUTH_SOCK names, key or no key, and fails when none is there."""
    path = os.environ.get("SSH_AUTH_SOCK")
    if not path:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError as error:
            words = f"no SSH agent answers at {path} ({error.strerror}), which SSH_AUTH_SOCK names"
            pulumi.log.warn(f"{words}: every connection will fail; unset SSH_AUTH_SOCK or start the agent")


def _as_root(command: str, user: str, *, host: str) -> str:
    """``sudo -n`` once around the whole command, with its own clear refusal."""
    if user == "root":
        return command
    refusal = f"habla: {host}: {user} may not use sudo without a password"
    # Without its own standard input, sudo may read the agent's input.
    return f"sudo -n true </dev/null || {{ echo '{refusal}' >&2; exit 1; }}; sudo -n {command}"
