"""The command line of ``habla``: every verb with its options.

This module imports only the standard library and the exit statuses. Each verb imports its own module when it
runs, so that ``habla --help`` does not wait for the planner.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from habla.cli.exit_status import HELP

__all__ = ["Run", "parser"]

Run = Callable[[Path, argparse.Namespace], int]
"""Runs a verb for the project in a directory and returns the exit status. The parser stores it as ``run``."""


def parser() -> argparse.ArgumentParser:
    """The parser for all verbs."""
    whole = argparse.ArgumentParser(
        prog="habla",
        description="Shows what a stack deploys and how its hosts are. Reads stacks/Pulumi.ENV.yaml of the "
        "project in this directory or in one above it.",
        epilog=HELP,
    )
    whole.add_argument("-C", "--directory", type=Path, default=Path(), help="look for the project from here")
    verbs = whole.add_subparsers(dest="verb", required=True, metavar="VERB")
    stack = argparse.ArgumentParser(add_help=False)
    stack.add_argument("-s", "--stack", required=True, metavar="ENV", help="lab, staging, production …")
    login = argparse.ArgumentParser(add_help=False)
    login.add_argument(
        "-i",
        "--identity",
        type=Path,
        metavar="FILE",
        help="private key to log in with (default: the keys of the SSH agent; in a lab, its own key)",
    )

    render = verbs.add_parser(
        "render",
        parents=[stack],
        help="print every file of every host",
        description="Prints every file that the stack puts on its hosts. It needs no pulumi, no SSH and no "
        "secrets: it prints the name of a secret in place of its value. The same settings give the same "
        "bytes on every machine.",
    )
    render.add_argument("--host", metavar="HOST", help="print the files of this host only")
    render.add_argument("--out", type=Path, metavar="DIR", help="write DIR/HOST/absolute/path instead")
    render.set_defaults(run=_render)

    addresses = verbs.add_parser(
        "addresses",
        parents=[stack],
        help="print the address plan",
        description="Prints the internal address of every host, by role, and how many addresses are free. A "
        "host keeps its address for as long as stacks/addresses.ENV.yaml lists it. `pulumi up` writes that "
        "file.",
    )
    addresses.add_argument("--write", action="store_true", help="write that file without deploying anything")
    addresses.set_defaults(run=_addresses)

    dns = verbs.add_parser(
        "dns",
        parents=[stack],
        help="print the records that the DNS needs",
        description="Prints the records that people need to reach the fleet, as a zone file: the names of "
        "the website, of virtual hosts and of Jabber's domains. Asks no host. The exit status is 1 if "
        "no HAProxy has a public address.",
    )
    dns.set_defaults(run=_dns)

    status = verbs.add_parser(
        "status",
        parents=[stack, login],
        help="print the state of the servers behind HAProxy",
        description="Asks the HAProxy instances of all front hosts over SSH and prints each server's state, "
        "sessions, queue and last check. The exit status is 1 if a backend has no server left, and 3 if an "
        "instance does not answer.",
    )
    status.set_defaults(run=_status)

    logs = verbs.add_parser(
        "logs",
        parents=[stack, login],
        help="find logs without a size limit on the hosts",
        description="Asks all hosts over SSH for files that grow, or are in a log directory, and that no "
        "logrotate rule rotates by size. The exit status is 1 if there is such a file, and 3 if a host "
        "cannot be asked. Each host also looks for such files by itself and sends an alert (habla:alerts). "
        "docs/disk.md explains what to do about them.",
    )
    logs.add_argument(
        "--bounds",
        action="store_true",
        help="print the largest size of each log instead, calculated from the settings; asks no host",
    )
    logs.add_argument("--json", action="store_true", help="print the answers of the hosts as JSON")
    logs.set_defaults(run=_logs)

    lab = verbs.add_parser("lab", help="show the hosts of the lab, or log in to one")
    lab_verbs = lab.add_subparsers(dest="subverb", required=True, metavar="VERB")
    summary = lab_verbs.add_parser(
        "summary", parents=[stack], help="print hosts, addresses, services and how to reach them"
    )
    summary.set_defaults(run=_lab_summary)
    ssh = lab_verbs.add_parser(
        "ssh", parents=[stack], help="open a shell, or run a command, on a host of the lab"
    )
    ssh.add_argument("host", metavar="HOST")
    ssh.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND")
    ssh.set_defaults(run=_lab_ssh)

    drain = verbs.add_parser(
        "drain",
        parents=[stack, login],
        help="take a host out of rotation",
        description="Takes a host out of rotation. HAProxy sends it no new request or connection and lets "
        "the present ones finish. A front host gives the shared address to another front host. The host "
        "stays drained over reboots and `pulumi up` until you run `habla undrain HOST`.",
    )
    drain.add_argument("host", metavar="HOST")
    drain.add_argument(
        "--wait",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="then wait up to SECONDS for the present requests and connections to end",
    )
    drain.set_defaults(run=_drain)
    undrain = verbs.add_parser(
        "undrain",
        parents=[stack, login],
        help="put a drained host back into rotation",
        description="Puts a drained host back into rotation.",
    )
    undrain.add_argument("host", metavar="HOST")
    undrain.set_defaults(run=_undrain)

    jabber = verbs.add_parser("jabber", help="reach the Jabber nodes: the admin page, a node that waits")
    jabber_verbs = jabber.add_subparsers(dest="subverb", required=True, metavar="VERB")
    force = jabber_verbs.add_parser(
        "force",
        parents=[stack, login],
        help="let the node of a host serve with its own data, at once",
        description="A Jabber node that starts may wait for another one, which may have newer data. This "
        "command ends the wait: the node serves with its own data. When the other node returns, the "
        "records that only it has are merged. docs/jabber-cluster.md has the details.",
    )
    force.add_argument("host", metavar="HOST")
    force.set_defaults(run=_jabber_force)
    admin = jabber_verbs.add_parser(
        "admin",
        parents=[stack, login],
        help="print the SSH command that leads to ejabberd's admin page",
        description="Prints the SSH command that leads to ejabberd's admin page, its URL, and who may log "
        "in. The page listens on the loopback address of each Jabber host only.",
    )
    admin.add_argument("host", nargs="?", metavar="HOST", help="default: the first host with Jabber")
    admin.set_defaults(run=_jabber_admin)
    return whole


def _render(root: Path, options: argparse.Namespace) -> int:
    from habla.cli import render_verb

    return render_verb.run(root, options)


def _addresses(root: Path, options: argparse.Namespace) -> int:
    from habla.cli import addresses_verb

    return addresses_verb.run(root, options)


def _dns(root: Path, options: argparse.Namespace) -> int:
    from habla.cli import dns_verb

    return dns_verb.run(root, options)


def _status(root: Path, options: argparse.Namespace) -> int:
    from habla.cli import status_verb

    return status_verb.run(root, options)


def _logs(root: Path, options: argparse.Namespace) -> int:
    from habla.cli import logs_verb

    return logs_verb.run(root, options)


def _lab_summary(root: Path, options: argparse.Namespace) -> int:
    from habla.cli import lab_verb

    return lab_verb.summary(root, options)


def _lab_ssh(root: Path, options: argparse.Namespace) -> int:
    from habla.cli import lab_verb

    return lab_verb.ssh(root, options)


def _drain(root: Path, options: argparse.Namespace) -> int:
    from habla.cli import drain_verb

    return drain_verb.drain(root, options)


def _undrain(root: Path, options: argparse.Namespace) -> int:
    from habla.cli import drain_verb

    return drain_verb.undrain(root, options)


def _jabber_admin(root: Path, options: argparse.Namespace) -> int:
    from habla.cli import jabber_verb

    return jabber_verb.admin(root, options)


def _jabber_force(root: Path, options: argparse.Namespace) -> int:
    from habla.cli import jabber_verb

    return jabber_verb.force(root, options)
