"""Containers by project and by pod, with the sums of each group."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress

import pytest

from browser.driver import Open, live, names, until
from browser.populated import compose
from fakehost import FakeHost
from helpers import UNIFIED
from recordedhosts import recorded_host
from wire import Server, agent

pytestmark = pytest.mark.asyncio(loop_scope="module")

ACTIVE = "document.getElementById(document.getElementById('grid').getAttribute('aria-activedescendant'))"


@pytest.fixture
def host(host: FakeHost) -> FakeHost:
    """web-1 and web-2 are shop, db is store."""
    compose(host, "web-1", "shop")
    compose(host, "web-2", "shop")
    compose(host, "db", "store")
    return host


async def test_groups_have_sums_and_the_order_of_their_sums(server: Server, open_page: Open) -> None:
    async with open_page(server.port) as page:
        await live(page)
        assert await page.locator("#grid").get_attribute("role") == "grid"
        await page.get_by_role("columnheader", name="Memory").get_by_role("button").click()
        await page.get_by_label("Group by").select_option("project")
        await until(page, "document.querySelectorAll('.row').length === 8")
        # what has no project comes last, whatever it sums up to
        assert await names(page) == [
            "store", "db", "shop", "web-2", "web-1", "Without a project", "queue", "asleep",
        ]  # fmt: skip
        shop = await page.locator(".row.group", has_text="shop").inner_text()
        assert "2 containers" in shop
        assert "101" in shop  # MiB: 39 without its cache, and 62
        store = page.locator(".row.group", has_text="store")
        assert "499" in await store.inner_text() and "1 container" in await store.inner_text()
        await page.get_by_role("columnheader", name="Memory").get_by_role("button").click()
        await until(page, "document.querySelector('.row .title b').textContent === 'shop'")
        assert (await names(page))[-3] == "Without a project"
        await page.get_by_label("Group by").select_option("")
        await until(page, "document.querySelectorAll('.row').length === 5")
        assert await page.locator("#grid").get_attribute("role") == "grid"


async def test_a_group_sums_what_the_filter_leaves_and_counts_containers_alone(server: Server, open_page: Open) -> None:
    async with open_page(server.port, at="#group=project") as page:
        await live(page)
        assert await page.locator("#count").inner_text() == "5 containers"
        await page.get_by_label("Filter containers").fill("web-2")
        await until(page, "document.querySelectorAll('.row').length === 2")
        assert await names(page) == ["shop", "web-2"]
        assert "62" in await page.locator(".row.group").inner_text()
        assert await page.locator("#count").inner_text() == "1 of 5"


async def test_what_containers_share_counts_once(server: Server, host: FakeHost, open_page: Open) -> None:
    nets = [
        host.path / f"proc/{(host.scope(n) / 'cgroup.procs').read_text().strip()}/net/dev" for n in ("web-1", "web-2")
    ]
    nets[1].unlink()
    os.link(nets[0], nets[1])

    async def receive() -> None:
        text, received = nets[0].read_text(), 900_000
        while True:
            received += 5_000_000
            with open(nets[0], "r+b", buffering=0) as file:
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
        await until(page, "document.querySelectorAll('.row').length === 6")
        assert await shop.get_attribute("aria-expanded") == "false"
        assert "101" in await shop.inner_text()  # its sums stay
        assert not await page.locator("#detail").is_visible()
        await page.locator("#grid").focus()
        await page.keyboard.press("ArrowRight")
        await until(page, "document.querySelectorAll('.row').length === 8")
        await page.keyboard.press("ArrowDown")
        assert "web-1" in await page.evaluate(f"{ACTIVE}.textContent")
        await page.keyboard.press("ArrowLeft")  # to its group
        assert "2 containers" in await page.evaluate(f"{ACTIVE}.textContent")
        await page.keyboard.press("ArrowLeft")
        await until(page, "document.querySelectorAll('.row').length === 6")
        await page.keyboard.press("Enter")
        await until(page, "document.querySelectorAll('.row').length === 8")
        await page.keyboard.press("g")
        assert await page.get_by_label("Group by").input_value() == "pod"
        await page.keyboard.press("g")
        await until(page, "document.querySelectorAll('.row').length === 5")
        assert await page.locator("#grid").get_attribute("role") == "grid"


async def test_pods_are_groups(open_page: Open) -> None:
    with agent("--listen", "127.0.0.1:0", "--host-root", recorded_host(UNIFIED)) as running:
        async with open_page(running.port, at="#group=pod") as page:
            await live(page, 10)
            pod = page.locator(".row.group", has=page.get_by_text("pod1", exact=True))
            await pod.wait_for()
            assert "3 containers" in await pod.inner_text()
            await pod.locator(".cpu", has_text="of 2").wait_for()  # a share of the host's cores, once they are known
