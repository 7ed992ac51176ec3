"""The two trees: every partition's graph in one view, and every host with all its graphs."""

from __future__ import annotations

import re
import sys

from .client import Cacti, quoted

PARTITIONS, HOSTS = "Disk space", "Hosts"


def plant(cacti: Cacti, ours: str) -> list[str]:
    """Bring the trees in line for devices whose external id is ``ours``. Returns the added entries.

    Other entries that a user adds to the trees stay, and so does their order.
    """
    added: list[str] = []
    disks, hosts = (_tree(cacti, name) for name in (PARTITIONS, HOSTS))
    cacti.sql(
        f"DELETE FROM graph_tree_items WHERE graph_tree_id IN ({disks}, {hosts}) AND ("
        "(local_graph_id > 0 AND local_graph_id NOT IN (SELECT id FROM graph_local))"
        " OR (host_id > 0 AND host_id NOT IN (SELECT id FROM host)));"
    )
    placed = _column(cacti, f"SELECT local_graph_id FROM graph_tree_items WHERE graph_tree_id = {disks};")
    rows = cacti.sql(
        "SELECT h.description, g.item, g.local_graph_id FROM habla_graph g JOIN host h ON h.id = g.host_id"
        " WHERE g.item LIKE 'partition %' ORDER BY h.description, g.item;"
    )
    for host, item, graph in rows:
        if graph not in placed:
            # At the root, because Cacti shows the entries of one level together. Titles begin with the host.
            _node(cacti, disks, "--node-type=graph", f"--graph-id={graph}")
            added.append(f"{PARTITIONS}: {host} {item}")
    placed = _column(cacti, f"SELECT host_id FROM graph_tree_items WHERE graph_tree_id = {hosts};")
    devices = cacti.sql(f"SELECT id, description FROM host WHERE external_id = {quoted(ours)} ORDER BY 2;")
    for number, host in devices:
        if number not in placed:
            _node(cacti, hosts, "--node-type=host", f"--host-id={number}")
            added.append(f"{HOSTS}: {host}")
    return added


def _column(cacti: Cacti, query: str) -> list[str]:
    return [row[0] for row in cacti.sql(query)]


def _tree(cacti: Cacti, name: str) -> str:
    found = _column(cacti, f"SELECT id FROM graph_tree WHERE name = {quoted(name)} ORDER BY id;")
    if found:
        return found[0]
    return _number(cacti.php("add_tree.php", "--type=tree", f"--name={name}", "--sort-method=natural"))


def _node(cacti: Cacti, tree: str, *words: str) -> str:
    return _number(cacti.php("add_tree.php", "--type=node", f"--tree-id={tree}", *words))


def _number(output: str) -> str:
    found = re.search(r"(?:tree|node)-id: \((\d+)\)", output)
    if found is None:
        sys.exit(f"Cacti cannot add a place to its trees: {output.strip()}")
    return found[1]
