"""The lines of a chosen container are full at once; gaps, marks, the value at a point; containers that are gone."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import pytest_asyncio

from browser.driver import DESKTOP, PHONE, Open, live, until
from browser.lived import GONE, LONG_GONE, ROUNDS, Lived, ahead
from browser.measured import FAINT_TEXT, FRAMES, STICKS_OUT
from cgstatd.feed import queries
from cgstatd.outputs.host_json import AgentFacts, agent_facts
from fakehost import FakeHost, unreadable
from wire import Server, serving

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.asyncio(loop_scope="module")

CANVAS = "document.querySelectorAll('aside figure canvas')"
DRAWN = f"""((n, from, to) => {{
  const canvas = {CANVAS}[n], {{width, height}} = canvas;
  const copy = new OffscreenCanvas(width, height).getContext("2d", {{willReadFrequently: true}});
  copy.drawImage(canvas, 0, 0);
  const {{data}} = copy.getImageData(0, 0, width, height - 2 * devicePixelRatio);
  let columns = 0;
  for (let x = Math.floor(width * from); x < Math.floor(width * to); x += 1) {{
    for (let y = 0; y < height - 2 * devicePixelRatio; y += 1) {{
      if (data[(y * width + x) * 4 + 3] > 90) {{ columns += 1; break; }}
    }}
  }}
  return columns / (Math.floor(width * to) - Math.floor(width * from));
}})"""
"""The share of a part of a chart's columns in which a line was drawn."""
RANGES = "document.querySelector('.ranges').innerText.split(/\\s+/).join(' ')"
"""The titles of the ranges that are offered."""
UNKNOWN = "\N{EN DASH}"


async def point(page: Page, part: float, wanted: Callable[[str], bool]) -> str:
    """Point at a part of the lines' width until the reading below them is the wanted one; what it says.

    Again and again, as a reader does: a detail or a history that comes late moves the lines away under the pointer.
    """
    canvas, reading = page.locator("aside figure canvas").first, page.locator(".reading.at")
    for by in itertools.cycle((0, 0.5)):
        box = await canvas.bounding_box()
        assert box
        await page.mouse.move(box["x"] + box["width"] * part + by, box["y"] + 20)
        await page.evaluate(FRAMES)
        said = await reading.all_inner_texts()
        if said and wanted(said[0]):
            return said[0]
    raise AssertionError


@pytest.fixture
def lived() -> Lived:
    return Lived()


@pytest_asyncio.fixture(loop_scope="module")
async def server(host: FakeHost, lived: Lived) -> AsyncIterator[Server]:
    """The agent over the made-up host, with an hour behind it."""
    async with serving(host.sampler(), freshness=0.1, history=3600, prepare=lived) as server:
        yield server


FULL = f"{CANVAS}.length === 4 && {DRAWN}(0, 0.02, 0.9) > 0.95"
"""The lines of a chosen container: all of what was before the page, which takes a while to come on a busy machine."""


async def test_lines_are_full_at_once(server: Server, open_page: Open) -> None:
    async with open_page(server.port) as page:
        await live(page)
        drawn = DRAWN.replace("aside figure canvas", ".row canvas")
        for line in range(4):
            await until(page, f"{drawn}({line}, 0.02, 0.9) > 0.95")
        await page.locator(".row", has_text="web-1").click()
        await until(page, FULL)
        for chart in range(1, 4):
            assert await page.evaluate(f"{DRAWN}({chart}, 0.02, 0.9)") > 0.95
        pressed = page.locator(".ranges [aria-pressed=true]")
        assert await pressed.inner_text() == "15\N{NARROW NO-BREAK SPACE}min"
        labels = await page.locator(".axis span:not([hidden])").all_inner_texts()
        assert len(labels) >= 3 and all(re.fullmatch(r"\d\d:\d\d", each) for each in labels)


async def test_the_value_under_the_pointer_and_by_keyboard(server: Server, open_page: Open) -> None:
    async with open_page(server.port, at="#c=web-1") as page:
        await live(page)
        await until(page, FULL)
        times, time = set[str](), re.compile(r"\d\d:\d\d:\d\d")
        for part in (0.2, 0.35, 0.5):
            times.add(await point(page, part, lambda said: bool(time.fullmatch(said)) and said not in times))
        await page.mouse.move(5, 5)
        await until(page, "!document.querySelector('.reading.at')")
        axis = page.get_by_role("slider", name="Time of the lines")
        await axis.focus()
        assert await axis.get_attribute("aria-valuetext") == "now"
        texts = []
        for key in ("Home", "ArrowRight", "PageDown", "ArrowLeft", "End"):
            before = await axis.get_attribute("aria-valuetext")
            await page.keyboard.press(key)
            while (text := await axis.get_attribute("aria-valuetext")) == before:
                await asyncio.sleep(0.02)
            texts.append(str(text))
        assert len(set(texts)) == 5
        figure = r"[\d.]+\s\S+"
        most = rf"(, at most {figure})?"  # until the range of a running container is known, a point is two rounds
        words = f"CPU {figure}{most}, Memory {figure}{most}, Network ↓ ↑ {figure} {figure}, Disk R W {figure} {figure}"
        assert re.fullmatch(rf"\d\d:\d\d:\d\d; {words}", texts[1])
        now, latest = [await axis.get_attribute(f"aria-value{each}") for each in ("now", "max")]
        assert now == latest
        await page.keyboard.press("Escape")
        assert await axis.get_attribute("aria-valuetext") == "now"
        assert await page.locator("aside").is_visible()
        await page.keyboard.press("Escape")
        assert not await page.locator("aside").is_visible()


