"""A person with a browser at the lab's website, who needs no setting of the browser to find it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

from chromium import chromium
from hosts import wait_for
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

__all__ = ["Person"]


class Person:
    """One browser. Use it as a context manager: the browser ends with it.

    site: the URL that `make up` prints for the website.
    """

    def __init__(self, site: str) -> None:
        self._site = site
        self._driver = chromium(size="1100,760", logs=("browser", "performance"))

    def __enter__(self) -> Person:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(Exception):
            self._driver.quit()

    def open(self, path: str) -> None:
        """A page of the website."""
        self._driver.get(f"{self._site}{path}")

    def click(self, selector: str) -> None:
        """A button or a link, as soon as it is there."""
        self._do(selector, lambda element: element.click())

    def type(self, selector: str, words: str) -> None:
        """Text, which a line break at its end sends."""
        self._do(selector, lambda element: element.send_keys(words))

    def text(self, selector: str) -> str:
        """The visible text of an element; "" while it is not there."""
        found = self._driver.find_elements(By.CSS_SELECTOR, selector)
        # The page may be replaced by the next one meanwhile.
        with contextlib.suppress(StaleElementReferenceException):
            return str(found[0].text) if found else ""
        return ""

    def sees(self, selector: str, words: str, *, seconds: float = 15) -> None:
        """Wait until an element has these words in it."""
        try:
            wait_for(lambda: words in self.text(selector), seconds, f"{words!r} in {selector}")
        except AssertionError as error:
            raise AssertionError(f"{error}; it has {self.text(selector)!r}; {self.complaints()}") from None

    def picture_width(self, selector: str) -> int:
        """The width of an image as it was loaded, in pixels; 0 for one that was not."""
        script = "return document.querySelector(arguments[0]).naturalWidth"
        return int(self._driver.execute_script(script, selector))

    def complaints(self) -> list[str]:
        """What the browser's console has said since the last call."""
        return [f"{entry['level']} {entry['message']}" for entry in self._driver.get_log("browser")]

    def save(self, path: Path) -> None:
        """A picture of the page."""
        assert self._driver.save_screenshot(str(path))

    def failed_requests(self) -> list[str]:
        """The requests since the last call that got no answer, or one of 400 and above."""
        failed = []
        for entry in self._driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            parameters = message["params"]
            if message["method"] == "Network.responseReceived" and parameters["response"]["status"] >= 400:
                failed.append(f"{parameters['response']['status']} {parameters['response']['url']}")
            elif message["method"] == "Network.loadingFailed" and not parameters.get("canceled"):
                failed.append(f"{parameters['errorText']} {parameters['requestId']}")
        return failed

    def _do(self, selector: str, action: Callable[[WebElement], None]) -> None:
        """Wait for a visible element and act on it once."""

        def done() -> bool:
            with contextlib.suppress(StaleElementReferenceException):
                for element in self._driver.find_elements(By.CSS_SELECTOR, selector):
                    if element.is_displayed():
                        action(element)
                        return True
            return False

        wait_for(done, 15, selector)
