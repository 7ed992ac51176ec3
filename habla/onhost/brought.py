"""Programs that the agent brings along. A document on its way to a host names their text by its digest.

The library shortens a document with ``named``, and the agent completes it with ``completed``. Everything else
on both sides sees the full text.
"""

from __future__ import annotations

import hashlib
from typing import Any, Callable, Dict, Mapping, Optional

from .failure import Failure

__all__ = ["completed", "named", "text_digest"]

# The key that replaces a file's text.
_PROGRAM = "program"


def text_digest(text: str) -> str:
    """The sha256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def named(document: Dict[str, Any], known: Callable[[str], bool]) -> Dict[str, Any]:
    """The document with a digest in the place of each file's text that the agent brings along.

    known: whether the agent brings along the text with this digest.
    """
    files = {}
    for path, file in document.get("files", {}).items():
        digest = text_digest(file["text"])
        files[path] = {_PROGRAM: digest, **_without(file, "text")} if known(digest) else file
    return {**document, "files": files} if files else document


def completed(document: Dict[str, Any], find: Callable[[str], Optional[str]]) -> Dict[str, Any]:
    """The document with the text of every file. Raises Failure for a text that this agent does not have.

    find: digest -> text that the agent brings along, or None.
    """
    given = document.get("files", {})
    if not isinstance(given, dict):
        return document
    files = {}
    for path, file in given.items():
        if not isinstance(file, dict) or _PROGRAM not in file:
            files[path] = file
            continue
        text = find(str(file[_PROGRAM]))
        if text is None:
            reason = "this agent lacks the text of this file: deploy both with one version of habla"
            raise Failure("read", path, reason=reason)
        files[path] = {"text": text, **_without(file, _PROGRAM)}
    return {**document, "files": files} if files else document


def _without(file: Mapping[str, Any], key: str) -> Dict[str, Any]:
    return {name: value for name, value in file.items() if name != key}
