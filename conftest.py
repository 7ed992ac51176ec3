"""What all tests share, those of the examples included."""

from __future__ import annotations

import asyncio
import warnings
from pathlib import Path

import pytest

from toolchain.setup import npm
from toolchain.setup.cache import cache_root, locked
from toolchain.setup.report import SetupError

CLONE = Path(__file__).parent


def pytest_sessionstart() -> None:
    """The project's own stacks need the browser's libraries, which `make toolchain` gets; so does this."""
    if npm.is_provided(CLONE):
        return
    try:
        with locked(cache_root()):
            npm.provide(CLONE, cache_root())
    except (SetupError, OSError) as error:
        warnings.warn(f"tests of the project's own stacks will fail: {error}", stacklevel=1)


@pytest.fixture(autouse=True)
def _event_loop() -> None:
    """Pulumi's mocks take the thread's event loop, which a test before may have ended (``asyncio.run``)."""
    try:
        asyncio.get_event_loop_policy().get_event_loop()
    except RuntimeError:
        asyncio.set_event_loop(asyncio.new_event_loop())
