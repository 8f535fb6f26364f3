"""What goes wrong: the agent goes away, wants a token; names are hostile; there are three hundred containers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import secured
from browser.driver import DESKTOP, Open, live, names, rows, until
from browser.measured import FRAMES
from browser.populated import HOSTILE, busy, crowded_host, hostile_host
from fakehost import FakeHost
from wire import serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

COUNT = 300


async def test_an_agent_that_goes_and_comes_back(host: FakeHost, open_page: Open) -> None:
    async with (
        serving(host.sampler()) as first,
        open_page(first.port, away=True, statuses=(500,)) as page,  # 500: what was asked while it was stopping
    ):
        await live(page)
        before = await names(page)
        await first.runner.cleanup()
        await page.get_by_text("agent gone").wait_for()
        assert "the figures are the last ones" in await page.locator("#banner").inner_text()
        assert await names(page) == before
        async with serving(host.sampler(), port=first.port):
            await page.get_by_text("The agent is back").wait_for()
            assert await page.locator("#link-text").inner_text() == "live"
            assert await page.evaluate("document.querySelector('.row .cpu .value').textContent")
            await page.locator("#banner").wait_for(state="hidden")
            assert await names(page) == before


async def test_a_token_is_asked_for_and_kept_in_this_tab_only(host: FakeHost, tmp_path: Path, open_page: Open) -> None:
    tokens = secured.Tokens(tmp_path)
    secret = tokens.new()
    async with (
        serving(host.sampler(), guard=secured.guard(tokens)) as server,
        open_page(server.port, statuses=(401,)) as page,
    ):
        field = page.locator("#token-field")
        await field.wait_for()
        await field.fill("not-a-token")
        await page.get_by_role("button", name="Use it").click()
        await page.get_by_text("this token is not known here").wait_for()
        await field.fill(secret)
        await page.get_by_role("button", name="Use it").click()
        await live(page)
        assert secret in await page.evaluate("JSON.stringify(sessionStorage)")
        kept = await page.evaluate("JSON.stringify(localStorage) + document.cookie + location.href")
        assert secret not in kept
        await page.reload()
        await live(page)
        await page.locator(".row", has_text="web-1").click()
        await page.get_by_text("OOM").first.wait_for(state="attached")
        await page.get_by_role("button", name="Forget token").click()
        await field.wait_for()
        assert await names(page) == []


async def test_a_token_without_the_permission_is_told_so(host: FakeHost, tmp_path: Path, open_page: Open) -> None:
    tokens = secured.Tokens(tmp_path)
    secret = tokens.new(allow=(secured.METRICS,))
    async with (
        serving(host.sampler(), guard=secured.guard(tokens)) as server,
        open_page(server.port, statuses=(401, 403)) as page,
    ):
        await page.locator("#token-field").fill(secret)
        await page.get_by_role("button", name="Use it").click()
        await page.get_by_text("Permission denied").wait_for()


async def test_hostile_names_are_text(tmp_path: Path, open_page: Open) -> None:
    host = hostile_host(tmp_path)
    async with serving(host.sampler()) as server, open_page(server.port) as page:
        await live(page, len(HOSTILE))
        shown = set(await names(page))
        assert {name for name in HOSTILE if name.isprintable()} <= shown
        for n in range(len(HOSTILE)):
            await page.locator(".row").nth(n).click()
            await page.locator("aside summary", has_text="Labels").click()
        assert await page.title() == "cgstatd"
        markup = "document.querySelectorAll('img, svg, iframe, object, body script ~ script').length"
        assert await page.evaluate(markup) == 0
        assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in await page.inner_text("body")


async def test_three_hundred_containers_without_jank(tmp_path: Path, open_page: Open) -> None:
    """Counted: how often the page is laid out, and how much of it there is."""
    host = crowded_host(tmp_path, COUNT)
    async with (
        serving(host.sampler(), freshness=0.1) as server,
        busy(host, COUNT),
        open_page(server.port, **DESKTOP) as page,
    ):
        await live(page, 15)
        # on a busy machine the first rounds may be without some
        await until(page, f"document.querySelector('#count').innerText === '{COUNT} containers'")
        session = await page.context.new_cdp_session(page)
        await session.send("Performance.enable")

        async def metrics() -> dict[str, float]:
            found = await session.send("Performance.getMetrics")
            return {each["name"]: each["value"] for each in found["metrics"]}

        async def few_rows() -> None:
            assert await page.locator(".row").count() < 40, "only what can be seen is there"

        await few_rows()
        await page.get_by_role("columnheader", name="CPU").get_by_role("button").click()
        await page.mouse.move(5, 5)
        await page.evaluate(FRAMES)
        before, passes = await metrics(), server.feed.passes
        while server.feed.passes < passes + 3:
            await asyncio.sleep(0.05)
        after, rounds = await metrics(), server.feed.passes - passes
        for what in ("LayoutCount", "RecalcStyleCount"):  # writes are not mixed with reads
            assert (after[what] - before[what]) / rounds < 8, (what, before, after)
        await page.locator("#grid").focus()
        await page.keyboard.press("End")
        await until(page, f"document.querySelector('.row.active').getAttribute('aria-rowindex') === '{COUNT + 1}'")
        await page.mouse.move(500, 500)
        before = await metrics()
        for _ in range(20):
            await page.mouse.wheel(0, -700)
            await page.evaluate(FRAMES)
        after = await metrics()
        assert after["LayoutCount"] - before["LayoutCount"] < 20 * 8, (before, after)
        await few_rows()
        await page.get_by_label("Filter containers").fill("svc-29")
        await rows(page, 11)
