"""The table of docs/jabber.md: what a client finds by default."""

from __future__ import annotations

from typing import Any

__all__ = ["documented", "table"]

_HEAD = "| what a client finds | XEP | by default | setting |"
# Words, XEP, where it is asked, the feature that says so, and the setting.
_ROWS = (
    ("Rooms", "0045", "rooms", "http://jabber.org/protocol/muc", "`rooms`, `domains.NAME.rooms`"),
    ("Archive of each user", "0313", "account", "urn:xmpp:mam:2", "`archive`"),
    ("Archive of rooms", "0313", "rooms", "urn:xmpp:mam:2", "`archive`"),
    ("Messages on all devices (carbons)", "0280", "server", "urn:xmpp:carbons:2", "`modules.mod_carboncopy`"),
    ("Client state", "0352", "stream", "urn:xmpp:csi:0", "`modules.mod_client_state`"),
    ("Resumed streams", "0198", "stream", "urn:xmpp:sm:3", "`modules.mod_stream_mgmt`"),
    (
        "Personal events (PEP)",
        "0163",
        "account",
        "http://jabber.org/protocol/pubsub#publish",
        "`modules.mod_pubsub`",
    ),
    ("Bookmarks of rooms", "0411", "account", "urn:xmpp:bookmarks-conversion:0", "`modules.mod_pubsub`"),
    ("Avatars", "0398", "account", "urn:xmpp:pep-vcard-conversion:0", "`modules.mod_avatar`"),
    ("Visiting cards", "0054", "account", "vcard-temp", "`modules.mod_vcard`"),
    ("Blocking", "0191", "server", "urn:xmpp:blocking", "`modules.mod_blocking`"),
    ("Push", "0357", "account", "urn:xmpp:push:0", "`modules.mod_push`"),
    ("Files", "0363", "upload", "urn:xmpp:http:upload:0", "`upload`"),
    ("Messages for users who are away", "0160", "server", "msgoffline", "`limits.offline_messages`"),
    ("Capabilities", "0115", "stream", "http://jabber.org/protocol/caps", "`modules.mod_caps`"),
    ("Versions of the roster", "0237", "stream", "urn:xmpp:features:rosterver", "`modules.mod_roster`"),
    ("Ping", "0199", "server", "urn:xmpp:ping", "`modules.mod_ping`"),
    ("Last activity", "0012", "server", "jabber:iq:last", "`modules.mod_last`"),
    ("Version of the server", "0092", "server", "jabber:iq:version", "`modules.mod_version`"),
    ("Time", "0202", "server", "urn:xmpp:time", "`modules.mod_time`"),
    ("Rooms that people subscribe to", "MUC/Sub", "rooms", "urn:xmpp:mucsub:0", "`modules.mod_muc`"),
    ("Fast login", "0484", "stream", "urn:xmpp:sasl:2", "ejabberd 24.12 and newer: `modules.mod_auth_fast`"),
    ("Registration by clients", "0077", "server", "jabber:iq:register", "`modules.mod_register`"),
)


def table(found: dict[str, Any]) -> list[str]:
    """The lines of the table, from what jabber_probe.py printed."""
    rows = [
        f"| {words} | {xep} | {'yes' if feature in found['features'][where] else 'no'} | {setting} |"
        for words, xep, where, feature, setting in _ROWS
    ]
    tls = found["direct_tls"]["mechanisms"] == "True"
    links = found["links"]
    websocket = "urn:xmpp:alt-connections:websocket" in links
    bosh = "urn:xmpp:alt-connections:xbosh" in links
    visitor = found["visitor"]["jid"].endswith("@visitors.hab.la")
    rows += [
        f"| TLS from the first byte | 0368 | {_word(tls)} | `direct_tls_port` |",
        f"| Websocket, found by host-meta | RFC 7395 | {_word(websocket)} | `http_port`, `https_port` |",
        f"| BOSH, found by host-meta | 0124, 0206 | {_word(bosh)} | `http_port`, `https_port` |",
        f"| Visitors without an account | 0175 | {_word(visitor)} | `domains.NAME.auth: anonymous` |",
    ]
    return [_HEAD, "| --- | --- | --- | --- |", *rows]


def documented(page: str) -> list[str]:
    """The lines of the table as a page has it."""
    lines = page.splitlines()
    first = lines.index(_HEAD)
    last = next(index for index in range(first, len(lines)) if not lines[index].startswith("|"))
    return lines[first:last]


def _word(yes: bool) -> str:
    return "yes" if yes else "no"
