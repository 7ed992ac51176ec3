#!/usr/bin/python3
"""Keeps the ejabberd node of this host ready and in the cluster of its peers.

prepare [CERTIFICATE DOMAIN ...] before each start: put another node's database aside, sign a certificate
check CONFIG                     let ejabberd's own reader look at a config
heal HOST PORT [PEER ...]         after a start and by timer: join, mend a split, drop nodes that left the
fleet

Written to each host that runs ejabberd; Python 3.9 and its standard library only.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DATA = Path("/var/lib/ejabberd")
CONTROL = Path("/etc/default/ejabberd")
# Which node the database here belongs to, and whether that node has ever been part of the fleet's cluster.
NODE_MARK = DATA / ".habla-node"
CLUSTER_MARK = DATA / ".habla-clustered"
STATUS_DEADLINE = 60.0
# How long the first node waits for a new peer to join it before it takes the peer for an older cluster.
JOINING = 15.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    prepare_parser = verbs.add_parser("prepare")
    prepare_parser.add_argument("certificate", nargs="?")
    prepare_parser.add_argument("domains", nargs="*")
    check_parser = verbs.add_parser("check")
    check_parser.add_argument("config")
    heal_parser = verbs.add_parser("heal")
    heal_parser.add_argument("host")
    heal_parser.add_argument("port", type=int)
    heal_parser.add_argument("peers", nargs="*")
    arguments = parser.parse_args()
    if arguments.verb == "prepare":
        prepare(arguments.certificate, arguments.domains)
        return 0
    if arguments.verb == "check":
        return check(arguments.config)
    return heal(arguments.host, arguments.port, sorted(arguments.peers))


def prepare(certificate: str | None, domains: list[str]) -> None:
    """Make the start of the node possible. Never deletes: a foreign database is moved aside."""
    found = re.search(r"^ERLANG_NODE=(\S+)$", CONTROL.read_text(), re.MULTILINE)
    if found is None:
        sys.exit(f"{CONTROL} names no ERLANG_NODE")
    node = found[1]
    owner = NODE_MARK.read_text().strip() if NODE_MARK.exists() else ""
    if owner != node:
        database = [path for path in DATA.iterdir() if path.name != ".erlang.cookie"]
        if any(path.suffix == ".DAT" for path in database):
            aside = DATA / f"before-{node}-{int(time.time())}"
            aside.mkdir(mode=0o700)
            for path in database:
                if not path.name.startswith("before-"):
                    path.rename(aside / path.name)
        CLUSTER_MARK.unlink(missing_ok=True)
        NODE_MARK.write_text(node + "\n")
    if certificate and domains and not certifies(Path(certificate), domains):
        sign(Path(certificate), domains)


def check(config: str) -> int:
    """0 when ejabberd takes the config; its own words on standard error when it does not."""
    program = shutil.which("erl")
    if program is None:
        sys.exit("there is no erl, which reads the config")
    code = sorted(Path("/usr/lib").glob("*/ejabberd-*/ebin"))
    if not code:
        sys.exit("there is no /usr/lib/*/ejabberd-*/ebin, which reads the config")
    with tempfile.TemporaryDirectory() as directory:
        # By another ending ejabberd takes it for a config of Erlang terms.
        copied = shutil.copyfile(config, Path(directory) / "ejabberd.yml")
        result = subprocess.run(
            [program, "-noinput", "-pa", str(code[-1]), "-eval", _READ],
            env={**os.environ, "EJABBERD_CONFIG_PATH": str(copied), "ERL_CRASH_DUMP": "/dev/null"},
            cwd=directory,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    if result.returncode:
        print(result.stdout.strip() or first_line(result), file=sys.stderr)
    return 1 if result.returncode else 0


# Reads and checks the config as a start does, without a node and without a database.
_READ = """
logger:set_primary_config(level, none),
application:load(ejabberd),
Result = (catch begin
    [{ok, _} = application:ensure_all_started(Name) || Name <- [ssl, fast_yaml, fast_tls, stringprep, xmpp]],
    ejabberd_config:load()
end),
case Result of
    ok -> halt(0);
    {error, _, _} -> io:format("~ts~n", [ejabberd_config:format_error(Result)]), halt(1);
    _ -> io:format("~p~n", [Result]), halt(1)
