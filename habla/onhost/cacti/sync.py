#!/usr/bin/python3
"""Brings Cacti's devices, graphs and trees in line with the fleet. Leaves all others alone.

Usage: python3 -m cacti.sync WANTED LOCK. WANTED is JSON:
  {"snmp": {"version": "3", "port": 161, "user": U, "auth": A, "privacy": P},
   "devices": [{"name": N, "address": A, "partitions": ["/", ...], "sessions": {INSTANCE: OID}}, ...]}
A device without partitions gets a graph of every file system on a device of its own. LOCK keeps polls away.
Of SNMP 2c: {"version": "2c", "port": 161, "community": C}.

Prints one line of JSON: {"added": [...], "changed": [...], "pending": [...], "removed": [...]}. Pending is
everything that SNMP does not show yet, because the host is down or has no such partition. The next run tries
again.

The table ``habla_graph`` names the graphs that habla made.

Written to the host that runs Cacti; Python 3.9 and its standard library only.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .client import Cacti, Row, hold, quoted
from .trees import plant

FILES = Path("/var/lib/cacti/rra")
# Our devices have this as their external id.
OURS = "habla"
# Disks by UCD's table, not hrStorage: Cacti asks for that by a script that gets the passphrases as its words.
DISKS, INTERFACES = "Net-SNMP - Get Monitored Partitions", "SNMP - Interface Statistics"
GRAPHS = {
    "partition": "Net-SNMP - Available Disk Space",
    "traffic": "Interface - Traffic (bits/sec)",
    "load": "Net-SNMP - Load Average",
    "memory": "Net-SNMP - Memory Usage",
    "sessions": "HAProxy - Sessions",
}
# The columns of a device that the poller has a copy of.
POLLED = (
    "hostname",
    *("snmp_version", "snmp_community", "snmp_username", "snmp_password", "snmp_auth_protocol"),
    *("snmp_priv_passphrase", "snmp_priv_protocol", "snmp_port", "snmp_timeout"),
)
_PSEUDO = re.compile(r"/(sys|run|proc|dev)(/|$)")


def columns(device: Mapping[str, Any], snmp: Mapping[str, Any]) -> dict[str, str]:
    """The columns of a device in the table ``host``."""
    v3 = snmp["version"] == "3"
    return {
        "hostname": device["address"],
        "snmp_version": "3" if v3 else "2",
        "snmp_community": "" if v3 else snmp["community"],
        "snmp_username": snmp["user"] if v3 else "",
        "snmp_password": snmp["auth"] if v3 else "",
        "snmp_auth_protocol": "SHA512" if v3 else "",
        "snmp_priv_passphrase": snmp["privacy"] if v3 else "",
        "snmp_priv_protocol": "AES128" if v3 else "",
        "snmp_port": str(snmp["port"]),
        "snmp_timeout": "500",
        # Asked for its uptime first: a host that is down costs one timeout, not one for each value.
        "availability_method": "2",
    }


def real_partitions(rows: Sequence[Row]) -> list[str]:
    """Mount points of file systems on devices of their own, from pairs of mount point and device."""
    found: dict[str, str] = {}
    for path, device in sorted(rows, key=lambda row: (len(row[0]), row[0])):
        # A device that is mounted twice counts once, where its path is shortest.
        if device.startswith("/dev/") and not _PSEUDO.match(path):
            found.setdefault(device, path)
    return sorted(found.values())


class Sync:
    """One run."""

    def __init__(self, cacti: Cacti, wanted: Mapping[str, Any]) -> None:
        self.cacti = cacti
        self.snmp = wanted["snmp"]
        self.wanted = {device["name"]: device for device in wanted["devices"]}
        self.report: dict[str, list[str]] = {"added": [], "changed": [], "pending": [], "removed": []}
        self.queries = {
            # Some names have two blanks in a row.
            name: cacti.one(f"SELECT id FROM snmp_query WHERE REPLACE(name, '  ', ' ') = {quoted(name)};")
            for name in (DISKS, INTERFACES)
        }
        self.templates = {
            key: cacti.one(f"SELECT id FROM graph_templates WHERE name = {quoted(name)};")
            for key, name in GRAPHS.items()
        }

    def run(self) -> dict[str, list[str]]:
        self.cacti.sql(
            "CREATE TABLE IF NOT EXISTS habla_graph (host_id INT UNSIGNED, item VARCHAR(190),"
            " local_graph_id INT UNSIGNED, PRIMARY KEY (host_id, item)) COLLATE utf8mb4_bin;"
            # A graph that a user removed is made again.
            " DELETE FROM habla_graph WHERE local_graph_id NOT IN (SELECT id FROM graph_local);"
        )
        rows = self.cacti.sql(f"SELECT id, description FROM host WHERE external_id = '{OURS}' ORDER BY id;")
        ids = {name: number for number, name in rows}
        gone = [row for row in rows if row[1] not in self.wanted or ids[row[1]] != row[0]]
        self.remove_devices(gone)
        for name, device in sorted(self.wanted.items()):
            number = ids.get(name) or self.add(name, device)
            self.update(number, device)
            self.graphs(number, device)
        self.repoll()
        self.report["added"] += plant(self.cacti, OURS)
        return self.report

    def remove_devices(self, gone: Sequence[Row]) -> None:
        if gone:
            numbers = [row[0] for row in gone]
            where = f"host_id IN ({', '.join(numbers)})"
            graphs = self.cacti.sql(f"SELECT id FROM graph_local WHERE {where};")
            self.remove("devices", numbers, [row[0] for row in graphs])
            self.cacti.sql(f"DELETE FROM habla_graph WHERE {where};")
            self.report["removed"] += [row[1] for row in gone]

    def remove(self, what: str, ids: Sequence[str], graphs: Sequence[str]) -> None:
        """Remove graphs or devices, then the files that nothing refers to any more."""
        paths: list[Row] = []
        if graphs:
            paths = self.cacti.sql(
                "SELECT DISTINCT d.data_source_path FROM data_template_data d"
                " JOIN data_template_rrd r ON r.local_data_id = d.local_data_id"
                " JOIN graph_templates_item i ON i.task_item_id = r.id"
                f" WHERE d.local_data_id > 0 AND i.local_graph_id IN ({', '.join(graphs)});"
            )
        self.cacti.act(f"remove {what}", ids)
        left = {row[0] for row in self.cacti.sql("SELECT data_source_path FROM data_template_data;")}
        for path in {row[0] for row in paths} - left:
            if path.startswith("<path_rra>/") and ".." not in path:
                (FILES / path.split("/", 1)[1]).unlink(missing_ok=True)

    def add(self, name: str, device: Mapping[str, Any]) -> str:
        words = ["--template=0", "--version=0", "--avail=none", f"--external-id={OURS}"]
        output = self.cacti.php(
            "add_device.php", f"--description={name}", f"--ip={device['address']}", *words
        )
        found = re.search(r"new device-id: \((\d+)\)", output)
        if found is None:
            sys.exit(f"Cacti cannot add {name}: {output.strip()}")
        self.report["added"].append(name)
        return found[1]

    def update(self, number: str, device: Mapping[str, Any]) -> None:
        wanted = columns(device, self.snmp)
        rows = self.cacti.sql(f"SELECT {', '.join(wanted)} FROM host WHERE id = {number};")
        if rows[0] != list(wanted.values()):
            changes = ", ".join(f"{name} = {quoted(value)}" for name, value in wanted.items())
            self.cacti.sql(f"UPDATE host SET {changes} WHERE id = {number};")
            if device["name"] not in self.report["added"]:
                self.report["changed"].append(device["name"])

    def repoll(self) -> None:
        """Bring the poller's list of questions up to date. It has a copy of each device's row.

        No program of Cacti's does that in every version. In 1.2.24, push_out_hosts.php does it, and
        rebuild_poller_cache.php leaves old passphrases. In 1.2.30, the former calls the latter, which renews
        the first device, whichever it is given.
        """
        same = " AND ".join(f"p.{name} <=> h.{name}" for name in POLLED)
        stale = self.cacti.sql(
            "SELECT DISTINCT h.id FROM poller_item p JOIN host h ON h.id = p.host_id"
            f" WHERE h.external_id = '{OURS}' AND NOT ({same});"
        )
        self.cacti.act("renew", [row[0] for row in stale])

    def graphs(self, number: str, device: Mapping[str, Any]) -> None:
        """The graphs of one device; those that stay keep their ids, files and history."""
        name = device["name"]
        have = dict(self.cacti.sql(f"SELECT item, local_graph_id FROM habla_graph WHERE host_id = {number};"))
        items, absent = self.items(number, device, have)
        self.pause(number, name, absent & set(have))
        for item in sorted(set(have) - set(items)):
            self.remove("graphs", [have[item]], [have[item]])
            self.cacti.sql(f"DELETE FROM habla_graph WHERE host_id = {number} AND item = {quoted(item)};")
            self.report["removed"].append(f"{name} {item}")
        for item, words in items.items():
            if item in have:
                continue
            template = f"--graph-template-id={self.templates[item.split(' ')[0]]}"
            output = self.cacti.php("add_graphs.php", f"--host-id={number}", template, *words)
            found = re.search(r"Graph\[(\d+)\]|graph-id: \((\d+)\)", output)
            if found is None:
                self.report["pending"].append(f"{name} {item}")
                continue
            values = f"{number}, {quoted(item)}, {found[1] or found[2]}"
            self.cacti.sql(f"REPLACE INTO habla_graph VALUES ({values});")
            self.report["added"].append(f"{name} {item}")

    def pause(self, number: str, name: str, absent: set[str]) -> None:
        """Poll only the file systems that SNMP shows.

        When a file system is gone, another one soon gets its number in the table, and Cacti would take
        its values. After a restart of snmpd Cacti takes no values from the first poll and asks for the table.
        This method runs after that poll.
        """
        rows = self.cacti.sql(
            "SELECT DISTINCT h.item, d.local_data_id, d.active FROM habla_graph h"
            " JOIN graph_templates_item i ON i.local_graph_id = h.local_graph_id"
            " JOIN data_template_rrd r ON r.id = i.task_item_id"
            " JOIN data_template_data d ON d.local_data_id = r.local_data_id"
            f" WHERE h.host_id = {number} AND d.local_data_id > 0 ORDER BY h.item;"
        )
        self.cacti.act("pause", [row[1] for row in rows if row[0] in absent and row[2]])
        self.cacti.act("resume", [row[1] for row in rows if row[0] not in absent and not row[2]])
        self.report["pending"] += [f"{name} {item}" for item in sorted(absent)]

    def items(
        self, number: str, device: Mapping[str, Any], have: Mapping[str, str]
    ) -> tuple[dict[str, list[str]], set[str]]:
        """The graphs of a device, as name -> the words for ``add_graphs.php``, and those that it lacks."""
        plain = "--graph-type=cg"
        items = {"load": [plain], "memory": [plain]}
        for instance, oid in sorted(device["sessions"].items()):
            title = f"--graph-title=|host_description| - HAProxy {instance} - Sessions"
            # Forced, as this template serves several graphs of one device.
            items[f"sessions {instance}"] = [plain, "--force", title, f"--input-fields=oid={oid}"]
        address, paths = device["address"], list(device["partitions"])
        answers = self.ask(number, INTERFACES, "ifIP", [address])
        items["traffic"] = self.indexed(INTERFACES, "traffic", "In/Out Bits (64-bit)", "ifIP", address)
        # A host that does not answer one question will not answer the next, and each costs seconds.
        shown = self.ask(number, DISKS, "dskPath", paths, always=not paths) if answers else []
        if not paths:
            # Existing graphs stay, even if a file system is not mounted at the moment.
            old = [item.split(" ", 1)[1] for item in have if item.startswith("partition ")]
            paths = sorted({*old, *real_partitions(shown)})
            if not paths:
                self.report["pending"].append(f"{device['name']} partitions")
        for path in paths:
            items[f"partition {path}"] = self.indexed(DISKS, "partition", "Disk Space", "dskPath", path)
        absent = {f"partition {path}" for path in paths} - {f"partition {row[0]}" for row in shown}
        if not any(row[0] == address for row in answers):
            absent.add("traffic")
        # A host that never answered has nothing to pause.
        return items, absent if answers and shown else set()

    def indexed(self, query: str, graph: str, kind: str, field: str, value: str) -> list[str]:
        number = self.queries[query]
        found = self.cacti.one(
            f"SELECT id FROM snmp_query_graph WHERE snmp_query_id = {number} AND name = {quoted(kind)}"
            f" AND graph_template_id = {self.templates[graph]};"
        )
        words = ["--graph-type=ds", f"--snmp-query-id={number}", f"--snmp-query-type-id={found}"]
        return [*words, f"--snmp-field={field}", f"--snmp-value={value}"]

    def ask(
        self, number: str, query: str, field: str, wanted: Sequence[str], always: bool = False
    ) -> list[Row]:
        """The rows of a table that a device shows, as pairs of a field and of the device that a disk is on.

        Cacti keeps it, and asks again after a restart of snmpd, the only time that the numbers in the table
        change. It is made to ask when something wanted is missing.
        """
        where = f"host_id = {number} AND snmp_query_id = {self.queries[query]}"
        select = (
            "SELECT c.field_value, d.field_value FROM host_snmp_cache c LEFT JOIN host_snmp_cache d"
            " ON d.host_id = c.host_id AND d.snmp_query_id = c.snmp_query_id AND d.snmp_index = c.snmp_index"
            f" AND d.field_name = 'dskDevice' WHERE c.{where.replace('AND ', 'AND c.')}"
            f" AND c.field_name = {quoted(field)} AND c.present = 1;"
        )
        if not self.cacti.sql(f"SELECT 1 FROM host_snmp_query WHERE {where};"):
            words = (f"--host-id={number}", f"--data-query-id={self.queries[query]}")
            self.cacti.php("add_data_query.php", *words, "--reindex-method=uptime")
            return self.cacti.sql(select)
        rows = self.cacti.sql(select)
        # 1: down, so says the poller, and it is the one to notice when that is over.
        down = self.cacti.sql(f"SELECT 1 FROM host WHERE id = {number} AND status = 1;")
        if (always or set(wanted) - {row[0] for row in rows}) and not down:
            self.cacti.php("poller_reindex_hosts.php", f"--id={number}", f"--qid={self.queries[query]}")
            rows = self.cacti.sql(select)
        return rows


def main(wanted_file: str, lock: str) -> None:
    wanted = json.loads(Path(wanted_file).read_text("utf-8"))
    hold(lock)
    print(json.dumps(Sync(Cacti(), wanted).run(), sort_keys=True))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
