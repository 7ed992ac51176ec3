"""``python -m habla.lab VERB --dir DIR``: reads a JSON document from stdin and prints one JSON line.

Progress and errors go to stderr. The exit status is 0, 2 for wrong usage, or 3 for an error.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from habla.errors import LabError

__all__ = ["main"]

_HOST_VERBS = {
    "host-delete": "stop a host and remove its files",
    "host-start": "boot a host and wait for SSH",
    "host-stop": "shut a host down cleanly",
    "host-kill": "cut the power of a host: kill every process at once",
    "link-down": "pull the network cables of a host, which goes on running",
    "link-up": "plug the network cables of a host in again",
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m habla.lab", description="Makes hosts on this machine.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        verb = verbs.add_parser(name, help=text, description=text)
        verb.add_argument("--dir", default=".lab", help="directory of the lab (default: .lab)")
        return verb

    add("lab-create", "make or update the lab; reads its description from stdin")
    add("lab-delete", "stop all hosts and remove the lab")
    add("host-create", "make or update a host; reads its description from stdin")
    for name, text in _HOST_VERBS.items():
        add(name, text).add_argument("name", metavar="NAME")
    add("start", "start the supervisor and the hosts that do not run")
    add("status", "print which hosts run")
    for name, text in (("outside", "the outside client's network"), ("inside", "the lab's own network")):
        verb = add(name, f"run a command in {text}")
        verb.add_argument("command", nargs=argparse.REMAINDER, metavar="-- CMD")
    add("requirements", "print the Debian packages that are missing on this machine")
    add("supervise", "for internal use").add_argument("--ready", type=int, required=True)
    return parser


def _read_stdin(verb: str) -> dict[str, Any]:
    text = "" if sys.stdin.isatty() else sys.stdin.read()
    try:
        document = json.loads(text or "{}")
    except json.JSONDecodeError as error:
        raise LabError(f"{verb}: stdin is not JSON ({error})") from error
    if not isinstance(document, dict):
        raise LabError(f"{verb}: stdin must hold a JSON object")
    return document


def _run(arguments: argparse.Namespace) -> Any:
    # Imported late, so that `requirements` runs on a machine where nothing else would work.
    from habla.lab import requirements, verbs
    from habla.lab.paths import LabPaths

    paths = LabPaths.of(arguments.dir)
    if arguments.verb != "requirements" and os.geteuid() != 0:
        requirements.check()
    match arguments.verb:
        case "requirements":
            print("\n".join(requirements.missing_packages()))
            return None
        case "lab-create":
            return verbs.lab_create(paths, _read_stdin(arguments.verb))
        case "lab-delete":
            return verbs.lab_delete(paths)
        case "host-create":
            return verbs.host_create(paths, _read_stdin(arguments.verb))
        case "start":
            verbs.start(paths)
            return None
        case "status":
            return verbs.status(paths)
        case "outside" | "inside":
            command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
            verbs.run_in_network(paths, arguments.verb, command=command)
        case "supervise":
            from habla.lab.supervisor import supervise

            supervise(paths, arguments.ready)
        case _:
            return verbs.ask(paths, arguments.verb, name=arguments.name)
    return None


def main(arguments: list[str] | None = None) -> int:
    """Run one verb and return the exit status."""
    try:
        result = _run(_parser().parse_args(arguments))
    except (LabError, OSError) as error:
        print(f"lab: error: {error}", file=sys.stderr)
        return 3
    if result is not None:
        print(json.dumps(result, sort_keys=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
