"""The tool that reads and changes ejabberd's cluster."""

from __future__ import annotations

from habla.onhost.programs.jabber_cluster import parse_nodes


def test_the_cluster_tool_reads_erlang_terms() -> None:
    """Running nodes, and those that are known but do not run; names with dashes are quoted in Erlang."""
    text = (
        " {db_nodes,['ejabberd@stable-2',ejabberd@stable1,\n           ejabberd@stable3]},\n"
        " {running_db_nodes,[ejabberd@stable1]},\n"
    )
    assert parse_nodes(text) == ({"ejabberd@stable1"}, {"ejabberd@stable-2", "ejabberd@stable3"})
