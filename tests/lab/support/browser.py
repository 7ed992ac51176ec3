"""A real browser in the lab's outside network: headless Chromium with a profile that outlives each visit."""

from __future__ import annotations

import html
import re
from pathlib import Path

from chromium import QUIET
from clients import FRONT
from fleet import Fleet

OUTSIDE = "203.0.113.1"
# Where planter.py listens: a browser keeps cookies by host name, whatever the port.
EARLIER_PORT = 8081


class Browser:
    """Visits pages of www.hab.la, one after the other, with one cookie jar."""

    def __init__(self, fleet: Fleet, profile: Path) -> None:
        self._fleet, self._profile = fleet, profile

    def visit(self, url: str) -> str:
        """The text of the page."""
        rules = f"MAP www.hab.la:{EARLIER_PORT} {OUTSIDE}:{EARLIER_PORT},MAP www.hab.la {FRONT}"
        done = self._fleet.outside(
            "chromium",
            "--headless",
            "--no-sandbox",
            "--no-first-run",
            *(f"--disable-{name}" for name in QUIET),
            f"--user-data-dir={self._profile}",
            f"--host-resolver-rules={rules}",
            "--dump-dom",
            url,
        )
        assert done.returncode == 0, done.stderr
        return html.unescape(re.sub(r"<[^>]*>", "", done.stdout)).strip()
