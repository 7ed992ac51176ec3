"""Headless Chromium, driven by Selenium."""

from __future__ import annotations

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

__all__ = ["QUIET", "chromium"]

#: What a browser would do by itself, and what a container cannot do.
QUIET = ("gpu", "quic", "background-networking", "component-update", "sync", "extensions")


def chromium(*words: str, size: str, logs: tuple[str, ...] = ("browser",)) -> webdriver.Chrome:
    """A browser of its own. The caller quits it.

    words: further options of the command line. size: of the window, as WIDTH,HEIGHT in pixels. logs: the logs
    that ``get_log`` may read later.
    """
    options = webdriver.ChromeOptions()
    quiet = (f"--disable-{name}" for name in QUIET)
    for word in ("--headless=new", "--no-sandbox", "--no-first-run", f"--window-size={size}", *quiet, *words):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", dict.fromkeys(logs, "ALL"))
    return webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
