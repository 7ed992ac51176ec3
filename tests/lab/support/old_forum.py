"""The test's own program in the fleet: see tests/lab/apps/old/old.py."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from fleet import Fleet

_SOURCE = Path(__file__).parents[1] / "apps" / "old"


def old_forum(fleet: Fleet, seconds: str = "{}", maxconn: int = 20) -> dict[str, Any]:
    """The setting that puts it on both stable hosts. seconds: host name -> how long a request takes there."""
    shutil.copytree(_SOURCE, fleet.project / "old", dirs_exist_ok=True)
    return {
        "apps.old": {
            "roles": ["stable"],
            "archive": {"path": "old"},
            "packages": ["python3"],
            "command": ["/usr/bin/python3", "{app}/old.py"],
            "port": 8050,
            "maxconn": maxconn,
            "routes": [{"path": "/old"}],
            "health": {"path": "/old/peak"},
            "environment": {"SECONDS": seconds},
        }
    }
