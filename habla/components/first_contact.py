"""The first command on a host, before anything is sent there: is it a host that habla can use?"""

from __future__ import annotations

import pulumi
from pulumi_command import remote

from habla.components.command import Connection, host_command
from habla.model.names import contact_resource

__all__ = ["contact_command", "contact_script", "first_contact"]

# KB that must be free where the agent is sent to, installed, and keeps its records.
_ROOM = 4096
# Standard input is the script itself, so nothing else may read it.
_AS_ROOT = """\
r() { "$@" </dev/null; }
"""
_WITH_SUDO = """\
r() { sudo -n "$@" </dev/null; }
e=$(r true 2>&1) || no "$u may not use sudo without a password (${e:-no words}), and habla needs root: \
add '$u ALL=(ALL) NOPASSWD: ALL' to /etc/sudoers.d, or log in as root"
"""
_CHECK = f"""\
[ -r /etc/os-release ] && . /etc/os-release
[ "$ID" = debian ] || no "it runs ${{PRETTY_NAME:-no Debian}}, and habla needs Debian: \
install Debian 12 or 13"
[ -d /run/systemd/system ] || no "systemd does not run on it, and habla needs systemd: boot it with systemd"
command -v apt-get >/dev/null || no "it has no apt-get, and habla installs packages with it: reinstall apt"
p="Python 3.9 or newer with its standard library: apt-get install python3"
command -v python3 >/dev/null || no "it has no python3, and habla needs $p"
v=$(r python3 -c 'import sys; print(sys.version.split()[0]); import json, http.client, tarfile
sys.exit(sys.version_info < (3, 9))' 2>/dev/null) || no "its python3 is ${{v:-broken}}, and habla needs $p"
[ -w . ] || no "$u may not write to the home directory $PWD, and habla sends its agent there: \
mount it read-write, or give it to $u"
for d in /etc /usr/local /var/lib; do
r test -w $d || no "$d is read-only, and habla writes there: mount it read-write"
done
for d in "$PWD" /etc /usr/local /var/lib; do
k=$(df -Pk "$d" | awk 'NR == 2 {{print $4}}')
[ "$k" -lt {_ROOM} ] 2>/dev/null && no "$d has $k KB free, and habla needs {_ROOM} KB there: free some space"
done
exit 0
"""


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
        stdin=contact_script(name, connection.user, agent=agent),
        delete=None,
        opts=opts,
        as_root=False,
    )


def contact_command(host: str, user: str) -> str:
    """The command for the user who logs in.

    A login shell that runs no commands says nothing about the host. The engine shows the command then.
    """
    return f": habla on {host} needs a login shell that runs commands: usermod -s /bin/bash {user}\nsh -s"


def contact_script(host: str, user: str, *, agent: str) -> str:
    """The command's standard input. It fails with a host, fact, need and fix, and changes nothing.

    host: a short DNS name. user: one that the rule for ``ssh.user`` allows. Neither has a meaning to a shell.
    """
    head = f'# agent {agent[:12]}\nu={user}\nno() {{ echo "habla: {host}: $1" >&2; exit 1; }}\n'
    return head + (_AS_ROOT if user == "root" else _WITH_SUDO) + _CHECK
