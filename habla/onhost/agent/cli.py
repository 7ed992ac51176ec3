"""The agent's command line. It prints one JSON line on standard output, and a failure on standard error.

Exit status: 0 done, 1 a step failed and the old state is back, 2 wrong usage, 3 ``diff`` found differences.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
from typing import Any, Dict, List, Optional

from ..brought import completed
from ..document import FORMAT, escaped
from ..document_text import read_document
from ..failure import Failure, hide, readable
from ..made_secrets import base_secret
from ..reading import from_json
from . import places, system
from .bundle import brought_text
from .deletion import delete
from .diff import compare
from .installation import install, uninstall
from .rollback import roll_back
from .transaction import Transaction


def main(arguments: Optional[List[str]] = None) -> int:
    """Run one verb."""
    parser = argparse.ArgumentParser(prog="agent", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    apply_parser = verbs.add_parser("apply", help="make this host as the document on standard input says")
    apply_parser.add_argument("--owner", default="", help="the resource of the stack that applies it")
    apply_parser.add_argument("--new", action="store_true", help="that resource has just been made")
    verbs.add_parser("diff", help="say what apply would change, and change nothing")
    verbs.add_parser("secrets", help="keep the secrets on standard input; apply again what asks for them")
    recover_parser = verbs.add_parser("recover", help="put the old state back after a broken run")
    recover_parser.add_argument("--boot", action="store_true", help="the units do not run yet")
    delete_parser = verbs.add_parser("delete", help="undo a component")
    delete_parser.add_argument("component")
    delete_parser.add_argument("--owner", default="", help="the resource that is deleted")
    delete_parser.add_argument("--purge", action="store_true", help="its data directories too")
    install_parser = verbs.add_parser("install", help="put this program in place; let the boot recover")
    install_parser.add_argument("--to", required=True, help="the path at which it is used")
    install_parser.add_argument("--owner", default="", help="the resource of the stack that installs it")
    install_parser.add_argument("--host", default="", help="the name of this host in the stack")
    install_parser.add_argument("--new", action="store_true", help="that resource has just been made")
    uninstall_parser = verbs.add_parser("uninstall", help="forget everything but data and packages")
    uninstall_parser.add_argument("--owner", default="", help="the resource that is deleted")
    options = parser.parse_args(arguments)
    os.umask(0o022)
    try:
        if options.verb == "diff":
            return _diff(_read())
        with places.lock():
            report = _verb(options)
    except Failure as failure:
        return _fail(failure.step, failure.subject, reason=failure.reason, options=options)
    except Exception as error:
        # Never a traceback, because it may show a secret.
        return _fail(
            options.verb,
            getattr(error, "filename", None) or type(error).__name__,
            reason=str(error),
            options=options,
        )
    print(json.dumps(report, sort_keys=True))
    return 0


def _fail(step: str, subject: str, *, reason: str, options: Any) -> int:
    where = getattr(options, "host", "") or _known_host() or socket.gethostname()
    print(f"habla: {where}: step {step}: {readable(subject)}: {readable(reason)}", file=sys.stderr)
    return 1


def _known_host() -> str:
    """The name of this host in its stack, since the agent was installed; the machine may have another one."""
    try:
        return str((places.read_json(places.OWNER) or {}).get("host", ""))
    except (OSError, ValueError):
        return ""


def _verb(options: Any) -> Dict[str, Any]:
    hide(escaped(places.secrets()))
    system.remove_policy()
    if options.verb == "install":
        return install(_json(), options.to, owner=options.owner, new=options.new, host=options.host)
    recovered = roll_back(boot=getattr(options, "boot", False))
    report: Dict[str, Any] = {}
    if options.verb == "apply":
        report = Transaction(_read(), places.secrets(), owner=options.owner, new=options.new).run()
    elif options.verb == "secrets":
        report = deliver(_read())
    elif options.verb == "delete":
        report = delete(options.component, options.owner, purge=options.purge)
    elif options.verb == "uninstall":
        report = uninstall(options.owner)
    if recovered:
        report["recovered"] = recovered
    return report


def _read() -> Any:
    raw = _json()
    if raw.get("format") != FORMAT:
        reason = f"this agent reads documents of format {FORMAT}, not {raw.get('format')}"
        raise Failure("read", "standard input", reason=reason)
    return completed(raw, brought_text)


def _json() -> Dict[str, Any]:
    try:
        raw = read_document(sys.stdin.read())
    except ValueError as error:
        raise Failure("read", "standard input", reason=f"the document is not JSON: {error}") from None
    if not isinstance(raw, dict):
        raise Failure(
            "read", "standard input", reason=f"the document must be a mapping, not {type(raw).__name__}"
        )
    return raw


def _diff(raw: Any) -> int:
    hide(escaped(places.secrets()))
    document = from_json(raw)
    record = places.read_json(places.record_path(document.component)) or {}
    changes = compare(document, record, secrets=places.secrets())
    print(json.dumps({"component": document.component, "changed": changes.report()}, sort_keys=True))
    return 3 if changes else 0


def deliver(raw: Any) -> Dict[str, Any]:
    """Keep the secrets; apply every recorded component that asks for one. Raises Failure.

    The new secrets are kept first: a component that refuses them is rolled back and says so, and the next
    run tries it again.
    """
    secrets = raw.get("secrets", {})
    if not isinstance(secrets, dict) or not all(isinstance(value, str) for value in secrets.values()):
        raise Failure("read", "secrets", reason="the secrets must be a mapping of names to strings")
    hide(escaped(secrets))
    changed = places.secrets() != secrets
    if changed:
        places.SECRETS.parent.mkdir(mode=0o755, exist_ok=True)
        places.write_json(places.SECRETS, secrets)
    applied: List[str] = []
    waiting: List[str] = []
    for component, record in places.records().items():
        wanted = from_json(record["document"]).secrets
        if not all(name in secrets or base_secret(name) in secrets for name in wanted):
            # It asks for a secret that is no more: its own next apply, or its deletion, comes after this.
            waiting.append(component)
        elif wanted and Transaction(record["document"], secrets).run()["changed"]:
            applied.append(component)
    return {"secrets": sorted(secrets), "changed": changed, "applied": applied, "waiting": waiting}
