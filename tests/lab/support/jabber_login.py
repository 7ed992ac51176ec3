"""Tries to log in to Jabber, and says how that ended.

    jabber-login.py ADDRESS     with [[JID, PASSWORD], …] on stdin; prints [null or why not, …], both as JSON

Run in the lab's outside network. Every account that is let in sends a message to itself.
"""

from __future__ import annotations

import asyncio
import json
import sys

from jabber_probe import ASKING, Client


async def log_in(address: str, jid: str, password: str) -> str | None:
    client = Client(jid, password)
    try:
        await client.log_in(address)
        client.send_message(mto=client.boundjid.bare, mbody=f"kept for {jid}", mtype="chat")
        await asyncio.sleep(0.5)
    except (ConnectionError, TimeoutError) as error:
        return f"{type(error).__name__} {error}"
    finally:
        client.cancel_connection_attempt()
        await asyncio.wait_for(client.disconnect(wait=1), ASKING)
    return None


async def main(address: str) -> None:
    accounts = json.load(sys.stdin)
    print(json.dumps([await log_in(address, jid, password) for jid, password in accounts]))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
