"""The browser's libraries: where they come from, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from toolchain.setup import npm
from toolchain.setup.report import SetupError


def _tarball(**files: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


GOOD = _tarball(**{"dist/small.js": "small();", "README.md": "not wanted"})


class Registry(HTTPServer):
    """A registry with one package. asked: the paths that were asked for."""

    def __init__(self, content: bytes) -> None:
        self.asked: list[str] = []
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry.asked.append(self.path)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """The registry that npm is set to use."""
    with Registry(GOOD) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_address[1]}/mirror/")
        yield server
        server.shutdown()
        thread.join()


def clone(directory: Path, *, content: bytes = GOOD, path: str = "dist/small.js") -> Path:
    """A clone that wants one file of the package, whose hash is that of the content."""
    digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
    pin = {"version": "1.2.3", "integrity": f"sha512-{digest}", "files": {path: "small.js"}}
    (directory / "requirements").mkdir(parents=True)
    (directory / npm.PINS).write_text(json.dumps({"@scope/small": pin}))
    (directory / npm.TARGET).parent.mkdir(parents=True)
    return directory


def test_the_wanted_file_comes_from_the_configured_registry(registry: Registry, tmp_path: Path) -> None:
    """It is downloaded once, also for another clone, and the rest of the package is left out."""
    for name in ("one", "two"):
        there = clone(tmp_path / name)
        assert not npm.is_provided(there)
        npm.provide(there, tmp_path / "cache")
        assert npm.is_provided(there)
        assert [path.name for path in (there / npm.TARGET).iterdir()] == ["small.js"]
        assert (there / npm.TARGET / "small.js").read_text() == "small();"
    assert registry.asked == ["/mirror/@scope/small/-/small-1.2.3.tgz"]


def test_a_file_that_is_no_longer_wanted_goes(registry: Registry, tmp_path: Path) -> None:
    """The archive of the web app is what the pins say, and no more."""
    there = clone(tmp_path / "clone")
    (there / npm.TARGET).mkdir()
    (there / npm.TARGET / "old.js").write_text("old();")
    npm.provide(there, tmp_path / "cache")
    assert [path.name for path in (there / npm.TARGET).iterdir()] == ["small.js"]


def test_another_content_is_refused(registry: Registry, tmp_path: Path) -> None:
    """A package whose hash is not the pinned one leaves nothing behind."""
    there = clone(tmp_path / "clone", content=b"what was pinned")
    with pytest.raises(SetupError, match=r"small 1\.2\.3 from the registry is not the pinned package"):
        npm.provide(there, tmp_path / "cache")
    assert not npm.is_provided(there)
    assert [path for path in (tmp_path / "cache").iterdir() if not path.name.startswith(".")] == []


def test_a_missing_file_is_named(registry: Registry, tmp_path: Path) -> None:
    """A path that the package does not have is an error about requirements/npm.json."""
    there = clone(tmp_path / "clone", path="dist/other.js")
    with pytest.raises(SetupError, match=r"has no file .*other\.js"):
        npm.provide(there, tmp_path / "cache")


def test_a_registry_that_is_away_is_an_error_with_a_fix(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The message has the address and the way to name another registry."""
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:1")
    with pytest.raises(SetupError, match=r"127\.0\.0\.1:1/@scope/small.*npm_config_registry=URL"):
        npm.provide(clone(tmp_path / "clone"), tmp_path / "cache")


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ("", npm.DEFAULT_REGISTRY),
        ("//r.example/:_authToken=x\nregistry=https://r.example/npm/\n", "https://r.example/npm/"),
        ("registry = http://a.example\nregistry = http://b.example\n", "http://b.example"),
        ("@scope:registry=https://scope.example\n", npm.DEFAULT_REGISTRY),
    ],
)
def test_settings_are_read_without_npm(
    settings: str, found: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On a machine without npm, its settings file says which registry to use."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(npm, "_SYSTEM_SETTINGS", ())
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".npmrc").write_text(settings)
    assert npm.registry() == found


def test_pins_are_complete() -> None:
    """Each package of the project has a whole version and a sha512."""
    for package in npm.pinned(Path(__file__).parents[2]):
        assert package.version.count(".") == 2 and package.integrity.startswith("sha512-") and package.files
