"""How the page looks: nothing sticks out at any width, all text can be read, bars can be seen in forced colours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from browser.driver import DESKTOP, Open, live, until
from browser.measured import BARS, FAINT_FIELDS, FAINT_LINES, FAINT_TEXT, FRAMES, STICKS_OUT
from browser.populated import compose, label
from fakehost import FakeHost
from helpers import UNIFIED
from recordedhosts import recorded_host
from wire import Server, agent, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

WIDTHS = sorted({*range(320, 2561, 80), 360, 390, *range(1181, 1300, 13), *(edge + n for edge in (359, 430, 720, 770, 980, 1000, 1020, 1150, 1240, 1700) for n in (0, 1))})  # fmt: skip  # noqa: E501


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    """Calm, near its limit, at it; paused; in a project; with a quota; with names that are long."""
    host = FakeHost(tmp_path)
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


@pytest.mark.parametrize("state", ["", "c=pm-burn", "group=project", "show=all"])
async def test_at_every_width_nothing_is_beyond_the_window_or_clipped(open_page: Open, state: str) -> None:
    with agent("--listen", "127.0.0.1:0", "--host-root", recorded_host(UNIFIED)) as running:
        async with open_page(running.port, at=f"#{state}") as page:
            await live(page, 10)
            if "c=" in state:
                await page.get_by_role("complementary").get_by_text("pm-burn").first.wait_for()
                await page.locator("aside dd").first.wait_for()
            found = {}
            for width in WIDTHS:
                await page.set_viewport_size({"width": width, "height": 800})
                await page.evaluate(FRAMES)
                if complaints := await page.evaluate(STICKS_OUT):
                    found[width] = complaints
            assert found == {}


async def test_long_names_and_large_figures_do_not_stick_out(server: Server, open_page: Open) -> None:
    async with open_page(server.port) as page:
        await live(page, 6)
        for width in WIDTHS[::3]:
            await page.set_viewport_size({"width": width, "height": 800})
            await page.evaluate(FRAMES)
            assert await page.evaluate(STICKS_OUT) == [], width


async def test_a_wide_window_is_used(server: Server, open_page: Open) -> None:
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_text_has_contrast_of_4_5_and_fields_of_3(
    server: Server, host: FakeHost, open_page: Open, scheme: str
) -> None:
    async def legible(what: str, least: int) -> None:
        text = await page.evaluate(FAINT_TEXT)
        assert text["found"] == [], what
        assert text["count"] > least
        fields: dict[str, Any] = await page.evaluate(FAINT_FIELDS)
        assert fields["found"] == [] and fields["count"] > 5, what

    async with open_page(server.port, **DESKTOP, color_scheme=scheme) as page:
        await live(page, 6)
        assert await page.evaluate(FAINT_LINES) == []
        await legible("at first", 60)
        for name in ("near", "full", "asleep"):
            await page.locator(".row", has_text=name).first.click()
            await page.get_by_text("this kernel or this cgroup has no such file").first.wait_for()
            await page.mouse.move(5, 5)
            await legible(f"{name} is chosen", 100)
            await page.locator(".row.active").hover()
            await legible(f"the pointer is on {name}", 100)
        await page.get_by_role("button", name="Sources").click()
        await legible("sources are shown", 120)
        await page.get_by_label("Group by").select_option("project")
        await page.locator(".row.group").first.click()
        await legible("a group is chosen", 100)
        await page.keyboard.press("?")
        await legible("the keys are shown", 100)
        await page.keyboard.press("Escape")
        await page.get_by_label("Group by").select_option("")
        host.remove("going", from_disk=True)
        await page.locator(".row.ended").wait_for()
        await page.get_by_role("button", name="Events 1").click()
        await page.locator(".row.ended").click()
        await legible("one has ended", 100)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_old_figures_can_be_read_too(host: FakeHost, open_page: Open, scheme: str) -> None:
    async with (
        serving(host.sampler(), freshness=0.1) as server,
        open_page(server.port, away=True, statuses=(500,), **DESKTOP, color_scheme=scheme) as page,
    ):
        await live(page, 6)
        await server.runner.cleanup()
        await page.get_by_text("agent gone").wait_for()
        text = await page.evaluate(FAINT_TEXT)
        assert text["found"] == [] and text["count"] > 60


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_limit_bars_can_be_seen_in_forced_colours(server: Server, open_page: Open, scheme: str) -> None:
    async with open_page(server.port, **DESKTOP, color_scheme=scheme, forced_colors="active") as page:
        await live(page, 6)
        assert await page.evaluate("matchMedia('(forced-colors: active)').matches")
        bars = await page.evaluate(BARS)
        assert len(bars) >= 3
        for bar in bars:
            assert bar["bar"] >= 3 and bar["edge"] >= 3 and bar["border"] == "solid" and bar["height"] >= 4, bar
        assert max(bar["width"] for bar in bars) > 2 * min(bar["width"] for bar in bars)  # as long as their share
        text = await page.evaluate(FAINT_TEXT)
        assert text["found"] == []
        await page.locator(".row", has_text="near").first.click()
        outline = "getComputedStyle(document.querySelector('.row.active')).outlineStyle"
        assert await page.evaluate(outline) == "solid"  # the chosen row, whose background is taken away


async def test_without_events_there_is_no_strip_of_them(server: Server, host: FakeHost, open_page: Open) -> None:
    async with open_page(server.port) as page:
        await live(page, 6)
        assert not await page.locator("#events-button").is_visible()
        assert not await page.locator("#events").is_visible()
        host.add("new")
        await page.get_by_role("button", name="Events 1").click()
        assert await page.locator("#events").is_visible()


async def test_keys_are_shown_and_closed_by_keyboard_and_by_pointer(server: Server, open_page: Open) -> None:
    async with open_page(server.port) as page:
        await live(page, 6)
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
        await until(page, "document.querySelectorAll('.row').length === 0")