async def test_what_happened_is_marked_and_a_gap_says_why(server: Server, open_page: Open, lived: Lived) -> None:
    happenings, lane = ".happenings li", ".lane ."
    async with open_page(server.port, at="#c=web-1&range=1h") as page:
        await page.locator(happenings, has_text="no figures: the host was asleep").wait_for()
        await page.locator(happenings, has_text="1 process OOM-killed").wait_for()
        assert await page.locator(f"{lane}oom").count() == 1
        middle = (lived.asleep[0] + lived.asleep[-1]) / 2 / ROUNDS
        await point(page, middle, lambda reading: "the host was asleep" in reading)
        assert f"CPU {UNKNOWN}" in str(await page.locator("[role=slider]").get_attribute("aria-valuetext"))
        await page.locator(".row", has_text="web-2").click()
        await page.locator(happenings, has_text="exited with 3").wait_for()
        assert await page.locator(happenings, has_text="started").count() == 1
        assert await page.locator(f"{lane}exit").count() == await page.locator(f"{lane}start").count() == 1
        await page.locator(".row", has_text="queue").click()
        await page.locator(happenings, has_text="waits for the disk: others have it").wait_for()
        assert await page.locator(happenings, has_text="waited 62 s for the disk: others have it").count() == 1
        assert await page.locator(happenings, has_text="health: unhealthy").count() == 1
        assert await page.locator(f"{lane}pressure").count() == 2
        assert await page.locator(f"{lane}health").count() == 1


async def test_ranges_are_chosen_and_kept_in_the_address(server: Server, open_page: Open) -> None:
    async with open_page(server.port, at="#c=web-1") as page:
        await live(page)
        await page.get_by_role("button", name="1\N{NARROW NO-BREAK SPACE}h").click()
        await until(page, "location.hash.includes('range=1h')")
        await page.get_by_text("A point is 20\N{NARROW NO-BREAK SPACE}s.").wait_for()
        await page.get_by_role("button", name="Live").click()
        await until(page, "location.hash.includes('range=live')")
        await page.get_by_text("A point is 1\N{NARROW NO-BREAK SPACE}s.").wait_for()
        await page.go_back()
        pressed = page.locator(".ranges [aria-pressed=true]")
        assert await pressed.inner_text() == "1\N{NARROW NO-BREAK SPACE}h"
        await page.evaluate("location.hash = '#c=web-1&range=fortnight'")
        await until(page, "document.querySelector('.ranges [aria-pressed=true]').textContent.startsWith('15')")


async def test_a_container_that_is_gone_can_still_be_looked_at(server: Server, open_page: Open) -> None:
    hour = "1\N{NARROW NO-BREAK SPACE}h"
    async with open_page(server.port, at=f"#c={GONE[:12]}", statuses=(404,)) as page:
        await live(page)
        await page.get_by_text("This container is gone. What is left of it is its history.").wait_for()
        await page.locator("aside h2", has_text="gone").wait_for()
        await page.locator(".happenings li", has_text="exited with 137, OOM-killed").wait_for()
        # No range was chosen: it is the longest, since the last 15 minutes may have nothing of it.
        assert await page.locator(".ranges [aria-pressed=true]").inner_text() == hour
        assert await page.evaluate(f"{DRAWN}(1, 0.4, 0.8)") > 0.95
        assert await page.locator("aside figure b").first.inner_text() == UNKNOWN
        await page.evaluate(f"location.hash = '#c={LONG_GONE[:12]}'")
        await page.locator(".happenings li", has_text="exited with 0").wait_for()
        await page.get_by_role("button", name="15").click()
        await page.locator(".happenings li", has_text="the container did not run").wait_for()
        await until(page, "!document.querySelector('.happenings').textContent.includes('exited')")
        await page.get_by_role("button", name=hour).click()
        await page.locator(".happenings li", has_text="exited with 0").wait_for()


