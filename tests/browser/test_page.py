"""The live page in a real browser: starts, updates, sorts, filters, detail, keyboard, colours, phone."""

from __future__ import annotations

import asyncio
import itertools
import re

import pytest

from browser.driver import DESKTOP, PHONE, Open, live, names, until
from browser.measured import FRAMES
from browser.populated import compose
from fakehost import FakeHost, unreadable
from helpers import PROJECT
from wire import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_it_starts_and_goes_on(server: Server, host: FakeHost, open_page: Open) -> None:
    async with open_page(server.port) as page:
        await live(page)
        assert await names(page) == ["asleep", "db", "queue", "web-1", "web-2"]
        first = await page.locator(".row", has_text="web-1").inner_text()
        assert "39" in first and "61" in first and "of 64" in first  # MiB without the cache, % of its limit
        assert "paused" in await page.locator(".row", has_text="asleep").inner_text()
        cpu = page.locator(".row", has_text="queue").locator(".cpu .value")
        for usec in itertools.count(2):
            host.burn("queue", usec * 1_000_000)
            if not (await cpu.inner_text()).startswith("0.00"):
                break
            await asyncio.sleep(0.2)
        canvas = "document.querySelectorAll('.row')[2].querySelector('.cpu canvas')"
        pixels = f"{canvas}.getContext('2d').getImageData(0, 0, {canvas}.width, {canvas}.height).data"
        await until(page, f"Array.from({pixels}).filter((v, n) => n % 4 === 3 && v > 200).length > 3")  # a line


async def test_starts_and_ends_are_told(server: Server, host: FakeHost, open_page: Open) -> None:
    async with open_page(server.port) as page:
        await live(page)
        host.add("new")
        await page.locator("#last-event", has_text="new started").wait_for()
        await page.locator(".row .title b", has_text="new").wait_for()
        host.remove("new", from_disk=True)
        await page.locator("#last-event", has_text="new ended").wait_for()
        await page.locator(".row.ended", has_text="new").wait_for()
        await page.get_by_role("button", name="Events 2").click()
        assert await page.locator("#events-list li").count() == 2


