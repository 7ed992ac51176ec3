"""The agent as it travels: its sources as plain text, which the host makes one file of.

Plain text, so that a preview shows which lines of the agent change, as it does for everything else.
"""

from __future__ import annotations

import json
import shlex

from habla.model.programs import package_texts

__all__ = ["AGENT_PATH", "agent_sources", "install_command"]

AGENT_PATH = "/usr/local/lib/habla/agent.pyz"
_MAIN = "import sys\n\nfrom onhost.agent.cli import main\n\nsys.exit(main())\n"
# Python on the host: sources from standard input into a zip that Python runs, put in place in one step and
# only after it has run once.
_PACK = """\
import json, os, subprocess, sys, zipfile
path = sys.argv[1]
new = path + f".{os.getpid()}"
os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
with zipfile.ZipFile(new, "w") as bundle:
    for name, text in sorted(json.load(sys.stdin)["files"].items()):
        bundle.writestr(zipfile.ZipInfo(name), text)
os.chmod(new, 0o644)
subprocess.run([sys.executable, new, "install", path, *sys.argv[2:]], check=True)
os.replace(new, path)
"""
_REFUSE = """\
for tool in python3 systemctl apt-get; do
    command -v $tool >/dev/null || missing="$missing $tool"
done
if [ -n "$missing" ]; then
    echo "habla: a host is a Debian with systemd and Python 3; this one lacks:$missing" >&2
    exit 1
fi
"""


def agent_sources() -> str:
    """The agent's sources as JSON: ``{"files": {name: text}}``."""
    sources = {
        f"{directory}/{name}": text
        for directory, package in (("onhost", "habla.onhost"), ("onhost/agent", "habla.onhost.agent"))
        for name, text in package_texts(package).items()
    }
    return json.dumps({"files": {"__main__.py": _MAIN, **sources}}, sort_keys=True)


def install_command(*options: str) -> str:
    """The command, for root, that installs the agent from ``agent_sources`` on its standard input.

    options: of the agent's verb ``install``.
    """
    script = _REFUSE + f'pack=$1; shift; exec python3 -c "$pack" {AGENT_PATH} "$@"'
    return shlex.join(["sh", "-c", script, "sh", _PACK, *options])
