"""A visitor's browser at the website of a lab's fleet: the chat widget as a person uses it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chromium import chromium
from hosts import wait_for
from selenium.webdriver.common.by import By

SITE = "http://www.hab.la"

_STATE = """
const words = node => [...node.querySelectorAll('.words, a')].map(part => part.textContent).join('');
const who = node => node.classList.contains('mine') ? 'me'
    : node.querySelector('small').firstChild.textContent.trim();
const all = selector => [...document.querySelectorAll(selector)];
const box = document.getElementById('chat');
return {
    state: box.dataset.state || 'idle',
    transport: box.dataset.transport || '',
    status: document.getElementById('chat-status').textContent,
    notes: all('#chat-log .note').map(note => note.textContent),
    pending: all('#chat-log .pending').map(words),
    messages: all('#chat-log .message:not(.pending)').map(node => [who(node), words(node)]),
    links: all('#chat-log a').map(link => link.href),
    pictures: all('#chat-log img').map(picture => picture.naturalWidth),
    chat: JSON.parse(localStorage.getItem('chat') || 'null'),
};
"""


@dataclass(frozen=True)
class View:
    """The widget as it is.

    messages: (who wrote, words), ``me`` for the visitor. pictures: the widths of those shown, in pixels.
    chat: the answer of /rpc/chat that it keeps.
    """

    state: str
    transport: str
    status: str
    notes: list[str]
    pending: list[str]
    messages: list[tuple[str, str]]
    links: list[str]
    pictures: list[int]
    chat: dict[str, str] | None


class ChatPage:
    """One browser. Use it as a context manager: the browser ends with it.

    forwards: instance and frontend of HAProxy -> port on this machine, as the lab forwards it to front1. The
    browser takes them for the fleet's own addresses, so that all origins are the real ones.
    """

    def __init__(self, forwards: Mapping[str, int], *, query: str = "", profile: Path | None = None) -> None:
        www, bosh = (f"127.0.0.1:{forwards[name]}" for name in ("www", "bosh"))
        rules = [f"MAP www.hab.la:80 {www}", f"MAP static.hab.la:80 {www}", f"MAP www.hab.la:5280 {bosh}"]
        words = [f"--host-resolver-rules={','.join(rules)}"]
        words += [f"--user-data-dir={profile}"] if profile else []
        self._query = query
        self._driver = chromium(*words, size="1100,800")

    def __enter__(self) -> ChatPage:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(Exception):
            self._driver.quit()

    def open(self) -> None:
        """The website's front page, with the widget open."""
        self._driver.get(f"{SITE}/{self._query}")
        self._driver.find_element(By.ID, "chat-open").click()

    def reload(self) -> None:
        """As the browser's button does it."""
        self._driver.refresh()

    def write(self, words: str) -> None:
        """Type a message and press Enter."""
        text = self._driver.find_element(By.CSS_SELECTOR, "#chat-form textarea")
        text.send_keys(words + "\n")

    def attach(self, path: Path) -> None:
        """Choose a file."""
        self._driver.find_element(By.ID, "chat-file").send_keys(str(path))

    def end_chat(self) -> None:
        """Press the button that ends the chat."""
        self._driver.find_element(By.ID, "chat-end").click()

    def view(self) -> View:
        """The widget."""
        found: dict[str, Any] = self._driver.execute_script(_STATE)
        return View(**{**found, "messages": [tuple(message) for message in found["messages"]]})

    def expect(self, seconds: float, *, what: str = "", **fields: Any) -> View:
        """Wait for the widget to have these fields."""
        seen = [self.view()]

        def matches() -> bool:
            seen[0] = self.view()
            return all(getattr(seen[0], name) == value for name, value in fields.items())

        try:
            wait_for(matches, seconds, what or f"{fields}")
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {seen[0]}; the console: {self.console()}") from None
        return seen[0]

    def fetch(self, path: str) -> tuple[int, int]:
        """Status and size of a file, as the page gets it."""
        script = (
            "const done = arguments[1]; fetch(arguments[0]).then(async answer =>"
            " done([answer.status, (await answer.arrayBuffer()).byteLength]))"
        )
        status, size = self._driver.execute_async_script(script, path)
        return status, size

    def console(self) -> list[str]:
        """What the browser has complained of since the last call."""
        return [f"{entry['level']} {entry['message']}" for entry in self._driver.get_log("browser")]

    def save(self, path: Path) -> None:
        """A picture of the page."""
        assert self._driver.save_screenshot(str(path))
