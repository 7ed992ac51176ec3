"""A document as a preview shows it: a line for each line of a file.

Pulumi's engine reads an input as JSON or YAML if it can. It then shows unchanged lines too, up to 3,000 for
one changed word. Of any other text it shows only the changed lines. So a document on its way to a
host begins with a line that neither JSON nor YAML allows. That line names the component and counts its parts,
because the engine shows little more of a new resource.

    @ component web of web1, 12 files, 3 units, 1 packages
    {
     "component": "web", …
    }
    > /etc/habla/apps/web.env 39d20c
    |MYSQL_HOST=192.168.2.10

Below the JSON there are the texts of files: a path with a digest, and then the lines.
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, Iterator, List

__all__ = ["document_text", "headed", "read_document"]

# YAML reserves the @, and JSON has no value that begins with it.
_HEAD = "@ "
# The digest names the file of the changed lines to a reader; no program looks at it.
_FILE = "> "
# A line as it is; the rest of a long one; and one as JSON, because a terminal would not show its characters.
_LINE, _REST, _QUOTED = "|", "+", "!"
_UNSHOWN = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# The engine cuts a line at 150 characters.
_LONGEST = 140


def document_text(document: Dict[str, Any], digests: Dict[str, str]) -> str:
    """The document as text. digests: path -> a few digits for the text, of the files that have one."""
    files = document.get("files", {})
    rest = {
        path: {key: value for key, value in file.items() if key != "text"} for path, file in files.items()
    }
    counts = {part: len(document.get(part, ())) for part in ("files", "units", "packages")}
    shown = ", ".join(f"{count} {part}" for part, count in counts.items() if count)
    head = f"component {document['component']} of {document['host']}, {shown or 'nothing on disk'}"
    text = headed(head, {**document, "files": rest} if rest else document)
    for path, digest in digests.items():
        lines = (shown for line in files[path]["text"].split("\n") for shown in _shown(line))
        text += "".join(f"{line}\n" for line in (f"{_FILE}{path} {digest}", *lines))
    return text


def headed(head: str, values: Dict[str, Any]) -> str:
    """Values of JSON as text, one a line, below a line of their own."""
    return f"{_HEAD}{head}\n{json.dumps(values, indent=1, ensure_ascii=False)}\n"


def read_document(text: str) -> Any:
    """The document of such a text, or of plain JSON. Raises ValueError for any other text."""
    if not text.startswith(_HEAD):
        return json.loads(text)
    values, *files = text.partition("\n")[2].split(f"\n{_FILE}")
    raw = json.loads(values)
    for file in files:
        name, *lines = file[:-1].split("\n") if file.endswith("\n") else file.split("\n")
        path = name.rpartition(" ")[0]
        try:
            raw["files"][path]["text"] = _text(lines)
        except (KeyError, TypeError):
            raise ValueError(f"the text has a file that the document does not have: {path}") from None
    return raw


def _shown(line: str) -> Iterator[str]:
    if _UNSHOWN.search(line):
        yield f"{_QUOTED}{json.dumps(line)}"
        return
    for start in range(0, len(line) or 1, _LONGEST):
        yield f"{_REST if start else _LINE}{line[start : start + _LONGEST]}"


def _text(shown: List[str]) -> str:
    lines: List[str] = []
    for line in shown:
        if line.startswith(_LINE):
            lines.append(line[1:])
        elif line.startswith(_QUOTED):
            lines.append(str(json.loads(line[1:])))
        elif line.startswith(_REST) and lines:
            lines[-1] += line[1:]
        else:
            raise ValueError(f"each line of a file must begin with {_LINE}, unlike {line[:40]}")
    return "\n".join(lines)
