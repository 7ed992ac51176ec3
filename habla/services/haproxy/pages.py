"""The answer of HAProxy itself while no server is left."""

from __future__ import annotations

__all__ = ["unavailable"]

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Back in a moment</title>
<style>
body { font: 18px/1.5 sans-serif; max-width: 32em; margin: 15vh auto; padding: 0 1em; color: #333 }
</style>
<h1>Back in a moment</h1>
<p>This part of the site is being worked on. Chats that are open go on; please try again in a minute.</p>
</html>
"""


def unavailable(page: str | None) -> str:
    """A whole HTTP answer, 503, with ``page`` (HTML) or one of our own. Caches are told not to keep it."""
    body = _PAGE if page is None else page
    head = (
        "HTTP/1.0 503 Service Unavailable",
        "Cache-Control: no-store",
        "Connection: close",
        "Content-Type: text/html; charset=utf-8",
        f"Content-Length: {len(body.encode())}",
        "Retry-After: 30",
    )
    return "\r\n".join(head) + "\r\n\r\n" + body
