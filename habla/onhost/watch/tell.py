"""Sends messages by mail or by a command. The next run sends a refused message again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

from .settings import Mail, Settings

_SMTP_SECONDS = 10
COMMAND_SECONDS = 30


@dataclass(frozen=True)
class Message:
    """A subject of one line, and a text."""

    subject: str
    text: str


def plain(text: str) -> str:
    """The text without bytes that cannot be sent, because names of files may not be UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def one_line(text: str) -> str:
    """The text without control characters, which a subject must not have."""
    return "".join(letter if letter.isprintable() else "?" for letter in plain(text))


def tell(settings: Settings, messages: Sequence[Message]) -> tuple[list[bool], str]:
    """Send the messages. Returns whether each was delivered, and the error, if any."""
    if settings.mail is not None:
        return _by_mail(settings.mail, settings.host, messages)
    if settings.command:
        return _by_command(settings.command, messages)
    return [True] * len(messages), ""


def _by_mail(mail: Mail, host: str, messages: Sequence[Message]) -> tuple[list[bool], str]:
    """All in one connection, so that a dead server costs one timeout."""
    import smtplib
    import ssl
    from email import policy
    from email.message import EmailMessage
    from email.utils import formatdate, make_msgid

    taken: list[bool] = []
    fault = ""
    try:
        with smtplib.SMTP(mail.host, mail.port, local_hostname=host, timeout=_SMTP_SECONDS) as server:
            if mail.starttls:
                server.starttls(context=ssl.create_default_context())
            if mail.user:
                password = Path(mail.password_file).read_text("utf-8").rstrip("\n")
                server.login(mail.user, password)
            for message in messages:
                # Lines as they are, which are paths: mail takes 998 characters.
                letter = EmailMessage(policy=policy.SMTP.clone(max_line_length=900))
                letter["From"] = mail.sender
                letter["To"] = ", ".join(mail.to)
                letter["Subject"] = one_line(message.subject)
                letter["Date"] = formatdate(localtime=True)
                letter["Message-ID"] = make_msgid("habla-watch", host)
                # So that nobody's holiday notice comes back.
                letter["Auto-Submitted"] = "auto-generated"
                letter.set_content(plain(message.text))
                refused = server.send_message(letter)
                taken.append(True)
                if refused:
                    fault = f"{mail.host} refuses {', '.join(sorted(refused))}"
    except (OSError, smtplib.SMTPException) as error:
        # A fault while the connection ends does not undo the delivery.
        fault = "" if len(taken) == len(messages) else f"{mail.host}:{mail.port}: {error}"
    return taken + [False] * (len(messages) - len(taken)), fault


def _by_command(command: Sequence[str], messages: Sequence[Message]) -> tuple[list[bool], str]:
    taken = []
    fault = ""
    for message in messages:
        reason = "" if fault else _run([*command, one_line(message.subject)], plain(message.text))
        # A way that hangs or fails is not tried again for each message of this run.
        fault = fault or reason
        taken.append(not fault)
    return taken, fault


def _run(command: Sequence[str], text: str) -> str:
    try:
        # A session of its own, so that its child processes end with it. Its output goes to the journal.
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=sys.stderr, start_new_session=True)
    except OSError as error:
        return f"{command[0]}: {error.strerror}"
    try:
        process.communicate(text.encode(), timeout=COMMAND_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return f"{command[0]} did not end within {COMMAND_SECONDS} s"
    return f"{command[0]} ends with {process.returncode}" if process.returncode else ""
