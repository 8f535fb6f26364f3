"""The documents' example for a browser, run in one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from browser.driver import Open, live, until
from fakehost import FakeHost
from helpers import PROJECT
from wire import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_event_source_example(server: Server, host: FakeHost, open_page: Open) -> None:
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
