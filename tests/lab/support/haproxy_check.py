"""HAProxy's own check of configs that were rendered for a host."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from habla.onhost.haproxy.prepare import state_text

__all__ = ["words_of_check"]


def words_of_check(program: list[str], config: str, *, files: Mapping[str, str], directory: Path) -> str:
    """What ``haproxy -c`` prints of a config, and "failed" if it refuses it.

    program: how HAProxy is called. config: its path in ``files``, path on the host -> text. directory: where
    the files are written for it.
    """
    for path, text in files.items():
        # The instances' own users are on their hosts alone.
        known = re.sub(r"^( +)(user|group) haproxy-\w+$", r"\1\2 root", text, flags=re.MULTILINE)
        # The file that is written before each start.
        known = re.sub(r"/run/haproxy-\w+/servers", f"{directory}/servers", known)
        (directory / Path(path).name).write_bytes(known.replace("/etc/haproxy/", f"{directory}/").encode())
    (directory / "servers").write_text(state_text({}))
    command = [*program, "-c", "-f", str(directory / Path(config).name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr + ("failed" if done.returncode else "")
