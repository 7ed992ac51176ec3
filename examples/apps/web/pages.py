"""The pages as HTML. All text that comes from people goes through ``escape``."""

from __future__ import annotations

import os
from html import escape
from typing import Any

from forum import MAX_NAME, MAX_TEXT, MAX_TITLE, MIN_PASSWORD, Session

#: The website's own URL, the one of its images, and the domain of the operators' accounts.
WEBSITE = os.environ.get("WEBSITE_URL", "http://www.hab.la")
STATIC = os.environ.get("STATIC_URL", "http://static.hab.la")
JABBER_DOMAIN = os.environ.get("JABBER_DOMAIN", "hab.la")

STYLE = """
:root { --ink: #22303c; --soft: #5d7183; --line: #d9e2e9; --paper: #fff; --back: #f3f7f9; --blue: #1878b9 }
* { box-sizing: border-box }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back) }
header, main, footer { max-width: 46rem; margin: 0 auto; padding: 1rem }
header { display: flex; align-items: center; gap: 1.2rem }
header img { height: 36px; vertical-align: middle }
header .who { margin-left: auto; color: var(--soft) }
a { color: var(--blue); text-decoration: none } a:hover { text-decoration: underline }
section, article, form.box { background: var(--paper); border: 1px solid var(--line); border-radius: 8px;
  padding: 1rem 1.2rem; margin-bottom: 1rem }
h1 { font-size: 1.6rem } small, footer { color: var(--soft) }
input, textarea { width: 100%; padding: .5rem; margin: .2rem 0 .8rem; border: 1px solid var(--line);
  border-radius: 5px; font: inherit }
button { background: var(--blue); color: #fff; border: 0; border-radius: 5px; padding: .5rem 1.1rem;
  font: inherit; cursor: pointer }
button.plain { background: none; color: var(--blue); padding: 0 }
form.inline { display: inline } .error { color: #a3231f } .text { white-space: pre-wrap }
pre { background: var(--back); padding: .8rem; overflow-x: auto; border-radius: 5px }
.hero { display: flex; gap: 1.2rem; align-items: center }
table { width: 100%; border-collapse: collapse }
th, td { text-align: left; padding: .4rem .6rem .4rem 0;
  border-bottom: 1px solid var(--line); vertical-align: top }
td:nth-child(3) { white-space: nowrap }
[data-state=up] td:nth-child(2) { color: #18753c }
[data-state=down] td:nth-child(2) { color: #a3231f; font-weight: bold }
"""

# The chat widget, which chat.js brings to life; on every page, so that a chat goes on from one to the next.
WIDGET = """
<button id=chat-open type=button>Chat with us</button>
<section id=chat hidden aria-label="Chat with us">
<header><div><h2>Chat with us</h2><p id=chat-status role=status>Ask us anything.</p></div>
<button id=chat-end type=button hidden>End chat</button>
<button id=chat-hide type=button aria-label="Hide the chat">&minus;</button></header>
<div id=chat-log role=log aria-live=polite aria-label=Messages tabindex=0></div>
<form id=chat-form><input id=chat-file type=file><label for=chat-file title="Send a file"
><svg width=20 height=20 viewBox="0 0 24 24" fill=none stroke=currentColor stroke-width=2 aria-hidden=true
><path d="M21 11l-9 9a5.5 5.5 0 0 1-8-8l9-9a3.7 3.7 0 0 1 5 5l-9 9a1.8 1.8 0 0 1-3-3l8-8"/></svg
><span class=hidden>Send a file</span></label>
<textarea name=text aria-label="Your message" placeholder="Your message" maxlength=4000 required></textarea>
<button>Send</button></form></section>
<script type=module src=/chat.js></script>
"""

EXAMPLE = f"""curl {WEBSITE}/rpc -d '{{"jsonrpc": "2.0", "id": 1, "method": "system.hosts"}}'"""

# The parts that the status page shows, in its order; system.js asks them.
PARTS = ("Website and forum", "RPC", "Presence", "Jabber", "Static images")


def page(title: str, content: str, session: Session | None, *, widget: bool = True) -> str:
    """A whole page. widget: whether it has the visitors' chat."""
    if session:
        who = (
            f"{escape(session.name)} <form class=inline method=post action=/logout>{_csrf(session)}"
            "<button class=plain>Log out</button></form>"
        )
    else:
        who = "<a href=/login>Log in</a> or <a href=/register>register</a>"
    return (
        f"<!doctype html><html lang=en><head><meta charset=utf-8><title>{escape(title)} - Hab.la</title>"
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        f'<link rel=icon href="{escape(STATIC)}/logo.svg"><link rel=stylesheet href=/chat.css>'
        f"<style>{STYLE}</style></head><body>"
        f'<header><a href=/><img src="{escape(STATIC)}/logo.svg" alt="Hab.la"></a>'
        "<a href=/forum>Forum</a><a href=/system>Status</a><a href=/operator>Operators</a>"
        f"<span class=who>{who}</span></header>"
        f"<main><h1>{escape(title)}</h1>{content}</main>"
        "<footer>Hab.la: talk to the people on your website.</footer>"
        f"{WIDGET if widget else ''}</body></html>"
    )


