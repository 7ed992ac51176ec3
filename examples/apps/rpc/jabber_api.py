"""Commands of ejabberd's HTTP API (mod_http_api), asked of the first host that answers."""

from __future__ import annotations

import base64
import http.client
import json
import os
import sys
import urllib.error
import urllib.request
from typing import Any

from http_app import BackendError

SECONDS = 5.0


class CommandError(BackendError):
    """ejabberd refused a command, as any other host of the cluster would. status: of HTTP."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class JabberApi:
    """The API of JABBER_API (base URLs with commas), as JABBER_API_USER with JABBER_API_TOKEN."""

    def call(self, command: str, **arguments: Any) -> Any:
        """The command's result. Raises CommandError when it is refused, BackendError when no host answers."""
        bases = [base for base in os.environ.get("JABBER_API", "").split(",") if base]
        fault = "JABBER_API names no host"
        for base in bases:
            try:
                return self._ask(f"{base.rstrip('/')}/{command}", arguments)
            except CommandError:
                raise
            # HTTPException: a host that ends in the middle of its answer.
            except (OSError, http.client.HTTPException) as error:
                fault = f"{base}: {error}"
                print(f"Jabber API: {fault}", file=sys.stderr, flush=True)
        raise BackendError(f"Jabber API: {fault}")

    def _ask(self, address: str, arguments: dict[str, Any]) -> Any:
        user, token = os.environ.get("JABBER_API_USER", ""), os.environ.get("JABBER_API_TOKEN", "")
        credentials = base64.b64encode(f"{user}:{token}".encode()).decode()
        headers = {
            "Authorization": f"Basic {credentials}",
            "Content-Type": "application/json",
            # A domain of the server, and not its address, which ejabberd 24.12 would complain of in its log.
            "Host": os.environ.get("JABBER_DOMAIN", "hab.la"),
        }
        request = urllib.request.Request(address, json.dumps(arguments).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            reason = error.read(2000).decode("utf-8", "replace")
            if error.code >= 500:
                raise OSError(f"status {error.code}: {reason}") from error
            raise CommandError(error.code, f"Jabber API: {error.code} {reason}") from error
        except ValueError as error:
            raise OSError(f"no JSON: {error}") from error
