"""Ways from the machine of a lab to the services on its hosts."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

__all__ = ["Forward"]


@dataclass(frozen=True)
class Forward:
    """A port of the loopback address that leads a user of a lab to a service.

    target: a port of the host's outside address, or ``ADDRESS:PORT``, or ``itself:ADDRESS:PORT``: see
    ``LabHost.forwards``. label: its name for people. url: its URL, with ``{port}`` in it.
    user: an account there, whose password is the secret of that name.
    """

    target: int | str
    label: str = ""
    url: str = "127.0.0.1:{port}"
    _: KW_ONLY
    user: str = ""
    secret: str = ""
