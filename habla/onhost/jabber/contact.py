"""Whether another host answers, and whether an ejabberd of its own does."""

from __future__ import annotations

import enum
import errno
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Dict, Iterable

_SECONDS = 2.0


class Contact(enum.Enum):
    """How a host answers at the port of the cluster."""

    ANSWERS = "its ejabberd runs"
    REFUSES = "its host is up, its ejabberd is not"
    SILENT = "its host does not answer"


def contact(host: str, port: int) -> Contact:
    """How a host answers now, within two seconds."""
    try:
        socket.create_connection((host, port), timeout=_SECONDS).close()
    except OSError as error:
        return Contact.REFUSES if error.errno == errno.ECONNREFUSED else Contact.SILENT
    return Contact.ANSWERS


def contacts(hosts: Iterable[str], port: int) -> Dict[str, Contact]:
    """How each host answers, asked all at once."""
    names = sorted(hosts)
    if not names:
        return {}
    with ThreadPoolExecutor(len(names)) as pool:
        return dict(zip(names, pool.map(lambda host: contact(host, port), names)))
