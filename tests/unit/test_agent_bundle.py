"""The agent as it travels: one file, the same everywhere, with the programs that states name."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from habla.components.agent_bundle import Bundle, agent_bundle
from habla.onhost.document_text import read_document
from habla.plan.stack_files import load_plan

ROOT = Path(__file__).parents[2]


def test_the_manifest_has_the_digest_of_the_file_and_of_each_module() -> None:
    """So a preview names the modules that change, and a host knows what it was sent."""
    bundle = agent_bundle()
    manifest = read_document(bundle.manifest)
    assert manifest["sha256"] == hashlib.sha256(bundle.content).hexdigest()
    assert {"onhost/document.py", "onhost/agent/cli.py", "habla_watch/main.py", "cacti/sync.py"} <= set(
        manifest["files"]
    )
    assert len(bundle.manifest) < 4000


def test_every_program_that_a_state_names_travels_with_the_agent() -> None:
    """Of archives without a URL, those are the ones that no command of the component hands over."""
    with zipfile.ZipFile(io.BytesIO(agent_bundle().content)) as bundle:
        brought = {name.removeprefix("programs/").removesuffix(".tar") for name in bundle.namelist()}
    named = {
        archive.sha256
        for host in load_plan(ROOT, "lab").hosts.values()
        for state in host.states.values()
        for path, archive in state.archives.items()
        if path.startswith("/usr/local/lib/habla/")
    }
    assert len(named) == 4 and named <= brought


def test_it_runs_as_one_file(tmp_path: Path) -> None:
    """As hosts run it."""
    path = tmp_path / "agent.pyz"
    path.write_bytes(agent_bundle().content)
    done = subprocess.run([sys.executable, str(path), "--help"], capture_output=True, text=True, check=True)
    assert "apply" in done.stdout


def test_the_same_bytes_come_out_with_any_hash_seed() -> None:
    """Else every machine would send the agent anew."""
    script = (
        "import hashlib; from habla.components.agent_bundle import agent_bundle as b;"
        "print(hashlib.sha256(b().content).hexdigest(), b().manifest)"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_its_file_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine reads it at its own time, so it stays."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    bundle = Bundle(b"the agent", "0" * 64, "{}")
    path = bundle.path()
    assert path.read_bytes() == b"the agent"
    before = path.stat().st_mtime_ns
    assert bundle.path().stat().st_mtime_ns == before
