#!/usr/bin/python3
"""Makes Cacti ready without its web installer, and gives ``admin`` the wanted password.

Usage: python3 -m cacti.setup WANTED LOCK READY. LOCK keeps polls away. READY is a file that lets polls
begin. WANTED is JSON: {"password": TEXT}. The database and its user are there already.

It does the work of the web installer and of Debian's dbconfig: tables, settings, templates, and last a mark
that everything is done. May run any number of times. Prints one line of JSON: {"changed": [...]}.

Written to the host that runs Cacti; Python 3.9 and its standard library only.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .client import AS_CACTI, CACTI, DATABASE, Cacti, hold

# All that the sync uses: disks, load, memory, traffic; and a graph of any one number.
TEMPLATES = ("NetSNMP_Device", "Generic_SNMP_Device")
# Every minute, not every five: a partition that fills is seen in time, and new graphs show something soon.
SECONDS = 60
SETTINGS = {
    "poller_enabled": "on",
    "poller_interval": str(SECONDS),
    "cron_interval": str(SECONDS),
    "poller_type": "1",
}
# Of a fresh installation only; a user may turn them on. As delivered, Cacti searches 192.168.1.0/24 for
# hosts, and makes graphs of its own choice for hosts that it gets to know.
AUTOMATION = ("automation_networks", "automation_graph_rules", "automation_tree_rules")
# Cacti's template for a single number has no title of its own; ours is a copy with one.
NUMBER, SESSIONS = "SNMP - Generic OID Template", "HAProxy - Sessions"
COPY = """
chdir("/usr/share/cacti/site");
require "include/cli_check.php";
require_once "lib/api_graph.php";
api_duplicate_graph(0, $argv[1], $argv[2]);
"""


sql = Cacti().sql


def run(command: Sequence[str], stdin: str = "") -> str:
    done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def php(script: str, *words: str) -> str:
    """A program of Cacti's, as the user that its files belong to; unlike the sync's, it must succeed."""
    return run([*AS_CACTI, "php", "-q", f"{CACTI}/{script}", *words])


def settings(wanted: dict[str, str]) -> str:
    rows = ", ".join(f"('{name}', '{value}')" for name, value in sorted(wanted.items()))
    return f"REPLACE INTO settings (name, value) VALUES {rows};"


def installed() -> bool:
    """Whether an earlier run has finished, or the user has an installation of Cacti."""
    if not sql("SHOW TABLES LIKE 'version';") or sql("SELECT cacti FROM version;") in ([], [["new_install"]]):
        return False
    return not sql("SHOW TABLES LIKE 'habla_setup';") or bool(sql("SELECT done FROM habla_setup;"))


def install() -> None:
    """Create the tables. Tables that an interrupted run left are made anew, because they hold no data yet."""
    charset = "CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci"
    sql(f"DROP DATABASE {DATABASE}; CREATE DATABASE {DATABASE} {charset};", "mysql")
    sql(Path(CACTI, "conf_templates/cacti.sql").read_text("utf-8"))
    found = re.search(r"RRDtool (\d+\.\d+\.\d+)", run(["rrdtool", "--version"]))
    sql(settings({**SETTINGS, "rrdtool_version": found[1] if found else "1.7.2"}))
    # All partitions of the fleet on one page, not ten.
    sql(
        "REPLACE INTO settings_user (user_id, name, value)"
        " SELECT id, 'treeview_graphs_per_page', '100' FROM user_auth WHERE username = 'admin';"
    )
    sql(f"UPDATE data_source_profiles SET `default` = IF(step = {SECONDS}, 'on', '');")
    sql(" ".join(f"UPDATE {table} SET enabled = '';" for table in AUTOMATION))
    # The programs will not run, nor the pages show, before the version is the right one.
    version = Path(CACTI, "site/include/cacti_version").read_text("utf-8").strip()
    sql(f"CREATE TABLE habla_setup (done INT); UPDATE version SET cacti = '{version}';")
    for name in TEMPLATES:
        php("cli/import_package.php", f"--filename={CACTI}/site/install/templates/{name}.xml.gz")
    sql("INSERT INTO habla_setup VALUES (1);")


def make_template() -> None:
    rows = sql(f"SELECT id FROM graph_templates WHERE name = '{NUMBER}';")
    if not rows:
        sys.exit(f"Cacti could not import its templates {', '.join(TEMPLATES)}")
    run([*AS_CACTI, "php", "-r", COPY, "--", rows[0][0], SESSIONS])
    ours = f"graph_template_id = (SELECT id FROM graph_templates WHERE name = '{SESSIONS}')"
    colour = "COALESCE((SELECT MIN(id) FROM colors WHERE hex = '7CB3F1'), 1)"
    sql(
        f"UPDATE graph_templates_graph SET vertical_label = 'sessions' WHERE {ours};"
        f" UPDATE graph_templates_item SET text_format = 'Sessions', color_id = {colour}"
        f" WHERE {ours} AND sequence = 1;"
    )


def set_password(password: str) -> bool:
    """True when it was another one. It goes by standard input: anybody may read a process's words."""
    rows = sql("SELECT password FROM user_auth WHERE username = 'admin' AND must_change_password = '';")
    known = rows[0][0] if rows else ""
    words = json.dumps([password, known])
    check = "[$p, $h] = json_decode(stream_get_contents(STDIN)); exit(password_verify($p, $h) ? 0 : 1);"
    if subprocess.run(["php", "-r", check], input=words, text=True, check=False).returncode == 0:
        return False
    make = "[$p] = json_decode(stream_get_contents(STDIN)); echo password_hash($p, PASSWORD_BCRYPT);"
    value = run(["php", "-r", make], words)
    sql(
        f"UPDATE user_auth SET password = '{value}', must_change_password = '', enabled = 'on', locked = '',"
        " failed_attempts = 0, lastchange = UNIX_TIMESTAMP() WHERE username = 'admin';"
        # Sessions with the old password end.
        " DELETE FROM user_auth_cache WHERE user_id IN (SELECT id FROM user_auth WHERE username = 'admin');"
    )
    return True


def main(wanted_file: str, lock: str, ready: str) -> None:
    wanted = json.loads(Path(wanted_file).read_text("utf-8"))
    hold(lock)
    changed = []
    if not installed():
        install()
        changed.append("database")
    sql(settings(SETTINGS))
    if not sql(f"SELECT id FROM graph_templates WHERE name = '{SESSIONS}';"):
        make_template()
        changed.append("template")
    if set_password(wanted["password"]):
        changed.append("password")
    Path(ready).touch()
    print(json.dumps({"changed": changed}))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