def home(session: Session | None) -> str:
    """The front page."""
    content = (
        f'<section class=hero><img src="{escape(STATIC)}/online.png" alt="Operators are on line" '
        "width=32 height=32><p>Hab.la puts a chat on your website. Your visitors write there. You answer in "
        "any Jabber client, or <a href=/operator>in the browser</a>. To try it, press the button at the "
        "lower right.</p></section>"
        "<section><p>Your own programs can use Hab.la by JSON-RPC:</p>"
        f"<pre>{escape(EXAMPLE)}</pre></section>"
    )
    return page("Live chat for your website", content, session)


def operator(session: Session | None) -> str:
    """The operators' console, which operator.js brings to life."""
    content = (
        f'<form class=box id=operator-login data-domain="{escape(JABBER_DOMAIN)}"><p>Log in with your Jabber '
        "account to answer visitors.</p><label>Account<input name=account required autocomplete=username "
        f'placeholder="support@{escape(JABBER_DOMAIN)}"></label><label>Password<input type=password '
        "name=password required autocomplete=current-password></label>"
        "<p class=error id=operator-error role=alert></p>"
        "<button>Go on line</button></form>"
        "<div id=operator-desk hidden><section><span id=operator-state role=status></span> "
        "<button class=plain id=operator-logout type=button>Log out</button></section><div class=desk><aside>"
        "<h2>Waiting visitors</h2><ul id=operator-waiting></ul><h2>Your chats</h2><ul id=operator-chats></ul>"
        "<h2>On line</h2><ul id=operator-online></ul></aside><section id=operator-chat hidden>"
        "<p id=operator-people></p>"
        "<div id=operator-log role=log aria-live=polite aria-label=Messages tabindex=0></div>"
        '<form id=operator-form><textarea name=text aria-label="Your answer" placeholder="Your answer" '
        "maxlength=4000 required></textarea><button>Send</button></form></section></div></div>"
        "<script src=/strophe.js></script><script type=module src=/operator.js></script>"
    )
    return page("Operators", content, session, widget=False)


def system(session: Session | None) -> str:
    """The status page, which system.js fills in."""
    rows = "".join(
        f"<tr data-part='{escape(part)}'><th scope=row>{escape(part)}</th><td>…</td><td></td><td></td></tr>"
        for part in PARTS
    )
    content = (
        "<section><table><thead><tr><th>Part<th>State<th>Time<th>Detail</tr></thead>"
        f'<tbody id=system data-image="{escape(STATIC)}/online.png">{rows}</tbody></table>'
        "<p id=system-counts role=status></p></section><script type=module src=/system.js></script>"
    )
    return page("Status", content, session)


def thread_list(threads: list[dict[str, Any]], session: Session | None) -> str:
    """All threads, and a form for a new one."""
    rows = "".join(
        f"<article><a href=/forum/{row['id']}>{escape(row['title'])}</a><br>"
        f"<small>{row['posts']} {'post' if row['posts'] == 1 else 'posts'}, last {row['changed']}</small>"
        "</article>"
        for row in threads
    )
    form = _must_log_in()
    if session:
        form = (
            f"<form class=box method=post action=/forum>{_csrf(session)}<label>Title"
            f"<input name=title required maxlength={MAX_TITLE}></label>{_text_area()}"
            "<button>Start a thread</button></form>"
        )
    return page("Forum", (rows or "<p>Nobody has written yet.</p>") + form, session)


def thread(number: int, title: str, posts: list[dict[str, Any]], session: Session | None) -> str:
    """One thread, and a form for a reply."""
    rows = "".join(
        f"<article><small>{escape(post['name'])}, {post['sent']}</small>"
        f"<div class=text>{escape(post['text'])}</div></article>"
        for post in posts
    )
    form = _must_log_in()
    if session:
        form = (
            f"<form class=box method=post action=/forum/{number}>{_csrf(session)}{_text_area()}"
            "<button>Reply</button></form>"
        )
    return page(title, rows + form, session)


def credentials(action: str, title: str, error: str = "", name: str = "") -> str:
    """The forms to log in and to register. action: where it is posted to, which says which of the two."""
    hint = "new-password" if action == "/register" else "current-password"
    content = (
        (f"<p class=error>{escape(error)}</p>" if error else "")
        + f'<form class=box method=post action={action}><label>Name<input name=name value="{escape(name)}" '
        f"required maxlength={MAX_NAME} autocomplete=username></label><label>Password<input type=password "
        f"name=password required minlength={MIN_PASSWORD} autocomplete={hint}></label>"
        f"<button>{escape(title)}</button></form>"
    )
    return page(title, content, None)


def error(status: int, reason: str) -> str:
    """The page of an error, in words for people."""
    return page(f"{status}", f"<p class=error>{escape(reason)}</p><p><a href=/>Home</a></p>", None)


def _csrf(session: Session) -> str:
    return f"<input type=hidden name=csrf value={escape(session.csrf)}>"


def _text_area() -> str:
    return f"<label>Text<textarea name=text rows=5 required maxlength={MAX_TEXT}></textarea></label>"


def _must_log_in() -> str:
    return "<p><a href=/login>Log in</a> to write.</p>"
