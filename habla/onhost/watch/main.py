"""The watcher's command line.

without options   look once, remember the result, send due messages (habla-watch.timer runs it often)
--test            send a test message, to see that it arrives
--logs            print the logs without a bound as JSON; remember and send nothing

Exit status: 0 all was done; with --logs: every log is bounded. 1 something could not be done; with --logs:
some logs are not bounded. 2 wrong usage or settings; with --logs also: it could not be found out.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Sequence

from . import look, settings, tell
from .state import Places

# Levels of the journal, as systemd reads them at the start of a line.
_NOTICE, _WARNING = "<5>", "<4>"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run once."""
    parser = argparse.ArgumentParser(
        prog="watch", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--logs", action="store_true", help="print the logs that nothing bounds, as JSON")
    parser.add_argument("--test", action="store_true", help="tell a test message, and nothing else")
    parser.add_argument("--config", default=settings.CONFIG, help="default: %(default)s")
    options = parser.parse_args(arguments)
    try:
        config = settings.load(options.config)
    except (OSError, ValueError) as error:
        print(f"{_WARNING}watch: {error}", file=sys.stderr)
        return 2
    if options.logs:
        document, status = look.logs_document(config)
        print(json.dumps(document, indent=2, sort_keys=True))
        return status
    if options.test:
        text = f"The watcher of {config.host} can tell you when something is wrong.\n"
        sent = tell.Message(f"[habla {config.environment}] {config.host}: a test", text)
        _, fault = tell.tell(config, [sent])
        print(fault or "told", file=sys.stderr if fault else sys.stdout)
        return 1 if fault else 0
    places = Places()
    try:
        report = look.run(config, places, time.time())
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # A state that another version left must not end the watch for good.
        print(f"{_WARNING}watch: starting anew: {type(error).__name__}: {error}")
        places.forget()
        report = look.run(config, places, time.time())
    for line in report.said:
        print(f"{_NOTICE}watch: {line}")
    for line in report.faults:
        print(f"{_WARNING}watch: {line}")
    return 1 if report.faults else 0
