"""The agent as one file: a zip that Python runs, the same bytes on every machine."""

from __future__ import annotations

import base64
import io
import zipfile
from importlib import resources

__all__ = ["AGENT_PATH", "agent_bundle", "install_script"]

AGENT_PATH = "/usr/local/lib/habla/agent.pyz"
_MAIN = "import sys\n\nfrom agent.cli import main\n\nsys.exit(main())\n"


def agent_bundle() -> bytes:
    """The zip. Stored, not deflated: zlib's output differs between versions."""
    sources = {
        f"agent/{item.name}": item.read_bytes()
        for item in resources.files("habla.agent").iterdir()
        if item.name.endswith(".py")
    }
    sources["__main__.py"] = _MAIN.encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as bundle:
        for name, content in sorted(sources.items()):
            bundle.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def install_script() -> str:
    """A shell script, for root, that puts the agent in place in one step and lets it set itself up."""
    text = base64.encodebytes(agent_bundle()).decode()
    directory = AGENT_PATH.rpartition("/")[0]
    return f"""\
set -eu
command -v python3 >/dev/null || {{ echo "habla: python3 is not installed on this host" >&2; exit 1; }}
command -v systemctl >/dev/null || {{ echo "habla: this host does not run systemd" >&2; exit 1; }}
command -v apt-get >/dev/null || {{ echo "habla: this host is not a Debian" >&2; exit 1; }}
umask 022
mkdir -p {directory}
base64 -d >{AGENT_PATH}.new <<'END'
{text}END
python3 {AGENT_PATH}.new install {AGENT_PATH}
mv {AGENT_PATH}.new {AGENT_PATH}
"""
