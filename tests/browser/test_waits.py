"""What waits, and why, above the table: for as long as it counts, and once in the list of events."""

from __future__ import annotations

from typing import Any

import pytest

from browser.driver import Open, live, shots, until
from browser.measured import FRAMES, STICKS_OUT
from cgstatd.outputs.pressure_types import FollowPressure, PressureWait
from fakehost import container_id
from wire import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHOWN = "!document.getElementById('waits').hidden"


def wait(name: str, why: str, cause: str = "own_limit") -> PressureWait:
    none: dict[str, Any] = dict.fromkeys(PressureWait.__struct_fields__)
    said = {"id": container_id(name), "name": name, "runtime": "docker", "resource": "cpu", "cause": cause}
    return PressureWait(**none | said | {"neighbours": [], "text": f"{name} waits for CPU 42 % of the time: {why}"})


def event(*waits: PressureWait, more: int = 0, valid: float = 60.0) -> FollowPressure:
    return FollowPressure(
        resources=["cpu"], seconds=1.5, valid_seconds=valid, waits=list(waits), more=more, timestamp=1_795_615_871_204
    )


async def test_a_line_says_which_container_waits_for_what_and_why(server: Server, open_page: Open) -> None:
    follower = server.parts.follower
    async with open_page(server.port) as page:
        await live(page)
        assert await page.locator("#waits").is_hidden()
        follower.pressure(event(wait("web-1", "its own limit, 0.5 cores (cpu.max)")))
        await until(page, SHOWN)
        line = page.get_by_role("status", name="What waits")
        text = "web-1 waits for CPU 42 % of the time: its own limit, 0.5 cores (cpu.max)"
        assert await line.locator("li").all_inner_texts() == [text]
        assert text in await page.locator("#last-event").inner_text()
        if path := shots("waits"):
            await page.screenshot(path=path)
        follower.pressure(event(wait("web-1", "its own limit, 0.6 cores (cpu.max)")))  # the same cause: no new event
        await until(page, "document.getElementById('waits').textContent.includes('0.6')")
        assert await page.locator("#events-count").inner_text() == "1"
        await line.get_by_role("button").click()
        await page.get_by_role("complementary").get_by_text("web-1").first.wait_for()


async def test_several_lines_are_three_and_how_many_more(server: Server, open_page: Open) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    async with open_page(server.port) as page:
        await live(page)
        waits = [wait(name, hostile, "neighbours") for name in ("web-1", "web-2", "db", "queue")]
        server.parts.follower.pressure(event(*waits, more=2))
        await until(page, SHOWN)
        lines = await page.locator("#waits li").all_inner_texts()
        assert len(lines) == 4 and lines[3] == "3 more wait" and hostile in lines[0]


async def test_it_goes_by_itself_and_a_page_that_comes_meanwhile_has_it(server: Server, open_page: Open) -> None:
    follower = server.parts.follower
    follower.pressure(event(wait("db", "because")))
    async with open_page(server.port) as page:
        await live(page)
        await until(page, SHOWN)
        follower.pressure(event(wait("db", "because"), valid=0.1))
        await until(page, "document.getElementById('waits').hidden")
        assert await page.locator("#waits li").count() == 0


@pytest.mark.parametrize("width", [320, 720, 1440])
async def test_a_long_sentence_does_not_stick_out(server: Server, open_page: Open, width: int) -> None:
    why = f"the limit of /{'a-long-slice-' * 8}.slice above it, 0.5 cores (cpu.max), ran out in 98 % of the periods"
    async with open_page(server.port) as page:
        await live(page)
        server.parts.follower.pressure(event(*[wait(name, why) for name in ("web-1", "web-2", "db", "queue")]))
        await until(page, SHOWN)
        await page.set_viewport_size({"width": width, "height": 800})
        await page.evaluate(FRAMES)
        assert await page.evaluate(STICKS_OUT) == []
        if path := shots(f"waits-{width}"):
            await page.screenshot(path=path)
