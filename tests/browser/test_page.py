"""The live page in a real browser: starts, updates, sorts, filters, detail, waits, keyboard, colours, phone."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from browser.driver import DESKTOP, PHONE, Open, live, names, rows, until
from browser.measured import FRAMES, STICKS_OUT
from browser.populated import compose, five
from cgstatd.outputs.pressure_types import FollowPressure, PressureWait
from fakehost import FakeHost, container_id, unreadable
from helpers import PROJECT
from wire import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> FakeHost:
    """web-1 is of a project, unhealthy, and in disk sleep; web-2 is of another project; db has a health check."""
    host = five(tmp_path_factory.mktemp("host"))
    compose(host, "web-1", "shop")
    compose(host, "web-2", "store")
    for name, status, interval_ns in (("web-1", "unhealthy", 10**18), ("db", "healthy", 1)):
        health = {"Status": status, "FailingStreak": 2, "Log": [{"Output": "s3cr3t"}]}
        host.config(name, State={"Health": health}, Config={"Healthcheck": {"Interval": interval_ns}})
    pid = (host.scope("web-1") / "cgroup.procs").read_text().strip()
    folder = host.path / f"proc/{pid}"
    (folder / "stat").write_text(f"{pid} (x) D 1 1 1 0 -1 0 0 0 0 0 9 1 0 0 20 0 3 0 500 0 0\n")
    (folder / "status").write_text(f"Name:\t<b>busy</b>\nNSpid:\t{pid}\t7\nVmRSS:\t2048 kB\n")
    return host


async def burn(host: FakeHost) -> None:
    """The queue uses CPU for a moment."""
    before = int((host.scope("queue") / "cpu.stat").read_text().split()[1])
    host.burn("queue", before + 1_000_000)
    await asyncio.sleep(0.2)


async def test_it_starts_and_goes_on(server: Server, host: FakeHost, open_page: Open) -> None:
    async with open_page(server.port) as page:
        await live(page)
        assert not await page.locator("#events-button").is_visible(), "without events there is no strip of them"
        assert not await page.locator("#events").is_visible()
        assert await names(page) == ["asleep", "db", "queue", "web-1", "web-2"]
        first = await page.locator(".row", has_text="web-1").inner_text()
        assert "39" in first and "61" in first and "of 64" in first  # MiB without the cache, % of its limit
        assert "paused" in await page.locator(".row", has_text="asleep").inner_text()
        for column in ("Network", "Disk", "PIDs", "CPU"):
            header = page.get_by_role("columnheader", name=column)
            await header.get_by_role("button").click()
            assert await header.get_attribute("aria-sort") == "descending"
        while (await names(page))[0] != "queue":  # figures that change sort too
            await burn(host)
        assert not (await page.locator(".row .cpu .value").first.inner_text()).startswith("0.00")
        canvas = "document.querySelector('.row .cpu canvas')"
        pixels = f"{canvas}.getContext('2d').getImageData(0, 0, {canvas}.width, {canvas}.height).data"
        await until(page, f"Array.from({pixels}).filter((v, n) => n % 4 === 3 && v > 200).length > 3")  # a line


async def test_starts_ends_and_who_is_late_are_told(
    server: Server, host: FakeHost, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_page(server.port) as page:
        await live(page)
        shown = sorted(await names(page))
        with unreadable(monkeypatch, "web-1"):
            await page.locator(".row", has_text="web-1").locator(".pill", has_text="late").wait_for()
            assert sorted(await names(page)) == shown
        await page.locator(".row .pill", has_text="late").wait_for(state="detached")
        assert sorted(await names(page)) == shown
        host.add("new")
        await page.locator("#last-event", has_text="new started").wait_for()
        await page.locator(".row .title b", has_text="new").wait_for()
        host.remove("new", from_disk=True)
        await page.locator("#last-event", has_text="new ended").wait_for()
        await page.locator(".row.ended", has_text="new").wait_for()
        await page.get_by_role("button", name="Events 2").click()
        assert await page.locator("#events-list li").count() == 2


async def test_every_column_sorts_in_both_directions(server: Server, open_page: Open) -> None:
    by_name = ["asleep", "db", "queue", "web-1", "web-2"]
    async with open_page(server.port) as page:
        await live(page)
        for column, ascending, descending in (
            ("Container", by_name, by_name[::-1]),
            ("Memory", ["asleep", "queue", "web-1", "web-2", "db"], ["db", "web-2", "web-1", "queue", "asleep"]),
            ("Project", ["web-1", "web-2", *by_name[:3]], ["web-2", "web-1", *by_name[:3]]),  # who has none is last
            ("Runtime", by_name, by_name),
        ):
            header = page.get_by_role("columnheader", name=column)
            found = {}
            for _ in range(2):
                await header.get_by_role("button").click()
                await page.evaluate(FRAMES)
                found[await header.get_attribute("aria-sort")] = await names(page)
            assert found == {"ascending": ascending, "descending": descending}, column


async def test_filters(server: Server, open_page: Open) -> None:
    async with open_page(server.port) as page:
        await live(page)
        await page.get_by_label("Filter containers").fill("WEB busy")
        await rows(page, 2)
        assert await page.locator("#count").inner_text() == "2 of 5"
        await page.get_by_label("Compose project").select_option("shop")
        await rows(page, 1)
        assert await names(page) == ["web-1"]
        await page.get_by_label("Filter containers").fill("nothing like that")
        await page.get_by_text("No container fits the filter.").wait_for()
        await page.get_by_label("Filter containers").press("Escape")
        await page.get_by_label("Compose project").select_option("")
        await page.get_by_label("Runtime", exact=True).select_option("docker")
        await rows(page, 5)


async def test_the_detail_has_limits_processes_health_and_the_reasons_for_what_is_absent(
    server: Server, open_page: Open, host: FakeHost
) -> None:
    pid = (host.scope("web-1") / "cgroup.procs").read_text().strip()
    async with open_page(server.port) as page:
        await live(page)
        await page.locator(".row", has_text="web-1").click()
        detail = page.get_by_role("complementary", name="Container detail")
        await detail.get_by_text("unhealthy, 2 failed in a row").wait_for()
        await detail.get_by_text("1 in disk sleep").wait_for()
        row = detail.get_by_role("row", name="<b>busy</b>")
        assert re.search(rf"2\sMiB\s+{pid}\s+7\s+3\s+disk sleep", await row.inner_text())
        await detail.get_by_text("this kernel or this cgroup has no such file").first.wait_for()
        text = await detail.inner_text()
        assert "web-1" in text and "lab/busybox:1" in text and "s3cr3t" not in text
        assert re.search(r"40\sMiB of 64\sMiB · 62\.5\s%", text), text
        assert re.search(r"some tasks.*: this kernel or this cgroup has no such file", text), text
        assert not await detail.get_by_text("memory.current").first.is_visible()
        await detail.get_by_role("button", name="Sources").click()
        assert await detail.get_by_text("memory.current").first.is_visible()
        await page.keyboard.press("Escape")
        assert not await detail.is_visible()
        await page.locator(".row", has_text="db").click()
        await detail.get_by_text("health: Docker keeps it in memory").wait_for()


async def test_by_keyboard_alone(server: Server, open_page: Open) -> None:
    active = "document.getElementById(document.getElementById('grid').getAttribute('aria-activedescendant'))"
    focus = "document.activeElement"
    async with open_page(server.port) as page:
        await live(page)
        await page.keyboard.press("/")
        await page.keyboard.type("web")
        await rows(page, 2)
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("ArrowDown")
        assert "web-2" in await page.evaluate(f"{active}.textContent")
        style = f"getComputedStyle({active}).outlineStyle + getComputedStyle({active}).outlineWidth"
        assert await page.evaluate(style) == "solid2px"  # where the keyboard is can be seen
        await page.keyboard.press("Enter")
        await page.locator("aside h2", has_text="web-2").wait_for()
        assert await page.evaluate(f"{focus}.tagName") == "H2"
        await page.keyboard.press("Escape")
        assert await page.evaluate(f"{focus}.id") == "grid"
        await page.keyboard.press("Home")
        assert "web-1" in await page.evaluate(f"{active}.textContent")
        await page.keyboard.press("Shift+Tab")
        assert await page.evaluate(f"{focus}.tagName") in ("BUTTON", "SELECT", "DIV")


async def test_keys_are_shown_and_closed_by_keyboard_and_by_pointer(server: Server, open_page: Open) -> None:
    async with open_page(server.port) as page:
        await live(page)
        dialog = page.get_by_role("dialog", name="Keys")
        await page.locator("#grid").focus()
        await page.keyboard.press("?")
        await dialog.get_by_text("fold and unfold a group").wait_for()
        await page.keyboard.press("/")  # it is for the dialog alone now
        assert await dialog.is_visible()
        await page.keyboard.press("Escape")
        await dialog.wait_for(state="hidden")
        assert await page.evaluate("document.activeElement.id") == "grid"
        await page.get_by_role("button", name="Keys").click()
        await dialog.get_by_role("button", name="Close").click()
        await dialog.wait_for(state="hidden")
        await page.get_by_label("Filter containers").focus()
        await page.keyboard.type("a?b")
        assert await page.get_by_label("Filter containers").input_value() == "a?b"
        assert not await dialog.is_visible()
        await rows(page, 0)


async def test_dark_and_light_as_the_system_or_as_chosen(server: Server, open_page: Open) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    dark, light = "rgb(15, 19, 23)", "rgb(244, 246, 248)"
    async with open_page(server.port, **DESKTOP, color_scheme="dark") as page:
        await live(page)
        assert await page.evaluate(background) == dark
        await page.locator("#theme").click()
        assert await page.evaluate(background) == light
        await page.reload()
        await live(page)
        assert await page.evaluate(background) == light
        await page.locator("#theme").click()
        assert await page.evaluate(background) == dark
        await page.goto("about:blank")
        await page.add_script_tag(path=f"{PROJECT}/agent/cgstatd/web/static/format.js")
        told = await page.evaluate("[0, 0.0043, 0.0001, 0.0512, 0.1, 0.254, 2].map(cores)")
    # the little that an idle container uses of a core is not said to be nothing
    assert told == ["0", "0.0043", "0.0001", "0.051", "0.1", "0.25", "2"]


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


async def test_the_event_source_example(server: Server, host: FakeHost, open_page: Open) -> None:
    """The documents' example for a browser."""
    [code] = re.findall(r"^```js\n(.*?)^```$", Path(PROJECT, "docs/http-api.md").read_text("utf-8"), re.S | re.M)
    async with open_page(server.port) as page:
        await live(page)
        await page.evaluate(f"""() => {{
            window.shown = {{}};
            window.removed = [];
            const show = (stat) => {{ window.shown[stat.name] = stat; }};
            const remove = (id) => window.removed.push(id);
            {code}
        }}""")
        await until(page, "'web-1' in window.shown && 'db' in window.shown")
        gone = host.add("gone")
        await until(page, "'gone' in window.shown")
        host.remove("gone", from_disk=True)
        await until(page, f"window.removed.includes('{gone}')")


