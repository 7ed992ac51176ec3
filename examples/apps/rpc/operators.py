"""The Jabber accounts of the operators, which this program makes when JABBER_OPERATOR_PASSWORD is set.

An account that is there keeps its password, because its operator may have changed it.
"""

from __future__ import annotations

import os
import sys

from jabber_api import CommandError, JabberApi

# The status of ejabberd's answer for an account that exists.
_CONFLICT = 409

_jabber = JabberApi()
_missing = {name.strip() for name in os.environ.get("JABBER_OPERATORS", "").split(",") if name.strip()}


def make_accounts() -> None:
    """Make the accounts that this program has not made or seen yet. Raises BackendError."""
    password = os.environ.get("JABBER_OPERATOR_PASSWORD", "")
    for operator in sorted(_missing) if password else ():
        user, _, host = operator.partition("@")
        try:
            _jabber.call("register", user=user, host=host, password=password)
            print(f"made the Jabber account {operator}", file=sys.stderr, flush=True)
        except CommandError as error:
            if error.status != _CONFLICT:
                raise
        _missing.discard(operator)
