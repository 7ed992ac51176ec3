#!/usr/bin/python3
"""Lets ejabberd's own reader look at a config: jabber-check CONFIG.

The exit status is 0 when ejabberd takes it; otherwise its own words are on standard error.

Written to each host that runs ejabberd; Python 3.9 and its standard library only. It is a program of its own
because it reads a config before anything else of the same change is in place.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


def check(config: str) -> int:
    """0 when ejabberd takes the config; its own words on standard error when it does not."""
    program = shutil.which("erl")
    if program is None:
        sys.exit("there is no erl, which reads the config")
    code = sorted(Path("/usr/lib").glob("*/ejabberd-*/ebin"))
    if not code:
        sys.exit("there is no /usr/lib/*/ejabberd-*/ebin, which reads the config")
    with tempfile.TemporaryDirectory() as directory:
        # By another ending ejabberd takes it for a config of Erlang terms.
        copied = shutil.copyfile(config, Path(directory) / "ejabberd.yml")
        result = subprocess.run(
            [program, "-noinput", "-pa", str(code[-1]), "-eval", _READ],
            env={**os.environ, "EJABBERD_CONFIG_PATH": str(copied), "ERL_CRASH_DUMP": "/dev/null"},
            cwd=directory,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    if result.returncode:
        print(
            result.stdout.strip() or result.stderr.strip() or f"erl ended with {result.returncode}",
            file=sys.stderr,
        )
    return 1 if result.returncode else 0


# Reads and checks the config as a start does, without a node and without a database.
_READ = """
logger:set_primary_config(level, none),
application:load(ejabberd),
Result = (catch begin
    [{ok, _} = application:ensure_all_started(Name) || Name <- [ssl, fast_yaml, fast_tls, stringprep, xmpp]],
    ejabberd_config:load()
end),
case Result of
    ok -> halt(0);
    {error, _, _} -> io:format("~ts~n", [ejabberd_config:format_error(Result)]), halt(1);
    _ -> io:format("~p~n", [Result]), halt(1)
end.
"""


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(check(sys.argv[1]))
