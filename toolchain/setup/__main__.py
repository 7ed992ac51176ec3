"""`python -m toolchain.setup`: run from the clone, with the Python of its virtual environment."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from toolchain.setup import golang, npm, official, versions
from toolchain.setup.cache import cache_root, digest_of, is_complete, locked
from toolchain.setup.launcher import write_launchers, write_stand_in
from toolchain.setup.report import SetupError, say

CLONE = Path(__file__).parents[2]
HOME = CLONE / ".toolchain"


def main() -> int:
    """Provide the toolchain. Returns 0, or 1 after one message with the fault and its fix."""
    # After SIGTERM it still ends the compilers that it has started.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        if sys.argv[1:] == ["libraries"]:
            if not npm.is_provided(CLONE):
                with locked(cache_root()):
                    npm.provide(CLONE, cache_root())
        elif not _is_done():
            with locked(cache_root()), locked(HOME):
                _provide()
    except SetupError as error:
        say(f"error: {error}")
        return 1
    except OSError as error:
        say(f"error: {error}; is the disk full, or is {cache_root()} not writable?")
        return 1
    except KeyboardInterrupt:
        say("interrupted; the next run goes on from here")
        return 130
    return 0


def _wanted() -> str:
    sources = sorted((CLONE / "toolchain").rglob("*.py")) + sorted((CLONE / "toolchain" / "go").rglob("go.*"))
    return digest_of(*sources, CLONE / npm.PINS, str(CLONE), str(cache_root()), os.environ.get("PATH", ""))


def _is_done() -> bool:
    """Whether the last run had the same sources and settings, and its programs are still there."""
    try:
        stamp = json.loads((HOME / "stamp.json").read_text())
        present = all(os.access(path, os.X_OK) for path in stamp["programs"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(present and stamp["wanted"] == _wanted() and npm.is_provided(CLONE))


def _provide() -> None:
    programs, origin = _cli()
    pulumi_home = HOME / "pulumi-home"
    directory = pulumi_home / "plugins" / f"resource-command-v{versions.COMMAND_PLUGIN}"
    plugin = directory / "pulumi-resource-command"
    write_launchers(CLONE, programs, pulumi_home=pulumi_home)
    kind = _plugin(programs / "pulumi", plugin)
    npm.provide(CLONE, cache_root())
    stamp = {
        "wanted": _wanted(),
        "programs": [str(programs / "pulumi"), str(programs / "pulumi-language-python"), str(plugin)],
        "cli": origin,
        "command_plugin": kind,
    }
    draft = HOME / "stamp.json.new"
    draft.write_text(json.dumps(stamp, indent=1) + "\n")
    draft.rename(HOME / "stamp.json")
    version = _version(programs / "pulumi")
    say(f"pulumi {version} ({origin}), Command plugin {versions.COMMAND_PLUGIN} ({kind})")


def _cli() -> tuple[Path, str]:
    """The directory of the CLI and its language host, and where they come from."""
    present = shutil.which("pulumi")
    if present is not None and Path(present).resolve().parent != HOME / "bin":
        directory = Path(present).resolve().parent
        version = _version(directory / "pulumi")
        if not versions.at_least(version, versions.PULUMI):
            known = version or "of unknown version"
            say(f"{present} is {known}, {versions.PULUMI} or newer is needed; looking elsewhere")
        elif not (directory / "pulumi-language-python").exists():
            say(f"{present} has no pulumi-language-python beside it; looking elsewhere")
        else:
            return directory, "from PATH"
    root = cache_root()
    # A build of an earlier run is as good as a download and needs no network.
    if is_complete(root / golang.entry_name()) and not is_complete(root / official.ENTRY):
        return root / golang.entry_name(), "built with Go"
    downloaded = official.install_cli(root)
    if downloaded is not None:
        return downloaded, "official"
    return golang.build(root), "built with Go"


def _version(pulumi: Path) -> str:
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true", "PULUMI_HOME": str(HOME / "pulumi-home")}
    try:
        done = subprocess.run(
            [pulumi, "version"], capture_output=True, text=True, timeout=60, check=False, env=environment
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _plugin(pulumi: Path, plugin: Path) -> str:
    """Put the Command plugin at the path `plugin`. Returns its kind, `official` or `stand-in`."""
    directory = plugin.parent
    pulumi_home = directory.parents[1]
    is_stand_in = (directory / "STAND-IN").exists()
    if plugin.exists() and not is_stand_in:
        return "official"
    theirs = Path.home() / ".pulumi" / "plugins" / directory.name / plugin.name
    if theirs.exists() and theirs.is_file():
        _clear(directory)
        shutil.copytree(theirs.parent, directory)
        return "official"
    _clear(directory)
    environment = {**os.environ, "PULUMI_HOME": str(pulumi_home), "PULUMI_SKIP_UPDATE_CHECK": "true"}
    if official.install_plugin(pulumi, environment) and plugin.exists():
        return "official"
    _clear(directory)
    write_stand_in(CLONE, plugin)
    return "stand-in"


def _clear(directory: Path) -> None:
    # The engine's own marks of an unfinished download lie beside the plugin's directory.
    for suffix in (".partial", ".lock"):
        directory.with_name(directory.name + suffix).unlink(missing_ok=True)
    if directory.is_symlink():
        directory.unlink()
    elif directory.exists():
        shutil.rmtree(directory)


if __name__ == "__main__":
    sys.exit(main())
