"""What is chosen stands in the address: it can be shared and gone back to, and hostile values do nothing."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from browser.driver import Open, live, names, until
from browser.populated import HOSTILE, compose
from cgstatd.feed.cpu_budget import CpuBudget
from cgstatd.feed.follow.interval_grid import stretched
from fakehost import FakeHost, container_id
from wire import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

HASH = "decodeURIComponent(location.hash)"


async def test_what_is_chosen_is_in_the_address_and_comes_back_by_it(
    server: Server, host: FakeHost, open_page: Open
) -> None:
    compose(host, "web-1", "shop")
    async with open_page(server.port) as page:
        await live(page)
        await page.get_by_label("Runtime", exact=True).select_option("docker")
        await page.get_by_label("Compose project").select_option("shop")
        await page.get_by_label("Group by").select_option("project")
        await page.get_by_label("A round every").select_option("2")
        await page.get_by_role("columnheader", name="Memory").get_by_role("button").click()
        await page.get_by_label("Filter containers").fill("web busy")
        await live(page, 2)
        await page.locator(".row", has_text="web-1").click()
        await until(page, f"{HASH}.includes('c={container_id('web-1')[:12]}') && {HASH}.includes('q=web+busy')")
        address = await page.evaluate("location.hash")
        for part in ("runtime=docker", "project=shop", "group=project", "every=2", "sort=-memory"):
            assert part in address
    async with open_page(server.port, at=address) as page:
        await live(page, 2)
        await page.locator("aside h2", has_text="web-1").wait_for()
        assert await names(page) == ["shop", "web-1"]
        fields = [
            await page.locator(f"#{name}").input_value()
            for name in ("filter", "runtime", "project", "group", "interval")
        ]
        assert fields == ["web busy", "docker", "shop", "project", "2"]
        memory = page.get_by_role("columnheader", name="Memory")
        assert await memory.get_attribute("aria-sort") == "descending"
        assert await page.evaluate("location.hash") == address


async def test_the_back_button_goes_back(server: Server, open_page: Open) -> None:
    async with open_page(server.port) as page:
        await live(page)
        await page.get_by_label("Group by").select_option("project")
        await page.locator(".row", has_text="web-1").click()
        await page.locator("aside h2", has_text="web-1").wait_for()
        await page.locator(".row", has_text="web-2").click()  # no step of its own
        await page.locator("aside h2", has_text="web-2").wait_for()
        await page.go_back()
        await page.locator("#detail").wait_for(state="hidden")
        assert await page.locator("#group").input_value() == "project"
        await page.go_back()
        assert await page.locator("#group").input_value() == ""
        await page.go_forward()
        await page.go_forward()
        await page.locator("aside h2", has_text="web-2").wait_for()
        assert await page.locator("#group").input_value() == "project"
        await page.keyboard.press("Escape")
        await page.locator("#detail").wait_for(state="hidden")
        assert "c=" not in await page.evaluate("location.hash")


async def test_all_runtimes_are_a_choice(server: Server, open_page: Open) -> None:
    async with open_page(server.port, at="#runtime=docker") as page:
        await live(page)
        options = await page.locator("#runtime option").all_inner_texts()
        assert options == ["All runtimes", "docker"]
        await page.get_by_label("Runtime", exact=True).select_option("All runtimes")
        await until(page, "!location.hash.includes('runtime')")


async def test_a_container_that_is_not_there_is_said_to_be_so(server: Server, open_page: Open) -> None:
    async with open_page(server.port, at="#c=0123456789ab", statuses=(404,)) as page:
        await live(page)
        await page.locator("aside .error", has_text="Container not found").wait_for()


@pytest.mark.parametrize("name", ["q", "runtime", "project", "group", "sort", "every", "c", "show", "range"])
async def test_hostile_addresses_are_harmless(server: Server, open_page: Open, name: str) -> None:
    evil = [
        *HOSTILE,
        "../../host",
        "..",
        ".",
        "%2e%2e%2f",
        "a/b",
        "\0",
        "constructor",
        "-__proto__",
        "9" * 5000,
        "-1",
        "NaN",
    ]
    async with open_page(server.port, statuses=(400, 404)) as page:
        await live(page)
        for value in evil:
            await page.evaluate("(hash) => { location.hash = hash; }", f"#{name}={quote(value, safe='')}")
            await page.evaluate("new Promise((done) => setTimeout(done))")
            assert await page.title() == "cgstatd"
            assert await page.locator("#interval").input_value() in ("1", "2", "5", "10")
            assert await page.locator("#group").input_value() in ("", "project", "pod")
            markup = "document.querySelectorAll('img, svg, iframe, object, body script ~ script').length"
            assert await page.evaluate(markup) == 0
        for broken in ("#%", "#%E0%A4%A", "#=&=&c", "#" + "&c=" * 1000, "##", "#c"):
            await page.evaluate("(hash) => { location.hash = hash; }", broken)
        await page.evaluate("location.hash = ''")
        await live(page)
        asked = await page.evaluate(
            "performance.getEntriesByType('resource').map((each) => new URL(each.name).pathname)"
        )
        known = ("/api/containers", "/api/host", "/api/containers/stats/follow")
        for path in set(asked) - set(known):  # a container's name is never more than a name
            assert (
                path.startswith("/api/containers/")
                and path.endswith(("/detail", "/processes"))
                and path.count("/") == 4
            ), path
            assert "." not in path.split("/"), path


async def test_the_real_distance_of_readings_is_shown(
    server: Server, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_page(server.port) as page:
        await live(page)
        assert not await page.locator("#pace").is_visible()
        monkeypatch.setattr(CpuBudget, "interval_seconds", 1.2)  # as where readings cost more than max_cpu allows
        seconds = stretched(4, 1.2)
        assert seconds > 1
        await page.get_by_text(f"readings {seconds:g}\N{NARROW NO-BREAK SPACE}s apart").wait_for()
        monkeypatch.setattr(CpuBudget, "interval_seconds", 0.0)
        await page.locator("#pace").wait_for(state="hidden")
