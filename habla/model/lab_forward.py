"""Ways from the machine of a lab to the services on its hosts."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

__all__ = ["Forward"]


@dataclass(frozen=True)
class Forward:
    """A way for a user of a lab from the loopback address to a service.

    target: a port of the host's outside address, or ``ADDRESS:PORT``, or ``itself:ADDRESS:PORT``: see
    ``LabHost.forwards``. label: what people know it by. url: how they reach it, with ``{port}`` in it.
    user: who may log in there, with the password that is the secret of that name.
    """

    target: int | str
    label: str = ""
    url: str = "127.0.0.1:{port}"
    _: KW_ONLY
    user: str = ""
    secret: str = ""