async def test_what_happens_meanwhile_is_marked_too_and_new_rounds_are_asked_for(
    server: Server, open_page: Open, host: FakeHost, lived: Lived
) -> None:
    async with open_page(server.port, at="#c=web-1", statuses=(404, 500)) as page:
        await live(page)
        await until(page, FULL)
        assert await page.locator(".happenings li").count() == 0
        lived.stories["web-1"] = replace(lived.stories["web-1"], oom=ROUNDS, kills=2, last=ROUNDS)
        lived.add(ROUNDS, ahead())
        await page.locator(".happenings li", has_text="2 processes OOM-killed").wait_for()
        await page.locator(".row", has_text="queue").click()
        await until(page, FULL)
        host.remove("queue", from_disk=True)
        await page.locator(".happenings li", has_text="ended").wait_for()
        await page.locator(".row.ended").wait_for()
        assert await page.locator("aside figure b").first.inner_text() == UNKNOWN
    host.add("queue")


async def test_without_a_history_it_says_so_and_draws_what_it_sees(host: FakeHost, open_page: Open) -> None:
    async with serving(host.sampler(), freshness=0.1) as server, open_page(server.port, at="#c=db") as page:
        await live(page)
        await page.get_by_text("The agent keeps no history (history = 0 in its configuration)").wait_for()
        assert not await page.locator(".ranges").is_visible()
        await until(page, f"{DRAWN}(1, 0.9, 1) > 0.1")
        assert await page.evaluate(f"{DRAWN}(1, 0, 0.5)") == 0
        requests = await page.evaluate("performance.getEntriesByType('resource').map((each) => each.name)")
        assert not any(re.search("containers/[^/]+/history", each) for each in requests)


@pytest.mark.parametrize("screen", [PHONE, DESKTOP])
async def test_a_finger_sees_the_value_too(server: Server, open_page: Open, screen: dict[str, Any]) -> None:
    options = screen | {"has_touch": True}
    async with open_page(server.port, at="#c=web-1&range=1h", **options) as page:
        await live(page, 1)
        await until(page, f"{CANVAS}.length === 4 && {DRAWN}(0, 0.05, 0.2) > 0.9")
        canvas = page.locator("aside figure canvas").first
        await canvas.tap(position={"x": 60, "y": 20})
        await page.locator(".reading.at").wait_for()
        assert await page.evaluate("document.querySelector('aside').scrollWidth <= innerWidth")
        await page.locator("aside h2").tap()
        await until(page, "!document.querySelector('.reading.at')")


async def test_everything_can_be_read_and_nothing_sticks_out(server: Server, open_page: Open) -> None:
    async with open_page(server.port, at="#c=web-2&range=1h") as page:
        await page.locator(".happenings li", has_text="exited with 3").wait_for()
        await page.get_by_role("slider").focus()
        await page.keyboard.press("Home")
        await page.locator(".reading.at").wait_for()
        media: Any = page.emulate_media
        for forced in ("none", "active"):
            for scheme in ("light", "dark"):
                await media(color_scheme=scheme, forced_colors=forced)
                text = await page.evaluate(FAINT_TEXT)
                assert text["found"] == [] and text["count"] > 60, (forced, scheme)
            for width in (320, 390, 720, 1000, 1001, 1440, 2560):
                await page.set_viewport_size({"width": width, "height": 900})
                await page.evaluate(FRAMES)
                assert await page.evaluate(STICKS_OUT) == [], (forced, width)
                assert await page.evaluate("document.querySelector('aside').scrollWidth <= innerWidth")


async def test_there_is_a_range_of_all_that_the_disk_has(
    server: Server, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.parts.queries.host._fresh = 0.0
    async with open_page(server.port, at="#c=web-1&range=all") as page:
        for seconds, titles in (
            (600, "Live 10 min"), (3605, "Live 15 min 1 h"), (90_000, "Live 15 min 1 h 25 h"),
            (600_000, "Live 15 min 1 h 7 d"),
        ):  # fmt: skip
            monkeypatch.setattr(queries, "agent_facts", partial(facts, seconds))
            await page.reload()
            # Asked for once the agent has said how far it goes back.
            await until(page, "performance.getEntriesByType('resource').some(({name}) => name.includes('/history'))")
            await until(page, f"{RANGES} === '{titles}'")
            assert await page.locator(".ranges button").last.get_attribute("aria-pressed") == "true"


@pytest.mark.parametrize("late", [True, False], ids=["late", "not there"])
async def test_a_container_that_the_first_round_lacks_has_its_live_range_when_it_comes(
    server: Server, host: FakeHost, open_page: Open, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    name = "web-1" if late else "soon"
    with ExitStack() as first:
        first.enter_context(unreadable(monkeypatch, name))
        async with open_page(server.port, at=f"#c={name}", statuses=(404, 500, 503)) as page:
            await live(page, rows=4)
            await page.locator("aside h2", has_text=name).wait_for()
            first.close()
            if not late:
                host.add(name)
            await until(page, f"{RANGES} === 'Live 15 min 1 h'")
            await page.locator(".row[aria-selected=true]", has_text=name).wait_for()


def facts(seconds: float, *arguments: Any) -> AgentFacts:
    """Of an agent whose history goes as far back."""
    return msgspec.structs.replace(agent_facts(*arguments), history_keep_seconds=seconds)
