"""The verbs of the habla command that need no host."""

from __future__ import annotations

from pathlib import Path

import pytest

from habla.cli import main

ROOT = Path(__file__).parents[2]


def test_render_writes_each_file_at_its_own_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``--out DIR`` gives DIR/HOST/absolute/path, of one host when one is named."""
    assert main(["-C", str(ROOT), "render", "-s", "lab", "--host", "web1", "--out", str(tmp_path)]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["web1"]
    assert (tmp_path / "web1" / "etc" / "hosts").read_text().endswith("192.168.2.120\tweb1\n")
    assert "of 1 hosts" in capsys.readouterr().out


def test_render_refuses_a_host_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    """The hosts that are there are named."""
    assert main(["-C", str(ROOT), "render", "-s", "lab", "--host", "web9"]) == 2
    assert "front1, monitor1, stable1, stable2, web1" in capsys.readouterr().err


def test_addresses_shows_each_role_with_its_free_space(capsys: pytest.CaptureFixture[str]) -> None:
    """The plan of the lab."""
    assert main(["-C", str(ROOT), "addresses", "-s", "lab"]) == 0
    printed = capsys.readouterr().out
    assert "stable     192.168.2.100-192.168.2.119, 18 free\n  192.168.2.100   stable1\n" in printed


def test_jabber_admin_shows_the_way_to_the_admin_page(capsys: pytest.CaptureFixture[str]) -> None:
    """By SSH, to the first host with Jabber or to the one that is named."""
    assert main(["-C", str(ROOT), "jabber", "admin", "-s", "production"]) == 0
    line, url, accounts = capsys.readouterr().out.splitlines()
    assert line == "ssh -N -L 5285:127.0.0.1:5285 -p 22 deploy@192.0.2.20"
    assert url == "then open  http://127.0.0.1:5285/admin/"
    assert "services.jabber.admins" in accounts
    assert main(["-C", str(ROOT), "jabber", "admin", "-s", "production", "stable2"]) == 0
    assert "deploy@192.0.2.30" in capsys.readouterr().out
    assert main(["-C", str(ROOT), "jabber", "admin", "-s", "production", "front1"]) == 2
    assert "known: stable1, stable2" in capsys.readouterr().err
