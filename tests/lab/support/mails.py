"""A mail server that keeps nothing; run in the lab's own network.

    mails.py ADDRESS PORT

Events are lines of JSON: {"event": "started"}, and for each mail
{"event": "mail", "to": […], "from": …, "subject": …, "text": …}. It ends with its stdin.
"""

from __future__ import annotations

import email
import email.policy
import sys
from typing import Any

from aiosmtpd.controller import Controller
from events import say


class Sink:
    """Takes every mail."""

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """aiosmtpd's name for the end of a mail."""
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        body = mail.get_body(("plain",))
        say(
            event="mail",
            to=envelope.rcpt_tos,
            **{"from": mail["From"]},
            subject=mail["Subject"],
            text=body.get_content() if body else "",
        )
        return "250 OK"


def main(address: str, port: str) -> None:
    controller = Controller(Sink(), hostname=address, port=int(port))
    controller.start()
    say(event="started")
    sys.stdin.read()
    controller.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
