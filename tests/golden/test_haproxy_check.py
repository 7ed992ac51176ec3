"""Every HAProxy config that was approved passes HAProxy's own check: Debian's for 2.x.

Those of 2.x also pass that of the newest HAProxy that Debian has, which is fetched once a day.

The real 1.3.14.10 is asked where HABLA_HAPROXY_1_3_BINARY says where it is; Debian does not package it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from haproxy_check import words_of_check
from newest_haproxy import Haproxy, newest_haproxy

GOLDEN = Path(__file__).parent / "stacks"
DEBIAN = "/usr/sbin/haproxy"
CONFIGS = sorted(GOLDEN.glob("*/*/etc/haproxy/*.cfg"))


def _is_of_debian(config: Path) -> bool:
    """Whether Debian's HAProxy reads the config, so that it is one of dialect 2.x."""
    unit = config.parents[1] / "systemd" / "system" / f"haproxy@{config.stem}.service"
    return f"\nExecStart={DEBIAN} " in unit.read_text("utf-8")


OF_DEBIAN = [config for config in CONFIGS if _is_of_debian(config)]


def _program(config: Path) -> str:
    if _is_of_debian(config):
        return DEBIAN
    binary = os.environ.get("HABLA_HAPROXY_1_3_BINARY", "")
    if not binary:
        pytest.skip("no HAProxy 1.3 to ask: HABLA_HAPROXY_1_3_BINARY")
    return binary


def _id(config: Path) -> str:
    return str(config.relative_to(GOLDEN))


def _words(program: str, config: Path, *, directory: Path) -> str:
    files = {str(path): path.read_text("utf-8") for path in config.parent.iterdir()}
    return words_of_check([program], str(config), files=files, directory=directory)


@pytest.mark.parametrize("config", CONFIGS, ids=_id)
def test_haproxy_takes_every_approved_config(config: Path, tmp_path: Path) -> None:
    """``haproxy -c`` finds no fault and warns of nothing."""
    program = _program(config)
    if not shutil.which(program):
        pytest.skip("no haproxy here: make test installs it")
    words = _words(program, config, directory=tmp_path)
    assert "failed" not in words and "WARNING" not in words.upper(), words


@pytest.fixture(scope="module")
def newest() -> Haproxy:
    """The newest HAProxy of Debian."""
    return newest_haproxy()


@pytest.mark.slow
@pytest.mark.parametrize("config", OF_DEBIAN, ids=_id)
def test_the_newest_haproxy_takes_every_approved_config(
    config: Path, newest: Haproxy, tmp_path: Path
) -> None:
    """``haproxy -c`` of it finds no fault, warns of nothing, and calls nothing deprecated."""
    words = _words(str(newest.program), config, directory=tmp_path)
    found = [word for word in ("failed", "warning", "deprecated") if word in words.lower()]
    assert found == [], f"HAProxy {newest.version}: {words}"


@pytest.mark.slow
def test_the_newest_haproxy_refuses_a_shared_name(newest: Haproxy, tmp_path: Path) -> None:
    """It is a HAProxy with the rules of 3.3 and later, so its silence about the other configs counts."""
    config = next(config for config in OF_DEBIAN if config.stem == "jabber")
    text = config.read_text("utf-8")
    assert "\nfrontend c2s-in\n" in text
    shared = text.replace("\nfrontend c2s-in\n", "\nfrontend c2s\n")
    words = words_of_check(
        [str(newest.program)], str(config), files={str(config): shared}, directory=tmp_path
    )
    assert "backend 'c2s' has the same name as frontend 'c2s'" in words and "failed" in words