end.
"""


def certifies(certificate: Path, domains: list[str]) -> bool:
    """Whether the certificate is for all the domains, and is so for 30 days at least."""
    if not certificate.exists():
        return False
    command = ["openssl", "x509", "-noout", "-in", str(certificate)]
    lasts = subprocess.run([*command, "-checkend", "2592000"], capture_output=True, text=True, check=False)
    if lasts.returncode != 0:
        return False
    for domain in domains:
        fits = subprocess.run([*command, "-checkhost", domain], capture_output=True, text=True, check=False)
        if "does match certificate" not in fits.stdout:
            return False
    return True


def sign(certificate: Path, domains: list[str]) -> None:
    """A self-signed certificate for the domains, written in one step."""
    new = certificate.with_suffix(".new")
    new.touch(mode=0o600)
    key = certificate.with_suffix(".key")
    key.touch(mode=0o600)
    # A common name has at most 64 characters (RFC 5280, ub-common-name); clients look at the other names.
    subject = f"/CN={domains[0]}" if len(domains[0]) <= 64 else "/CN=habla"
    words = f"openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj {subject} -addext"
    names = "subjectAltName=" + ",".join(f"DNS:{domain},DNS:*.{domain}" for domain in domains)
    subprocess.run(
        [*words.split(), names, "-keyout", str(key), "-out", str(new)],
        check=True,
        capture_output=True,
    )
    new.write_text(new.read_text() + key.read_text())
    key.unlink()
    new.chmod(0o640)
    shutil.chown(new, "root", "ejabberd")
    new.rename(certificate)


def heal(host: str, port: int, peers: list[str]) -> int:
    """Bring this node together with every peer that can be reached. 0 when that is so."""
    running, stopped = wait_until_running()
    mine = f"ejabberd@{host}"
    known = {f"ejabberd@{peer}" for peer in peers}
    for node in sorted(stopped - known - {mine}):
        print(f"{node} is no longer part of the fleet: it leaves the cluster")
        control("leave_cluster", node)
    missing = [peer for peer in peers if f"ejabberd@{peer}" not in running and reachable(peer, port)]
    if not CLUSTER_MARK.exists() and missing:
        join(host, missing)
    else:
        split = [peer for peer in missing if f"ejabberd@{peer}" in stopped and peer < host]
        if split:
            mend(split, port)
    # Alone counts too: a cluster of one is where the next node joins.
    CLUSTER_MARK.touch()
    return 0


def join(host: str, reachable_peers: list[str]) -> None:
    """A node that never was in a cluster joins; between new nodes the later name joins the earlier."""
    first = reachable_peers[0]
    if host < first:
        deadline = time.monotonic() + JOINING
        while time.monotonic() < deadline:
            if f"ejabberd@{first}" in nodes()[0]:
                return
            time.sleep(1)
    print(f"joining ejabberd@{first}")
    control("join_cluster", f"ejabberd@{first}")
    deadline = time.monotonic() + STATUS_DEADLINE
    while time.monotonic() < deadline:
        if f"ejabberd@{first}" in nodes()[0]:
            return
        time.sleep(0.5)
    sys.exit(f"joined ejabberd@{first}, but it does not show in the cluster after {STATUS_DEADLINE:.0f} s")


def mend(split: list[str], port: int) -> None:
    """Both sides of a split live on and stay apart; the later name starts anew and takes the other's data."""
    time.sleep(5)
    running, _ = nodes()
    still = [peer for peer in split if f"ejabberd@{peer}" not in running and reachable(peer, port)]
    if still:
        print(f"split from {', '.join(still)}: restarting ejabberd here")
        subprocess.run(["systemctl", "restart", "ejabberd.service"], check=True)
        wait_until_running()


def nodes() -> tuple[set[str], set[str]]:
    """The database's nodes: those that run, and those that are known but do not."""
    return parse_nodes(control("mnesia_info"))


def parse_nodes(text: str) -> tuple[set[str], set[str]]:
    running = node_set("running_db_nodes", text)
    return running, node_set("db_nodes", text) - running


def node_set(key: str, text: str) -> set[str]:
    """The nodes of one line of Erlang terms: ``{KEY,[ejabberd@stable1,'ejabberd@stable-2']}``."""
    found = re.search(rf"\{{{key},\s*\[([^\]]*)\]\}}", text)
    if found is None:
        sys.exit(f"ejabberdctl mnesia_info says nothing of {key}")
    return {name.strip().strip("'") for name in found[1].split(",") if name.strip()}


def wait_until_running() -> tuple[set[str], set[str]]:
    """``nodes()``, as soon as the node answers."""
    deadline = time.monotonic() + STATUS_DEADLINE
    while True:
        status = subprocess.run(["ejabberdctl", "mnesia_info"], capture_output=True, text=True, check=False)
        if status.returncode == 0 and "{is_running,yes}" in status.stdout:
            return parse_nodes(status.stdout)
        if time.monotonic() > deadline:
            sys.exit(f"ejabberd does not run after {STATUS_DEADLINE:.0f} s: {first_line(status)}")
        time.sleep(0.5)


def control(*words: str) -> str:
    result = subprocess.run(["ejabberdctl", *words], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.exit(f"ejabberdctl {' '.join(words)}: {first_line(result)}")
    return result.stdout


def first_line(result: subprocess.CompletedProcess[str]) -> str:
    """What went wrong, without the help that follows it."""
    lines = [line for line in (result.stdout + result.stderr).splitlines() if line.strip()]
    return lines[0] if lines else f"exit status {result.returncode}"


def reachable(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
