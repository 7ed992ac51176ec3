"""A real browser at Cacti's pages, by the monitor's loopback port."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import ElementNotInteractableException, StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

_SECONDS = 30
# What was there a moment ago is drawn anew.
_NOT_YET = (StaleElementReferenceException, ElementNotInteractableException)
# Of each picture of a graph: what it is, its width as loaded, and which part of its pixels is not grey.
_PICTURES = """
return [...document.querySelectorAll('img.graphimage')].map(image => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    if (!canvas.width) return {source: image.src, width: 0, coloured: 0};
    const context = canvas.getContext('2d');
    context.drawImage(image, 0, 0);
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
    let coloured = 0;
    for (let at = 0; at < pixels.length; at += 4) {
        const [red, green, blue] = pixels.slice(at, at + 3);
        coloured += Math.max(red, green, blue) - Math.min(red, green, blue) > 60;
    }
    return {source: image.src, width: canvas.width, coloured: coloured / (pixels.length / 4)};
});
"""


class CactiPages:
    """Logged in as admin. Use it as a context manager: the browser ends with it."""

    def __init__(self, port: int, password: str) -> None:
        options = webdriver.ChromeOptions()
        for word in ("--headless=new", "--no-sandbox", "--window-size=1500,1900"):
            options.add_argument(word)
        self._base = f"http://127.0.0.1:{port}/cacti/"
        self._driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        self._password = password

    def __enter__(self) -> CactiPages:
        return self

    def __exit__(self, *_: object) -> None:
        self._driver.quit()

    def log_in(self) -> str:
        """The page's title afterwards: ``Console`` for who got in."""
        self._driver.get(self._base)
        self._driver.find_element(By.NAME, "login_username").send_keys("admin")
        self._driver.find_element(By.NAME, "login_password").send_keys(self._password)
        self._driver.find_element(By.CSS_SELECTOR, "input[type=submit]").click()
        self._until(lambda driver: "Login" not in driver.title)
        return str(self._driver.title)

    def open_tree(self, name: str, count: int) -> list[dict[str, Any]]:
        """Click on a tree and wait for its graphs: the width and the coloured part of each picture."""
        self._driver.get(f"{self._base}graph_view.php?action=tree")
        self._until(lambda driver: self._click(name))
        old = self._until(lambda driver: self._pictures(count, ()))
        # A new graph has nothing to show of the day before: the preset "Last Half Hour".
        self._driver.execute_script("$('#predefined_timespan').val('1'); applyGraphTimespan();")
        return self._until(lambda driver: self._pictures(count, [picture["source"] for picture in old]))

    def save(self, path: Path) -> None:
        """A picture of the page."""
        assert self._driver.save_screenshot(str(path))

    def _pictures(self, count: int, old: Sequence[str]) -> list[dict[str, Any]]:
        """All pictures, once there are so many, all loaded and none of them an old one; else none."""
        found: list[dict[str, Any]] = self._driver.execute_script(_PICTURES)
        whole = all(picture["width"] and picture["source"] not in old for picture in found)
        return found if len(found) >= count and whole else []

    def _click(self, name: str) -> bool:
        """Whether the entry of the list of trees was there; the page draws it anew now and then."""
        found = [
            entry for entry in self._driver.find_elements(By.CSS_SELECTOR, "#jstree a") if entry.text == name
        ]
        for entry in found[:1]:
            entry.click()
        return bool(found)

    def _until(self, condition: Any) -> Any:
        return WebDriverWait(self._driver, _SECONDS, ignored_exceptions=_NOT_YET).until(condition)
