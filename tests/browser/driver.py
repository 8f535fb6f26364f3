"""Which browser, which screens, and what the tests of the page ask it again and again."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from playwright.async_api import Page

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""The first one has no windows, which nobody sees: it takes a third of the others' CPU time."""
EXECUTABLE = next(filter(None, map(shutil.which, BROWSERS)), None)
ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-software-rasterizer --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
).split()
DESKTOP: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}
NETWORK_ERRORS = ("net::ERR_CONNECTION_REFUSED", "net::ERR_INCOMPLETE_CHUNKED_ENCODING", "net::ERR_CONNECTION_RESET",
                  "net::ERR_EMPTY_RESPONSE")  # fmt: skip
"""What the browser itself says on the console when an agent goes away."""

Open = Callable[..., AbstractAsyncContextManager["Page"]]


COMPLAINTS: WeakKeyDictionary[Page, list[str]] = WeakKeyDictionary()
"""What each page has had to complain of: errors and warnings on its console, exceptions."""
HANGS_SECONDS = 150.0
"""Less than a whole test may take: so a page that hangs is seen as it stands."""


async def until(page: Page, expression: str) -> None:
    """Wait until an expression is true. The page forbids eval, which playwright's own waiting needs."""
    ends = time.monotonic() + HANGS_SECONDS
    while not await page.evaluate(expression):
        assert COMPLAINTS.get(page, []) == []
        assert time.monotonic() < ends, f"never true: {expression}\n{page.url}\n{await page.inner_text('body')}"
        await asyncio.sleep(0.05)


async def rows(page: Page, number: int) -> None:
    """Wait until there are so many rows."""
    await until(page, f"document.querySelectorAll('.row').length === {number}")


async def names(page: Page) -> list[str]:
    """Of the rows, from top to bottom."""
    return await page.locator(".row .title b").all_inner_texts()


async def live(page: Page, rows: int = 5) -> None:
    """Wait for the first round."""
    await until(page, f"document.querySelectorAll('.row').length >= {rows}")
    assert await page.locator("#link-text").inner_text() == "live"
