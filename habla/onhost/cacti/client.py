"""Cacti's database and Cacti's own programs.

The programs are used wherever they can do the work. SQL does the rest: it looks things up, and sets
passphrases, which must appear in no argument list.
"""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
from collections.abc import Sequence

CACTI = "/usr/share/cacti"
DATABASE = "cacti"
# The user that its files belong to; runuser would have PAM write two lines into the journal each time.
AS_CACTI = ("setpriv", "--reuid=www-data", "--regid=www-data", "--init-groups", "--")
_ACT = """
chdir("/usr/share/cacti/site");
require "include/cli_check.php";
$all = ["api_aggregate", "api_data_source", "api_device", "api_graph", "data_query", "poller", "utility"];
foreach ($all as $one) {
    require_once "lib/$one.php";
}
$ids = array_slice($argv, 2);
switch ($argv[1]) {
case "remove devices": api_device_remove_multi($ids); break;
case "remove graphs": api_delete_graphs($ids, "2"); break;
case "renew": foreach ($ids as $id) { push_out_host($id); } break;
case "pause": api_data_source_disable_multi($ids); break;
case "resume": foreach ($ids as $id) { api_data_source_enable($id); } break;
}
"""
Row = list[str]


def quoted(value: str) -> str:
    """A value as a string of SQL."""
    return "'" + re.sub(r"([\\'])", r"\\\1", value) + "'"


def hold(lock: str) -> None:
    """Wait until no other program here works on Cacti, then keep others waiting until this one ends."""
    # Opened to read, so that it may belong to either user.
    descriptor = os.open(lock, os.O_RDONLY | os.O_CREAT, 0o644)
    fcntl.flock(descriptor, fcntl.LOCK_EX)


class Cacti:
    """Cacti's database, and its programs."""

    def sql(self, text: str, database: str = DATABASE) -> list[Row]:
        """Run SQL as root and return the rows. NULL is an empty string."""
        words = ["--batch", "--skip-column-names", "--default-character-set=utf8mb4", "--user=root"]
        output = self._run(["mariadb", *words, "--protocol=socket", database], text)
        return [[plain(cell) for cell in line.split("\t")] for line in output.splitlines()]

    def php(self, program: str, *words: str) -> str:
        """Run one of Cacti's programs as the user that its files belong to."""
        return self._run([*AS_CACTI, "php", "-q", f"{CACTI}/cli/{program}", *words])

    def act(self, what: str, ids: Sequence[str]) -> None:
        """Call functions of Cacti that it has no program for. A removal takes tree entries along."""
        if ids:
            self._run([*AS_CACTI, "php", "-r", _ACT, "--", what, *ids])

    def one(self, query: str) -> str:
        """The one value of a query. Exits if there is none."""
        rows = self.sql(query)
        if not rows:
            sys.exit(f"Cacti has no result for: {query}")
        return rows[0][0]

    @staticmethod
    def _run(command: list[str], stdin: str = "") -> str:
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        if done.returncode and command[0] == "mariadb":
            sys.exit(f"mariadb: {done.stderr.strip()}")
        return done.stdout


def plain(cell: str) -> str:
    """A cell of MariaDB's batch output as it was; NULL is an empty string."""
    if cell == "NULL":
        return ""
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t", "0": "\0"}.get(found[1], found[1]), cell)
