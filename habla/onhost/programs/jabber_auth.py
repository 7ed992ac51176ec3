#!/usr/bin/python3
"""Answers ejabberd, which asks whether a login is right. ejabberd starts it as often as it needs it.

jabber-auth tokens FILE          the apps that use the API; each line of FILE is NAME:TOKEN
jabber-auth http URL [URL ...]   an app of the fleet: the first URL that answers decides. The app gets a POST
                                 of {"user": U, "domain": D, "password": P} at URL, or {"user": U, "domain":
                                 D} for the question whether there is such a user; 200 means yes, any other
                                 4xx no

The protocol is ejabberd's own (two bytes of length, then VERB:USER:DOMAIN:PASSWORD; the answer is two bytes
of length and 0 or 1). Written to each host that runs ejabberd; Python 3.9 and its standard library only.
"""

from __future__ import annotations

import hmac
import json
import struct
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import BinaryIO, Callable, List, Optional

# Seconds for one URL. ejabberd waits a minute for the answer, and the client with it.
ASKING = 3.0
# (user, domain, password or None) -> whether it is right.
Answer = Callable[[str, str, Optional[str]], bool]


def main(words: List[str]) -> int:
    if len(words) == 2 and words[0] == "tokens":
        serve(sys.stdin.buffer, sys.stdout.buffer, answer=lambda *asked: by_token(Path(words[1]), *asked))
    elif len(words) > 1 and words[0] == "http":
        serve(sys.stdin.buffer, sys.stdout.buffer, answer=lambda *asked: by_http(words[1:], *asked))
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


def serve(questions: BinaryIO, answers: BinaryIO, *, answer: Answer) -> None:
    """Answer until ejabberd closes the pipe. A question in another form gets a no."""
    while len(head := questions.read(2)) == 2:
        text = questions.read(struct.unpack(">H", head)[0]).decode("utf-8", "replace")
        verb, _, rest = text.partition(":")
        user, _, rest = rest.partition(":")
        domain, _, password = rest.partition(":")
        yes = False
        if verb == "auth":
            yes = answer(user, domain, password)
        elif verb == "isuser":
            yes = answer(user, domain, None)
        answers.write(struct.pack(">HH", 2, int(yes)))
        answers.flush()


def by_token(path: Path, user: str, domain: str, password: Optional[str]) -> bool:
    """The file is read each time: a token that is changed counts at once."""
    for line in path.read_text("utf-8").splitlines():
        name, _, token = line.partition(":")
        if name == user and token:
            return password is None or hmac.compare_digest(token.encode(), password.encode())
    return False


def by_http(urls: List[str], user: str, domain: str, password: Optional[str]) -> bool:
    """An app that is down is no answer; the next one is asked."""
    asked = {"user": user, "domain": domain, **({} if password is None else {"password": password})}
    for url in urls:
        request = urllib.request.Request(
            url, data=json.dumps(asked).encode(), headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=ASKING) as response:
                return bool(response.status == 200)
        except urllib.error.HTTPError as error:
            if 400 <= error.code < 500:
                return False
        except OSError:
            continue
    return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