# -- what waits, and why, above the table: for as long as it counts, and once in the list of events


def wait(name: str, why: str, cause: str = "own_limit") -> PressureWait:
    none: dict[str, Any] = dict.fromkeys(PressureWait.__struct_fields__)
    said = {"id": container_id(name), "name": name, "runtime": "docker", "resource": "cpu", "cause": cause}
    return PressureWait(**none | said | {"neighbours": [], "text": f"{name} waits for CPU 42 % of the time: {why}"})


def event(*waits: PressureWait, more: int = 0, valid: float = 60.0) -> FollowPressure:
    return FollowPressure(
        resources=["cpu"], seconds=1.5, valid_seconds=valid, waits=list(waits), more=more, timestamp=1_795_615_871_204
    )


async def test_what_waits_is_said_with_its_reason_and_goes_by_itself(server: Server, open_page: Open) -> None:
    follower, several = server.parts.follower, ("web-1", "web-2", "db", "queue")
    shown, hidden = (f"{sign}document.getElementById('waits').hidden" for sign in ("!", ""))
    async with open_page(server.port) as page:
        await live(page)
        assert await page.locator("#waits").is_hidden()
        follower.pressure(event(wait("web-1", "its own limit, 0.5 cores (cpu.max)")))
        await until(page, shown)
        line = page.get_by_role("status", name="What waits")
        text = "web-1 waits for CPU 42 % of the time: its own limit, 0.5 cores (cpu.max)"
        assert await line.locator("li").all_inner_texts() == [text]
        assert text in await page.locator("#last-event").inner_text()
        follower.pressure(event(wait("web-1", "its own limit, 0.6 cores (cpu.max)")))  # the same cause: no new event
        await until(page, "document.getElementById('waits').textContent.includes('0.6')")
        assert await page.locator("#events-count").inner_text() == "1"
        await line.get_by_role("button").click()
        await page.get_by_role("complementary").get_by_text("web-1").first.wait_for()
        await page.keyboard.press("Escape")
        hostile = "<img src=x onerror=alert(1)>"
        follower.pressure(event(*(wait(name, hostile, "neighbours") for name in several), more=2))
        await until(page, "document.querySelectorAll('#waits li').length === 4")
        lines = await page.locator("#waits li").all_inner_texts()
        assert lines[3] == "3 more wait" and hostile in lines[0]
        why = f"the limit of /{'a-long-slice-' * 8}.slice above it, 0.5 cores (cpu.max), ran out in 98 % of the periods"
        follower.pressure(event(*(wait(name, why) for name in several)))
        await until(page, "document.getElementById('waits').textContent.includes('a-long-slice')")
        for width in (320, 720, 1440):
            await page.set_viewport_size({"width": width, "height": 800})
            await page.evaluate(FRAMES)
            assert await page.evaluate(STICKS_OUT) == [], width
    async with open_page(server.port) as page:  # one that comes meanwhile has it
        await live(page)
        await until(page, shown)
        follower.pressure(event(wait("db", "because"), valid=0.1))
        await until(page, hidden)
        assert await page.locator("#waits li").count() == 0
