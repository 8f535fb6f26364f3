"""A headless Chromium of the system, driven by playwright; skipped with the reason where one of them is missing.

Any error on the console, any exception and any breach of the page's Content-Security-Policy fails the test.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from browser.apart import own_network
from browser.driver import ARGUMENTS, COMPLAINTS, DESKTOP, EXECUTABLE, NETWORK_ERRORS, Open
from browser.populated import five
from fakehost import FakeHost, recorded_sampler
from helpers import UNIFIED
from wire import Server, serving

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs the browser."""
    missing = "" if EXECUTABLE else "no chromium: apt install chromium-headless-shell"
    if importlib.util.find_spec("playwright") is None:
        missing = "no playwright: pip install 'cgstatd[dev]'"
    here = f"{Path(__file__).parent}/"
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.browser)
            if missing:
                item.add_marker(pytest.mark.skip(reason=missing))


@pytest.fixture(scope="module", autouse=True)
def network() -> Iterator[None]:
    """Of the browser and of the agents in this process."""
    with own_network():
        yield


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(network: None) -> AsyncIterator[Browser]:
    """A browser; each page has a profile of its own."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=EXECUTABLE, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture
def open_page(browser: Browser, request: pytest.FixtureRequest) -> Open:
    """``async with open_page(port) as page``: the live page; ``away``: the agent may be gone for a while; ``at``: the
    address after the path. Who wants to look at it says where its last state is kept: CGSTATD_SHOTS=DIR."""

    @asynccontextmanager
    async def open_page(
        port: int, *, away: bool = False, statuses: tuple[int, ...] = (), at: str = "", **options: Any
    ) -> AsyncIterator[Page]:
        context = await browser.new_context(**(options or DESKTOP))
        context.set_default_timeout(0)  # a busy machine takes what it takes; a test that hangs says where
        page = await context.new_page()
        complaints = COMPLAINTS.setdefault(page, [])
        requests: list[str] = []

        def on_console(message: Any) -> None:
            expected = [f"status of {status}" for status in statuses] + list(NETWORK_ERRORS if away else ())
            if message.type in ("error", "warning") and not any(each in message.text for each in expected):
                complaints.append(message.text)

        page.on("console", on_console)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        await page.goto(f"http://127.0.0.1:{port}/{at}")
        yield page
        if folder := os.environ.get("CGSTATD_SHOTS"):
            await page.screenshot(path=f"{folder}/{request.node.name}.png")
        await context.close()
        assert complaints == []
        assert [url for url in requests if not url.startswith((f"http://127.0.0.1:{port}/", "data:"))] == []

    return open_page


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> FakeHost:
    """Five containers with figures that differ in every column, for all tests of a module."""
    return five(tmp_path_factory.mktemp("host"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(host: FakeHost) -> AsyncIterator[Server]:
    """The agent over that host."""
    async with serving(host.sampler(), freshness=0.1) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def recorded(network: None) -> AsyncIterator[Server]:
    """The agent over the second reading of a recorded host with every runtime."""
    async with serving(recorded_sampler(UNIFIED), freshness=0.1) as server:
        yield server
