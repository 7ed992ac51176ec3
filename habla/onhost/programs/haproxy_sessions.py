#!/usr/bin/python3
"""Prints how many sessions an HAProxy instance has at the moment, for snmpd.

Usage: haproxy-sessions URL. URL is the instance's statistics as CSV; the sessions are those of its frontends.
Prints U, Cacti's word for an unknown value, when the instance does not answer.

Written to each host that runs HAProxy; Python 3.9 and its standard library only.
"""

from __future__ import annotations

import csv
import io
import sys
import urllib.request

# While snmpd waits for this program it answers nothing else, and Cacti waits half a second for each value.
SECONDS = 0.8


def sessions(text: str) -> int:
    """The sessions of all frontends except the statistics. Works with both dialects of HAProxy."""
    rows = csv.DictReader(io.StringIO(text[2:] if text.startswith("# ") else text))
    fronts = [row for row in rows if row["svname"] == "FRONTEND"]
    if not fronts:
        raise ValueError("HAProxy answered without statistics")
    return sum(int(row["scur"] or 0) for row in fronts if row["pxname"] != "stats")


def main(url: str) -> int:
    try:
        # Straight to this host, even if the environment names a proxy.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=SECONDS) as answer:
            print(sessions(answer.read().decode("utf-8", "replace")))
    except (OSError, KeyError, ValueError):
        print("U")
        return 1
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
