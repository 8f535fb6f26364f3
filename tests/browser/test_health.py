"""The health check in a container's detail."""

from __future__ import annotations

import pytest

from browser.driver import Open, live
from fakehost import FakeHost
from wire import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")


def probed(host: FakeHost, name: str, status: str, interval: int) -> None:
    """As Docker writes it; ``interval``: nanoseconds between two probes."""
    health = {"Status": status, "FailingStreak": 2, "Log": [{"Output": "s3cr3t"}]}
    host.config(name, State={"Health": health}, Config={"Healthcheck": {"Interval": interval}})


async def test_the_detail_has_the_health_or_why_it_is_not_known(
    server: Server, host: FakeHost, open_page: Open
) -> None:
    probed(host, "web-1", "unhealthy", 10**18)
    probed(host, "db", "healthy", 1)
    async with open_page(server.port) as page:
        await live(page)
        await page.locator(".row", has_text="web-1").click()
        detail = page.get_by_role("complementary", name="Container detail")
        await detail.get_by_text("unhealthy, 2 failed in a row").wait_for()
        assert "s3cr3t" not in await detail.inner_text()
        await page.keyboard.press("Escape")
        await page.locator(".row", has_text="db").click()
        await detail.get_by_text("health: Docker keeps it in memory").wait_for()
