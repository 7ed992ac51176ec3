"""A document as a preview shows it: one line of text for each line of a file.

Pulumi's engine reads an input as JSON or YAML if it can, and then shows all of it that did not change too: up
to 3,000 lines for one word. Of any other text it shows the lines that changed. So a document begins with a
line that neither JSON nor YAML allows. That line says what the document is about, because the engine shows
little more of a new resource.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List, Union

__all__ = ["document_text", "headed", "read_document"]

# YAML reserves the @, and JSON has no value that begins with it.
_SIGN = "@"
# The key of the files' digests. They name the files of the changed lines to a reader; no program reads them.
_DIGESTS = "digests"
_LINES = "lines"
# The engine cuts a line at 150 characters. A long one is a list of pieces, with room for JSON's escapes.
_LONGEST = 100


def document_text(document: Dict[str, Any], digests: Dict[str, str]) -> str:
    """The document as text. digests: path -> digest of the text, of the files that have one."""
    files = {path: _as_lines(file) for path, file in document.get("files", {}).items()}
    counts = {part: len(document.get(part, ())) for part in ("files", "units", "packages")}
    shown = ", ".join(f"{count} {part}" for part, count in counts.items() if count)
    head = f"component {document['component']} of {document['host']}, {shown or 'nothing on disk'}"
    sections = {**({_DIGESTS: digests} if digests else {}), **document, **({"files": files} if files else {})}
    return headed(head, sections)


def headed(head: str, values: Dict[str, Any]) -> str:
    """Values of JSON as text, one a line, below a line of their own."""
    return f"{_SIGN} {head}\n{json.dumps(values, indent=1, ensure_ascii=False)}\n"


def read_document(text: str) -> Any:
    """The document of such a text, or of plain JSON. Raises ValueError for any other text."""
    if not text.startswith(_SIGN):
        return json.loads(text)
    raw = json.loads(text.partition("\n")[2])
    if not isinstance(raw, dict):
        return raw
    raw.pop(_DIGESTS, None)
    files = raw.get("files")
    if isinstance(files, dict):
        raw["files"] = {path: _as_text(file) for path, file in files.items()}
    return raw


def _as_lines(file: Dict[str, Any]) -> Dict[str, Any]:
    if "text" not in file:
        return file
    lines = [_pieces(line) for line in file["text"].split("\n")]
    return {**{key: value for key, value in file.items() if key != "text"}, _LINES: lines}


def _pieces(line: str) -> Union[str, List[str]]:
    """The line, or the pieces of a long one."""
    if len(line) <= _LONGEST:
        return line
    return [line[start : start + _LONGEST] for start in range(0, len(line), _LONGEST)]


def _as_text(file: Any) -> Any:
    lines = file.get(_LINES) if isinstance(file, dict) else None
    if not isinstance(lines, list):
        return file
    try:
        text = "\n".join(line if isinstance(line, str) else "".join(line) for line in lines)
    except TypeError:
        return file
    return {**{key: value for key, value in file.items() if key != _LINES}, "text": text}
