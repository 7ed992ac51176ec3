"""The program of a front host: ``habla-balancer prepare INSTANCE [PID]`` and ``habla-balancer guard``."""

from __future__ import annotations

import contextlib
import shutil
import sys
from typing import List, Optional

from .guard import run
from .instances import LEFT_OUT, RUNNING, load
from .prepare import prepare

__all__ = ["CONFIG", "main"]

CONFIG = "/etc/habla/haproxy.json"
_USAGE = "usage: habla-balancer prepare INSTANCE [PID] | habla-balancer guard"


def main(words: Optional[List[str]] = None) -> int:
    """Exit status 0, or 2 for wrong words. ``guard`` ends only when it is told to."""
    verb, *rest = (sys.argv[1:] if words is None else words) or [""]
    instances = load(CONFIG)
    if verb == "guard" and not rest:
        run(list(instances.values()), _say)
    elif verb == "prepare" and 1 <= len(rest) <= 2 and rest[0] in instances:
        instance = instances[rest[0]]
        try:
            out = prepare(instance, int(rest[1]) if len(rest) == 2 else 0)
        except Exception as error:  # Whatever it is: HAProxy must start.
            _say(f"{instance.name}: {type(error).__name__}: {error}; its config is used as it is")
            shutil.copyfile(instance.config, instance.path(RUNNING))
            # It leaves out no server, so the guard has none to bring back.
            with contextlib.suppress(OSError):
                instance.path(LEFT_OUT).write_text("{}\n", "utf-8")
        else:
            for server, why in out.items():
                _say(f"{instance.name}: no request to {server.label} at first: {why}")
    else:
        print(_USAGE, file=sys.stderr)
        return 2
    return 0


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)
