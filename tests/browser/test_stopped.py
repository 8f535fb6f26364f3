"""Containers that do not run: with their exit code and since when, if the reader asks for them."""

from __future__ import annotations

from typing import Any

import pytest

from browser.driver import PHONE, Open, live, names, shots, until
from browser.populated import compose, label
from fakehost import FakeHost
from wire import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

FINISHED = "2026-11-25T10:58:40.719158146Z"


def ended(host: FakeHost, name: str, finished: str = FINISHED, **state: Any) -> None:
    """A container that is on disk only, and how it ended."""
    host.on_disk(name)
    host.config(name, State={"FinishedAt": finished, "ExitCode": 0} | state)


async def test_stopped_ones_are_shown_if_asked(server: Server, host: FakeHost, open_page: Open) -> None:
    ended(host, "job", ExitCode=3)
    ended(host, "eater", "2026-11-25T11:00:00Z", ExitCode=137, OOMKilled=True)
    async with open_page(server.port) as page:
        await live(page)
        assert "job" not in await names(page)
        await page.get_by_label("Running or stopped").select_option("Stopped")
        await until(page, "document.querySelectorAll('.row').length === 2")
        assert await names(page) == ["eater", "job"]  # the one that stopped last comes first
        eater = await page.locator(".row", has_text="eater").inner_text()
        assert "exited 137" in eater and "OOM-killed" in eater and "since 25 Nov" in eater.replace("Nov 25", "25 Nov")
        assert "exited 3" in await page.locator(".row", has_text="job").inner_text()
        assert await page.locator("#count").inner_text() == "2 containers"
        await page.get_by_label("Running or stopped").select_option("All states")
        await until(page, "document.querySelectorAll('.row').length === 7")
        assert (await names(page))[-2:] == ["eater", "job"]  # those that have figures come first
        await page.get_by_label("Filter containers").fill("eat")
        await until(page, "document.querySelectorAll('.row').length === 1")
        if path := shots("stopped"):
            await page.get_by_label("Filter containers").fill("")
            await page.locator(".row", has_text="eater").click()
            await page.wait_for_timeout(500)
            await page.screenshot(path=path)


async def test_the_detail_says_how_it_ended(server: Server, host: FakeHost, open_page: Open) -> None:
    ended(host, "eater", ExitCode=137, OOMKilled=True)
    async with open_page(server.port, at="#show=stopped") as page:
        await page.locator(".row", has_text="eater").click()
        facts = page.locator("aside .facts").filter(has_text="exit code")
        await facts.wait_for()
        text = await facts.inner_text()
        assert "137" in text and "OOM-killed" in text and "stopped" in text and "2026" in text
        assert "show=stopped" in await page.evaluate("location.hash")


async def test_one_that_stops_and_starts_changes_its_place(server: Server, host: FakeHost, open_page: Open) -> None:
    async with open_page(server.port, at="#show=stopped", statuses=(500,)) as page:
        await page.get_by_text("No container is stopped.").wait_for()
        ended(host, "queue", ExitCode=1)
        host.remove("queue")
        await page.locator(".row", has_text="queue").get_by_text("exited 1").wait_for()
        host.add("queue")
        await page.locator(".row", has_text="queue").wait_for(state="detached")
        await page.keyboard.press("s")
        await live(page)
        assert "show" not in await page.evaluate("location.hash")
        assert "queue" in await names(page)


async def test_stopped_ones_are_in_no_sum(server: Server, host: FakeHost, open_page: Open) -> None:
    compose(host, "web-1", "shop")
    ended(host, "job", ExitCode=3)
    label(host, "job", **{"com.docker.compose.project": "shop"})
    async with open_page(server.port, at="#show=all&group=project") as page:
        await page.locator(".row.group", has_text="1 container, 1 stopped").wait_for()


async def test_on_a_phone_it_can_be_read(server: Server, host: FakeHost, open_page: Open) -> None:
    ended(host, "eater", ExitCode=137, OOMKilled=True)
    async with open_page(server.port, at="#show=stopped", **PHONE) as page:
        await page.locator(".row", has_text="exited 137").wait_for()
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390
        assert await page.get_by_text("since").first.is_visible()
        if path := shots("stopped-phone"):
            await page.screenshot(path=path)
