"""What the reader chooses: groups by project and by pod with their sums, those that do not run, and the address in
which all of it stands: it can be shared and gone back to, and hostile values do nothing."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress
from urllib.parse import quote

import pytest

from browser.driver import PHONE, Open, live, names, rows, until
from browser.populated import HOSTILE, compose, ended, five, label
from cgstatd.feed.cpu_budget import CpuBudget
from cgstatd.feed.follow.interval_grid import stretched
from fakehost import FakeHost, container_id, net_dev
from wire import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

HASH = "decodeURIComponent(location.hash)"
ACTIVE = "document.getElementById(document.getElementById('grid').getAttribute('aria-activedescendant'))"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> FakeHost:
    """web-1 and web-2 are shop, in one network; db is store."""
    host = five(tmp_path_factory.mktemp("host"))
    compose(host, "web-1", "shop")
    compose(host, "web-2", "shop")
    compose(host, "db", "store")
    net_dev(host, "web-2").unlink()
    net_dev(host, "web-2").hardlink_to(net_dev(host, "web-1"))
    return host


async def test_groups_have_sums_and_the_order_of_their_sums(server: Server, open_page: Open) -> None:
    async with open_page(server.port) as page:
        await live(page)
        assert await page.locator("#grid").get_attribute("role") == "grid"
        await page.get_by_role("columnheader", name="Memory").get_by_role("button").click()
        await page.get_by_label("Group by").select_option("project")
        await rows(page, 8)
        # what has no project comes last, whatever it sums up to
        assert await names(page) == [
            "store", "db", "shop", "web-2", "web-1", "Without a project", "queue", "asleep",
        ]  # fmt: skip
        shop = await page.locator(".row.group", has_text="shop").inner_text()
        assert "2 containers" in shop and "101" in shop  # MiB: 39 without its cache, and 62
        store = await page.locator(".row.group", has_text="store").inner_text()
        assert "499" in store and "1 container" in store
        await page.get_by_role("columnheader", name="Memory").get_by_role("button").click()
        await until(page, "document.querySelector('.row .title b').textContent === 'shop'")
        assert (await names(page))[-3] == "Without a project"
        # a group sums what the filter leaves, and containers alone are counted
        assert await page.locator("#count").inner_text() == "5 containers"
        await page.get_by_label("Filter containers").fill("web-2")
        await rows(page, 2)
        assert await names(page) == ["shop", "web-2"]
        assert "62" in await page.locator(".row.group").inner_text()
        assert await page.locator("#count").inner_text() == "1 of 5"
        await page.get_by_label("Filter containers").fill("")
        await page.get_by_label("Group by").select_option("")
        await rows(page, 5)
        assert await page.locator("#grid").get_attribute("role") == "grid"


async def test_what_containers_share_counts_once(server: Server, host: FakeHost, open_page: Open) -> None:
    async def receive() -> None:
        text = net_dev(host, "web-1").read_text()
        for received in itertools.count(5_900_000, 5_000_000):
            with open(net_dev(host, "web-1"), "r+b", buffering=0) as file:
                file.write(text.replace(" 900000 ", f"{received:>8} "[-8:] + " ").encode())
            await asyncio.sleep(0.1)

    task = asyncio.create_task(receive())
    try:
        async with open_page(server.port, at="#group=project") as page:
            await live(page)
            same = """(() => {
              const rows = [...document.querySelectorAll('.row')];
              const of = (name) => rows.find((row) => row.querySelector('b').textContent === name)
                .querySelector('.network .value').textContent;
              return of('web-1') === of('web-2') && of('shop') === of('web-1') && /[1-9]/.test(of('shop'));
            })()"""
            await until(page, same)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_groups_fold_by_keyboard_and_pointer_and_say_so(server: Server, open_page: Open) -> None:
    async with open_page(server.port, at="#group=project&sort=name") as page:
        await live(page)
        assert await page.locator("#grid").get_attribute("role") == "treegrid"
        shop = page.locator(".row.group", has_text="shop")
        assert (await shop.get_attribute("aria-level"), await shop.get_attribute("aria-expanded")) == ("1", "true")
        member = page.locator(".row", has_text="web-1")
        assert (await member.get_attribute("aria-level"), await member.get_attribute("aria-expanded")) == ("2", None)
        await shop.click()
        await rows(page, 6)
        assert await shop.get_attribute("aria-expanded") == "false"
        assert "101" in await shop.inner_text()  # its sums stay
        assert not await page.locator("#detail").is_visible()
        await page.locator("#grid").focus()
        await page.keyboard.press("ArrowRight")
        await rows(page, 8)
        await page.keyboard.press("ArrowDown")
        assert "web-1" in await page.evaluate(f"{ACTIVE}.textContent")
        await page.keyboard.press("ArrowLeft")  # to its group
        assert "2 containers" in await page.evaluate(f"{ACTIVE}.textContent")
        await page.keyboard.press("ArrowLeft")
        await rows(page, 6)
        await page.keyboard.press("Enter")
        await rows(page, 8)
        await page.keyboard.press("g")
        assert await page.get_by_label("Group by").input_value() == "pod"
        await page.keyboard.press("g")
        await rows(page, 5)
        assert await page.locator("#grid").get_attribute("role") == "grid"


async def test_pods_are_groups(recorded: Server, open_page: Open) -> None:
    async with open_page(recorded.port, at="#group=pod") as page:
        await live(page, 10)
        pod = page.locator(".row.group", has=page.get_by_text("pod1", exact=True))
        await pod.wait_for()
        assert "3 containers" in await pod.inner_text()
        await pod.locator(".cpu", has_text="of 2").wait_for()  # a share of the host's cores, once they are known


# -- the address


async def test_what_is_chosen_is_in_the_address_and_comes_back_by_it(server: Server, open_page: Open) -> None:
    async with open_page(server.port) as page:
        await live(page)
        await page.get_by_label("Runtime", exact=True).select_option("docker")
        await page.get_by_label("Compose project").select_option("shop")
        await page.get_by_label("Group by").select_option("project")
        await page.get_by_label("A round every").select_option("2")
        await page.get_by_role("columnheader", name="Memory").get_by_role("button").click()
        await page.get_by_label("Filter containers").fill("web busy")
        await rows(page, 3)
        await page.locator(".row", has_text="web-1").click()
        await until(page, f"{HASH}.includes('c={container_id('web-1')[:12]}') && {HASH}.includes('q=web+busy')")
        address = await page.evaluate("location.hash")
        for part in ("runtime=docker", "project=shop", "group=project", "every=2", "sort=-memory"):
            assert part in address
    async with open_page(server.port, at=address) as page:
        await live(page, 3)
        await page.locator("aside h2", has_text="web-1").wait_for()
        assert await names(page) == ["shop", "web-2", "web-1"]
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


async def test_all_runtimes_are_a_choice_and_a_container_that_is_not_there_is_said_to_be_so(
    server: Server, open_page: Open
) -> None:
    async with open_page(server.port, at="#runtime=docker&c=0123456789ab", statuses=(404,)) as page:
        await live(page)
        await page.locator("aside .error", has_text="Container not found").wait_for()
        assert await page.locator("#runtime option").all_inner_texts() == ["All runtimes", "docker"]
        await page.get_by_label("Runtime", exact=True).select_option("All runtimes")
        await until(page, "!location.hash.includes('runtime')")


EVIL = (
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
)
GO = """async (hash) => {
  location.hash = hash;
  await new Promise((done) => setTimeout(done));
  const markup = document.querySelectorAll('img, svg, iframe, object, body script ~ script').length;
  const value = (id) => document.getElementById(id).value;
  return [document.title, markup, value('interval'), value('group')];
}"""


async def test_hostile_addresses_are_harmless(server: Server, open_page: Open) -> None:
    async with open_page(server.port, statuses=(400, 404)) as page:
        await live(page)
        for name in ("q", "runtime", "project", "group", "sort", "every", "c", "show", "range"):
            for value in EVIL:
                title, markup, interval, group = await page.evaluate(GO, f"#{name}={quote(value, safe='')}")
                assert (title, markup) == ("cgstatd", 0), (name, value)
                assert interval in ("1", "2", "5", "10") and group in ("", "project", "pod"), (name, value)
        for broken in ("#%", "#%E0%A4%A", "#=&=&c", "#" + "&c=" * 1000, "##", "#c", ""):
            assert (await page.evaluate(GO, broken))[:2] == ["cgstatd", 0], broken
        await live(page)
        asked = await page.evaluate(
            "performance.getEntriesByType('resource').map((each) => new URL(each.name).pathname)"
        )
        assert len(asked) > 10
        for path in set(asked) - {"/api/containers", "/api/host", "/api/containers/stats/follow"}:
            what, _, rest = path.removeprefix("/api/").partition("/")  # a container's name is never more than a name
            assert what == "containers" and rest.endswith(("/detail", "/processes")) and rest.count("/") == 1, path
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


# -- those that do not run: with their exit code and since when, if the reader asks for them


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


async def test_stopped_ones_are_shown_if_asked(server: Server, host: FakeHost, open_page: Open) -> None:
    ended(host, "job", ExitCode=3)
    label(host, "job", **{"com.docker.compose.project": "store"})
    ended(host, "eater", "2026-11-25T11:00:00Z", ExitCode=137, OOMKilled=True)
    async with open_page(server.port) as page:
        await live(page)
        assert "job" not in await names(page)
        await page.get_by_label("Running or stopped").select_option("Stopped")
        await rows(page, 2)
        assert await names(page) == ["eater", "job"]  # the one that stopped last comes first
        eater = await page.locator(".row", has_text="eater").inner_text()
        assert "exited 137" in eater and "OOM-killed" in eater and "since 25 Nov" in eater.replace("Nov 25", "25 Nov")
        assert "exited 3" in await page.locator(".row", has_text="job").inner_text()
        assert await page.locator("#count").inner_text() == "2 containers"
        await page.locator(".row", has_text="eater").click()
        facts = page.locator("aside .facts").filter(has_text="exit code")
        await facts.wait_for()
        text = await facts.inner_text()
        assert "137" in text and "OOM-killed" in text and "stopped" in text and "2026" in text
        assert "show=stopped" in await page.evaluate("location.hash")
        await page.get_by_label("Running or stopped").select_option("All states")
        await rows(page, 7)
        assert (await names(page))[-2:] == ["eater", "job"]  # those that have figures come first
        await page.get_by_label("Group by").select_option("project")
        await page.locator(".row.group", has_text="2 containers, 1 stopped").wait_for()  # in no sum
        await page.get_by_label("Filter containers").fill("eat")
        await rows(page, 2)
    async with open_page(server.port, at="#show=stopped", **PHONE) as page:
        await page.locator(".row", has_text="exited 137").wait_for()
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390
        assert await page.get_by_text("since").first.is_visible()
