"""Secrets that habla makes itself. Each is derived from a secret of the user and from its purpose.

So the user need not invent a token for each program. The same settings give the same token at every
deployment, and a new secret of the user makes all of them new.
"""

from __future__ import annotations

import hashlib
import hmac
import re

__all__ = ["base_secret", "made_secret", "made_value"]

_MADE = re.compile(r"made/([a-z0-9._-]+)/from/(.+)")


def made_secret(purpose: str, *, base: str) -> str:
    """The name of the secret for ``purpose`` that follows from the secret ``base``."""
    return f"made/{purpose}/from/{base}"


def base_secret(name: str) -> str:
    """The secret of the user's that a secret follows from; the secret itself when the user gives it."""
    found = _MADE.fullmatch(name)
    return found[2] if found else name


def made_value(name: str, base: str) -> str:
    """The value of a secret. base: the value of its ``base_secret``. 64 hexadecimal digits if it is made."""
    found = _MADE.fullmatch(name)
    if found is None:
        return base
    return hmac.new(base.encode(), f"habla {found[1]}".encode(), hashlib.sha256).hexdigest()
