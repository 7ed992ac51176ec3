"""The files in .toolchain that point at the programs: an environment, a launcher, the stand-in's launcher."""

from __future__ import annotations

import shlex
from pathlib import Path

_ENVIRONMENT = """\
# Written by toolchain/setup; sourced by .toolchain/bin/pulumi and by scripts (bash, dash).
# PULUMI_HOME is the clone's: plugins and logins of other projects are neither used nor changed.
export PULUMI_HOME={home}
# The virtual environment first: the language host takes `python3` from PATH.
export PATH={venv}:{bin}:{programs}:"$PATH"
export PULUMI_SKIP_UPDATE_CHECK=true
export PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK=true
export HABLA_PULUMI={pulumi}
"""

_LAUNCHER = """\
#!/bin/sh
# Written by toolchain/setup: the CLI with this clone's plugins and Python.
# For the stack `lab`, and for it alone, the state is a directory of the clone and the passphrase is public.
. {environment}
stack=${{PULUMI_STACK:-}}
previous=
for argument in "$@"; do
    case $previous in -s | --stack) stack=$argument ;; esac
    case $argument in
        --) break ;;
        --stack=*) stack=${{argument#--stack=}} ;;
        -s?*) stack=${{argument#-s}} stack=${{stack#=}} ;;
    esac
    previous=$argument
done
case "${{1:-}} ${{2:-}} ${{3:-}}" in 'stack init lab' | 'stack select lab' | 'stack rm lab') stack=lab ;; esac
if [ "$stack" = lab ]; then
    if [ -z "${{PULUMI_BACKEND_URL:-}}" ]; then
        mkdir -p {state}
        export PULUMI_BACKEND_URL={backend}
    fi
    if [ -z "${{PULUMI_CONFIG_PASSPHRASE+set}}${{PULUMI_CONFIG_PASSPHRASE_FILE:-}}" ]; then
        export PULUMI_CONFIG_PASSPHRASE=lab
    fi
fi
exec {pulumi} "$@"
"""

_STAND_IN = """\
#!/bin/sh
# Written by toolchain/setup: the stand-in for the Command plugin, run from the clone.
# Not by PYTHONPATH: the commands that it runs would inherit that.
exec {python} -c '{code}' {clone} "$@"
"""


_STAND_IN_CODE = (
    "import sys; sys.path[0] = sys.argv.pop(1); from standin.__main__ import main; main(sys.argv[1:])"
)


def write_launchers(clone: Path, programs: Path, *, pulumi_home: Path) -> None:
    """Write `.toolchain/env` and `.toolchain/bin/pulumi` for the CLI in the directory `programs`."""
    home = clone / ".toolchain"
    state = clone / ".lab" / "state"
    binaries = home / "bin"
    binaries.mkdir(parents=True, exist_ok=True)
    pulumi_home.mkdir(parents=True, exist_ok=True)
    quote = {
        "home": pulumi_home,
        "venv": clone / ".venv" / "bin",
        "bin": binaries,
        "programs": programs,
        "pulumi": programs / "pulumi",
        "environment": home / "env",
        "state": state,
        "backend": f"file://{state}",
        "clone": clone,
    }
    values = {name: shlex.quote(str(value)) for name, value in quote.items()}
    _write(home / "env", _ENVIRONMENT.format(**values), mode=0o644)
    _write(binaries / "pulumi", _LAUNCHER.format(**values), mode=0o755)


def write_stand_in(clone: Path, plugin: Path) -> None:
    """Write the stand-in's launcher at `plugin`, and the file STAND-IN beside it as a mark.

    The stand-in runs on the clone's virtual environment. Like the launcher in PULUMI_HOME, that exists for as
    long as the clone.
    """
    plugin.parent.mkdir(parents=True, exist_ok=True)
    python = clone / ".venv" / "bin" / "python"
    _write(plugin.parent / "STAND-IN", "made by toolchain/setup; see standin/README.md\n", mode=0o644)
    text = _STAND_IN.format(
        code=_STAND_IN_CODE, clone=shlex.quote(str(clone)), python=shlex.quote(str(python))
    )
    _write(plugin, text, mode=0o755)


def _write(path: Path, text: str, *, mode: int) -> None:
    draft = path.with_name(path.name + ".new")
    draft.write_text(text)
    draft.chmod(mode)
    draft.rename(path)