async def test_a_container_that_is_late_stays_and_says_so(
    server: Server, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_page(server.port) as page:
        await live(page)
        shown = await names(page)
        with unreadable(monkeypatch, "web-1"):
            await page.locator(".row", has_text="web-1").locator(".pill", has_text="late").wait_for()
            assert await names(page) == shown
        await page.locator(".row .pill", has_text="late").wait_for(state="detached")
        assert await names(page) == shown


@pytest.mark.parametrize(
    ("column", "ascending"),
    [
        ("Container", ["asleep", "db", "queue", "web-1", "web-2"]),
        ("Memory", ["asleep", "queue", "web-1", "web-2", "db"]),
        ("Project", ["web-1", "web-2", "asleep", "db", "queue"]),  # what has none stays last
        ("Runtime", ["asleep", "db", "queue", "web-1", "web-2"]),
    ],
)
async def test_every_column_sorts_in_both_directions(
    server: Server, host: FakeHost, open_page: Open, column: str, ascending: list[str]
) -> None:
    compose(host, "web-1", "shop")
    compose(host, "web-2", "store")
    async with open_page(server.port) as page:
        await live(page)
        header = page.get_by_role("columnheader", name=column)
        await page.evaluate("localStorage.clear()")
        found = {}
        for _ in range(2):
            await header.get_by_role("button").click()
            await page.evaluate(FRAMES)
            found[await header.get_attribute("aria-sort")] = await names(page)
        assert found["ascending"] == ascending
        if column in ("Container", "Memory"):
            assert found["descending"] == ascending[::-1]
        if column == "Project":
            assert found["descending"] == ["web-2", "web-1", "asleep", "db", "queue"]


async def test_figures_that_change_sort_too(server: Server, host: FakeHost, open_page: Open) -> None:
    async with open_page(server.port) as page:
        await live(page)
        for column in ("Network", "Disk", "PIDs", "CPU"):
            header = page.get_by_role("columnheader", name=column)
            await header.get_by_role("button").click()
            assert await header.get_attribute("aria-sort") == "descending"
        for usec in itertools.count(2):
            host.burn("queue", usec * 1_000_000)
            await asyncio.sleep(0.2)
            if (await names(page))[0] == "queue":
                break


async def test_filters(server: Server, host: FakeHost, open_page: Open) -> None:
    compose(host, "web-1", "shop")
    async with open_page(server.port) as page:
        await live(page)
        await page.get_by_label("Filter containers").fill("WEB busy")
        await until(page, "document.querySelectorAll('.row').length === 2")
        assert await page.locator("#count").inner_text() == "2 of 5"
        await page.get_by_label("Compose project").select_option("shop")
        await until(page, "document.querySelectorAll('.row').length === 1")
        assert await names(page) == ["web-1"]
        await page.get_by_label("Filter containers").fill("nothing like that")
        await page.get_by_text("No container fits the filter.").wait_for()
        await page.get_by_label("Filter containers").press("Escape")
        await page.get_by_label("Compose project").select_option("")
        await page.get_by_label("Runtime", exact=True).select_option("docker")
        await until(page, "document.querySelectorAll('.row').length === 5")


async def test_the_detail_has_the_largest_processes(server: Server, open_page: Open, host: FakeHost) -> None:
    pid = (host.scope("web-1") / "cgroup.procs").read_text().strip()
    folder = host.path / f"proc/{pid}"
    (folder / "stat").write_text(f"{pid} (x) D 1 1 1 0 -1 0 0 0 0 0 9 1 0 0 20 0 3 0 500 0 0\n")
    (folder / "status").write_text(f"Name:\t<b>busy</b>\nNSpid:\t{pid}\t7\nVmRSS:\t2048 kB\n")
    async with open_page(server.port) as page:
        await live(page)
        await page.locator(".row", has_text="web-1").click()
        detail = page.get_by_role("complementary", name="Container detail")
        row = detail.get_by_role("row", name="<b>busy</b>")
        await row.wait_for()
        assert re.search(rf"2\sMiB\s+{pid}\s+7\s+3\s+disk sleep", await row.inner_text())
        await detail.get_by_text("1 in disk sleep").wait_for()


async def test_the_detail_has_limits_and_the_reasons_for_what_is_absent(server: Server, open_page: Open) -> None:
    async with open_page(server.port) as page:
        await live(page)
        await page.locator(".row", has_text="web-1").click()
        detail = page.get_by_role("complementary", name="Container detail")
        await detail.get_by_text("this kernel or this cgroup has no such file").first.wait_for()
        text = await detail.inner_text()
        assert "web-1" in text and "lab/busybox:1" in text
        assert re.search(r"40\sMiB of 64\sMiB · 62\.5\s%", text), text
        assert re.search(r"some tasks.*: this kernel or this cgroup has no such file", text), text
        assert not await detail.get_by_text("memory.current").first.is_visible()
        await detail.get_by_role("button", name="Sources").click()
        assert await detail.get_by_text("memory.current").first.is_visible()
        await page.keyboard.press("Escape")
        assert not await detail.is_visible()


async def test_the_little_that_an_idle_container_uses_of_a_core_is_not_said_to_be_nothing(
    server: Server, open_page: Open
) -> None:
    async with open_page(server.port) as page:
        await page.goto("about:blank")
        await page.add_script_tag(path=f"{PROJECT}/agent/cgstatd/web/static/format.js")
        told = await page.evaluate("[0, 0.0043, 0.0001, 0.0512, 0.1, 0.254, 2].map(cores)")
    assert told == ["0", "0.0043", "0.0001", "0.051", "0.1", "0.25", "2"]


async def test_by_keyboard_alone(server: Server, open_page: Open) -> None:
    async with open_page(server.port) as page:
        await live(page)
        await page.keyboard.press("/")
        await page.keyboard.type("web")
        await until(page, "document.querySelectorAll('.row').length === 2")
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("ArrowDown")
        active = "document.getElementById(document.getElementById('grid').getAttribute('aria-activedescendant'))"
        assert "web-2" in await page.evaluate(f"{active}.textContent")
        style = await page.evaluate(
            f"getComputedStyle({active}).outlineStyle + getComputedStyle({active}).outlineWidth"
        )
        assert style == "solid2px"  # where the keyboard is can be seen
        await page.keyboard.press("Enter")
        await page.locator("aside h2", has_text="web-2").wait_for()
        assert await page.evaluate("document.activeElement.tagName") == "H2"
        await page.keyboard.press("Escape")
        assert await page.evaluate("document.activeElement.id") == "grid"
        await page.keyboard.press("Home")
        assert "web-1" in await page.evaluate(f"{active}.textContent")
        await page.keyboard.press("Shift+Tab")
        assert await page.evaluate("document.activeElement.tagName") in ("BUTTON", "SELECT", "DIV")


async def test_dark_and_light_as_the_system_or_as_chosen(server: Server, open_page: Open) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    async with open_page(server.port, **DESKTOP, color_scheme="dark") as page:
        await live(page)
        assert await page.evaluate(background) == "rgb(15, 19, 23)"
        await page.locator("#theme").click()
        assert await page.evaluate(background) == "rgb(244, 246, 248)"
        await page.reload()
        await live(page)
        assert await page.evaluate(background) == "rgb(244, 246, 248)"
        await page.locator("#theme").click()
        assert await page.evaluate(background) == "rgb(15, 19, 23)"


async def test_on_a_phone_nothing_is_cut_off_and_it_sorts(server: Server, open_page: Open) -> None:
    async with open_page(server.port, **PHONE) as page:
        await live(page)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390
        assert not await page.get_by_role("columnheader", name="Memory").is_visible()
        await page.get_by_label("Sort by").select_option("memory")
        await until(page, "document.querySelector('.row .title b').textContent === 'db'")
        await page.get_by_label("Sort direction: descending").click()
        await until(page, "document.querySelector('.row .title b').textContent === 'asleep'")
        await page.locator(".row", has_text="web-1").tap()
        box = await page.locator("aside").bounding_box()
        assert box and (box["x"], box["width"]) == (0, 390)
        assert await page.evaluate("document.querySelector('aside').scrollWidth") <= 390
