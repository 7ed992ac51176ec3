"""Keeps the ejabberd node of this host ready, started and in the cluster of its peers.

prepare             before each start: put another node's database aside, copy what a join would overwrite
certify             before each start and reload: sign a certificate, unless the one there is for all domains
heal                while it starts, and by timer: see the start through, join, mend a split, merge the copy
settle              in an apply: have it healed; prove that the cluster serves, or name the host it waits for
well ADDRESS PORT   whether this node serves, or waits for a host that is up
force               the operator's command: no longer wait for the data of other nodes

Which node this is, and the port of the cluster, is in /etc/default/ejabberd; its peers and domains are in
/etc/habla/jabber-cluster.json.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import certificate, cluster, database, merging, settling
from .cluster_settings import cluster_settings
from .erlang import Erlang, ErlangFault
from .own_node import OwnNode, own_node
from .starting import NotServing, Start, force_now


def main() -> int:
    """Run the verb of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("prepare", "certify", "heal", "settle"):
        verbs.add_parser(verb)
    well = verbs.add_parser("well")
    well.add_argument("address")
    well.add_argument("port", type=int)
    verbs.add_parser("force")
    options = parser.parse_args()
    try:
        return _run(options)
    except (ErlangFault, NotServing) as error:
        print(error, file=sys.stderr)
        return 1


def _run(options: argparse.Namespace) -> int:
    settings = cluster_settings()
    peers = list(settings.peers)
    if options.verb == "certify":
        place = Path(settings.certificate)
        if settings.domains and not certificate.certifies(place, settings.domains):
            certificate.sign(place, settings.domains)
        return 0
    node = own_node()
    if options.verb == "prepare":
        database.put_foreign_aside(node)
        database.keep_what_would_be_lost(node, peers)
    elif options.verb == "heal":
        heal(node, peers)
    elif options.verb == "settle":
        print(settling.settle(node, peers))
    elif options.verb == "well":
        settling.be_well(node, address=options.address, c2s_port=options.port)
    else:
        with Erlang(node) as erlang:
            print(force_now(erlang, node))
    return 0


def heal(node: OwnNode, peers: list[str]) -> None:
    """See the start through, then bring the node together with every peer that can be reached."""
    with Erlang(node) as erlang:
        Start(erlang, node, peers=peers).serve()
        if cluster.gather(erlang, node, peers=peers):
            Start(erlang, node, peers=peers).serve()
        state = erlang.state(node.name)
        cluster.forget_forced(state)
        if merging.due() and state.running > {node.name}:
            merging.merge(erlang, node)
