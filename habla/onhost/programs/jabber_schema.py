#!/usr/bin/python3
"""Loads ejabberd's tables into MySQL, once for all hosts of Jabber.

Usage: jabber-schema LOGIN MARK. LOGIN: a file with the client's options, for --defaults-extra-file. MARK: a
file that says that the tables of this LOGIN are there, so that ejabberd also starts while MySQL is away.

Written to each host that has an ejabberd with data in MySQL; Python 3.9 and its standard library only.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path
from typing import List

SCHEMA = Path("/usr/share/ejabberd/sql/mysql.new.sql")
DEADLINE = 120


def main(words: List[str]) -> int:
    if len(words) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    login, mark = map(Path, words)
    where = hashlib.sha256(re.sub(r"(?m)^password=.*$", "", login.read_text()).encode()).hexdigest()
    if mark.exists() and mark.read_text() == where:
        return 0
    schema = SCHEMA.read_text("utf-8")
    wanted = set(re.findall(r"(?m)^CREATE TABLE `?(\w+)`?", schema))
    if wanted - tables(login):
        # One host at a time. A table that another host has made in between is an error that --force ignores.
        asked = "SELECT GET_LOCK('habla-jabber-schema', 60);\n" + schema
        client(login, "--force", text=asked, may_fail=True)
    missing = wanted - tables(login)
    if missing:
        print(f"MySQL lacks the tables {', '.join(sorted(missing))}", file=sys.stderr)
        return 1
    mark.write_text(where)
    return 0


def tables(login: Path) -> "set[str]":
    return set(client(login, "--skip-column-names", text="SHOW TABLES;").split())


def client(login: Path, option: str, *, text: str, may_fail: bool = False) -> str:
    result = subprocess.run(
        ["mariadb", f"--defaults-extra-file={login}", "--batch", option],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
    if result.returncode and not may_fail:
        sys.exit(f"MySQL refuses: {result.stderr.strip()[:300]}")
    return result.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
