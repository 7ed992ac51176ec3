"""What all tests share, those of the examples included."""

from __future__ import annotations

import asyncio

import pytest


@pytest.fixture(autouse=True)
def _event_loop() -> None:
    """Pulumi's mocks take the thread's event loop, which a test before may have ended (``asyncio.run``)."""
    try:
        asyncio.get_event_loop_policy().get_event_loop()
    except RuntimeError:
        asyncio.set_event_loop(asyncio.new_event_loop())
