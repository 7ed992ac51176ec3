"""The first command on a host, before anything is sent there: is it a host that habla can use?"""

from __future__ import annotations

import shlex

import pulumi
from pulumi_command import remote

from habla.components.command import Connection, host_command
from habla.model.names import contact_resource

__all__ = ["contact_command", "first_contact"]

# KB that must be free where the agent is sent to, installed, and keeps its records.
_ROOM = 4096
# Runs as root in the home directory of the user who logs in; $0 is the host. The engine shows a command that
# failed, so the first line is there to explain a login shell that runs nothing.
_CHECK = f"""\
: habla on HOST needs a login shell that runs commands: usermod -s /bin/bash USER
no() {{ echo "habla: $0: $1" >&2; exit 1; }}
[ -r /etc/os-release ] && . /etc/os-release
[ "$ID" = debian ] || no "it runs ${{PRETTY_NAME:-no Debian}}, and habla needs Debian: install Debian 12"
[ -d /run/systemd/system ] || no "systemd does not run on it, and habla needs systemd: boot it with systemd"
command -v apt-get >/dev/null || no "it has no apt-get, and habla installs packages with it: reinstall apt"
p="Python 3.9 or newer with its standard library: apt-get install python3"
command -v python3 >/dev/null || no "it has no python3, and habla needs $p"
v=$(python3 -c "import sys; print(sys.version.split()[0]); import json, http.client, tarfile
sys.exit(sys.version_info < (3, 9))" 2>/dev/null) || no "its python3 is ${{v:-broken}}, and habla needs $p"
for d in "$PWD" /etc /usr/local /var/lib; do
[ -w "$d" ] || no "$d is read-only, and habla writes there: mount it read-write"
k=$(df -Pk "$d" | awk "NR == 2 {{print \\$4}}")
[ "$k" -lt {_ROOM} ] 2>/dev/null && no "$d has $k KB free, and habla needs {_ROOM} KB there: free some space"
done; :"""
_NO_SUDO = (
    "{user} may not use sudo without a password, and habla needs root: "
    'add "{user} ALL=(ALL) NOPASSWD: ALL" to /etc/sudoers.d, or log in as root'
)
_NO_HOME = (
    "{user} may not write to his home directory, and habla sends its agent there: "
    "make the directory, and give it to {user}"
)


def first_contact(
    name: str, connection: Connection, *, agent: str, opts: pulumi.ResourceOptions
) -> remote.Command:
    """The resource of the first command on a host. The rest of the host waits for it.

    agent: the digest of the agent that will be sent. Each new one is a reason to look at the host again.
    """
    return host_command(
        contact_resource(name),
        connection,
        create=contact_command(name, connection.user),
        # The command does not read it. A change makes the engine run the command.
        stdin=agent[:12],
        delete=None,
        opts=opts,
        as_root=False,
    )


def contact_command(host: str, user: str) -> str:
    """The command, for the user who logs in, that fails with a host, fact, need and fix. It changes nothing.

    host: a short DNS name. user: one that the rule for ``ssh.user`` allows. Neither has a meaning to a shell.
    """
    check = shlex.join(["sh", "-c", _CHECK.replace("USER", user).replace("HOST", host), host])
    if user == "root":
        return check
    steps = [("sudo -n true </dev/null", _NO_SUDO), ("test -w .", _NO_HOME)]
    refusals = [
        f"{step} || {{ echo {shlex.quote(f'habla: {host}: {words.format(user=user)}')} >&2; exit 1; }}; "
        for step, words in steps
    ]
    return "".join(refusals) + f"sudo -n {check}"
