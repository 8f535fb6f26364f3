"""How the page looks: nothing sticks out at any width, all text can be read, bars can be seen in forced colours."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

import pytest

from browser.driver import DESKTOP, Open, live
from browser.measured import BARS, FAINT_FIELDS, FAINT_LINES, FAINT_TEXT, FRAMES, STICKS_OUT
from browser.populated import compose, label
from fakehost import FakeHost
from wire import Server

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.asyncio(loop_scope="module")

NIGHTLY = "NIGHTLY" in os.environ

EDGES = [edge + n for edge in (359, 430, 720, 770, 980, 1000, 1020, 1150, 1240, 1700) for n in (0, 1)]
"""Where the page is laid out otherwise: what fits at both sides of each fits between them."""
WIDTHS = sorted({320, 390, *EDGES, 2560, *(*range(320, 2561, 80), *range(1181, 1300, 13))[:: 1 if NIGHTLY else 10]})
SCHEMES: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> FakeHost:
    """Calm, near its limit, at it; paused; in a project; with a quota; with names that are long."""
    host = FakeHost(tmp_path_factory.mktemp("host"))
    host.add("calm", memory=3 << 20)
    host.add("near", memory=56 << 20, cache=0, limit=str(64 << 20))
    host.add("full", memory=63 << 20, cache=0, limit=str(64 << 20))
    host.add("asleep", frozen=True)
    host.add("long")
    host.add("going")
    label(
        host, "long", "a-name-that-is-much-longer-than-its-column-" * 4, "registry.example.org/team/image:" + "1" * 60
    )
    compose(host, "near", "shop")
    cgroup = host.scope("calm")
    (cgroup / "cpu.max").write_text("25000 100000\n")
    (cgroup / "pids.max").write_text("16384\n")
    return host


async def fits(page: Page, what: str) -> None:
    """Nothing is beyond the window or clipped at any width."""
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": 800})
        await page.evaluate(FRAMES)
        assert await page.evaluate(STICKS_OUT) == [], (what, width)


@pytest.mark.parametrize(
    ("state", "there"),
    [("", ".row"), ("group=project", ".row.group"), ("show=all", ".row .pill"), ("c=pm-burn", "aside dd")],
)
async def test_at_every_width_nothing_is_beyond_the_window_or_clipped(
    recorded: Server, open_page: Open, state: str, there: str
) -> None:
    async with open_page(recorded.port, at=f"#{state}") as page:
        await live(page, 10)
        await page.locator(there).first.wait_for()
        await fits(page, state)


async def test_long_names_and_large_figures_do_not_stick_out_and_a_wide_window_is_used(
    server: Server, open_page: Open
) -> None:
    """The columns share it: the name's does not take what is left over, and the lines become longer."""
    canvas = "document.querySelector('.row .cpu canvas').getBoundingClientRect().width"
    async with open_page(server.port) as page:
        await live(page, 6)
        before = await page.evaluate(canvas)
        await page.set_viewport_size({"width": 1920, "height": 1000})
        await page.evaluate(FRAMES)
        assert await page.evaluate(canvas) > 1.5 * before
        name = await page.locator(".head .name").bounding_box()
        assert name and name["width"] < 1920 / 4
        pixels = "document.querySelector('.row .cpu canvas').width"
        assert await page.evaluate(pixels) == round(await page.evaluate(canvas))  # drawn as large as it is shown
        await fits(page, "long names")


async def legible(page: Page, what: str, least: int, *, fields: bool = True) -> None:
    """All text has a contrast of 4.5, and fields of 3, in both schemes."""
    for scheme in SCHEMES:
        await page.emulate_media(color_scheme=scheme)
        text = await page.evaluate(FAINT_TEXT)
        assert text["found"] == [] and text["count"] > least, (what, scheme)
        if fields:
            found: dict[str, Any] = await page.evaluate(FAINT_FIELDS)
            assert found["found"] == [] and found["count"] > 5, (what, scheme)


async def test_limit_bars_can_be_seen_in_forced_colours(server: Server, open_page: Open) -> None:
    async with open_page(server.port, **DESKTOP, forced_colors="active") as page:
        await live(page, 6)
        assert await page.evaluate("matchMedia('(forced-colors: active)').matches")
        for scheme in SCHEMES:
            await page.emulate_media(color_scheme=scheme)
            bars = await page.evaluate(BARS)
            assert len(bars) >= 3
            for bar in bars:
                assert bar["bar"] >= 3 and bar["edge"] >= 3 and bar["border"] == "solid" and bar["height"] >= 4, bar
            assert max(bar["width"] for bar in bars) > 2 * min(bar["width"] for bar in bars)  # as long as their share
        await legible(page, "forced colours", 60, fields=False)
        await page.locator(".row", has_text="near").first.click()
        outline = "getComputedStyle(document.querySelector('.row.active')).outlineStyle"
        assert await page.evaluate(outline) == "solid"  # the chosen row, whose background is taken away


async def test_everything_can_be_read_and_old_figures_too(server: Server, host: FakeHost, open_page: Open) -> None:
    async with open_page(server.port, away=True, statuses=(500,)) as page:
        await live(page, 6)
        for scheme in SCHEMES:
            await page.emulate_media(color_scheme=scheme)
            assert await page.evaluate(FAINT_LINES) == []
        await legible(page, "at first", 60)
        for name in ("near", "full", "asleep"):
            await page.locator(".row", has_text=name).first.click()
            await page.get_by_text("this kernel or this cgroup has no such file").first.wait_for()
            await page.mouse.move(5, 5)
            await legible(page, f"{name} is chosen", 100)
            await page.locator(".row.active").hover()
            await legible(page, f"the pointer is on {name}", 100)
        await page.get_by_role("button", name="Sources").click()
        await legible(page, "sources are shown", 120)
        await page.get_by_label("Group by").select_option("project")
        await page.locator(".row.group").first.click()
        await legible(page, "a group is chosen", 100)
        await page.keyboard.press("?")
        await legible(page, "the keys are shown", 100)
        await page.keyboard.press("Escape")
        await page.get_by_label("Group by").select_option("")
        host.remove("going", from_disk=True)
        await page.locator(".row.ended").wait_for()
        await page.get_by_role("button", name="Events 1").click()
        assert await page.locator("#events").is_visible()
        await page.locator(".row.ended").click()
        await legible(page, "one has ended", 100)
        await server.runner.cleanup()
        await page.get_by_text("agent gone").wait_for()
        await legible(page, "the agent is gone", 60, fields=False)
