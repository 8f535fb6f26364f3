"""The processes in the detail of `cgstatd top`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

pytest.importorskip("rich", reason="no rich: pip install 'cgstatd[top]'")

from cgstatd.feed import process_lists
from cgstatd.outputs.detail_types import ContainerDetail
from cgstatd.outputs.processes_json import ContainerProcesses
from cgstatd.top.detail_lines import body
from cgstatd.top.sources import Local, Remote, Unavailable
from fakehost import FakeHost, no_thread_left
from wire import serving


def a_host(path: Path) -> FakeHost:
    host = FakeHost(path)
    host.add("a")
    pid = (host.scope("a") / "cgroup.procs").read_text().strip()
    (path / f"proc/{pid}/stat").write_text(f"{pid} (busy) D 1 1 1 0 -1 0 0 0 0 0 9 1 0 0 20 0 3 0 500 0 0\n")
    (path / f"proc/{pid}/status").write_text(f"Name:\tbusy\nNSpid:\t{pid}\t7\nVmRSS:\t2048 kB\n")
    return host


def shown(detail: ContainerDetail, processes: ContainerProcesses | None) -> str:
    return "\n".join(line.plain for line in body(detail, None, 100, "#", processes))


async def test_this_host_and_an_agent_show_the_same_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_lists, "_WAIT_SECONDS", 0.0)
    host = a_host(tmp_path)
    with no_thread_left():
        local = Local(host.sampler())
        async with serving(host.sampler()) as server:
            remote = Remote(f"http://127.0.0.1:{server.port}", "")
            texts = []
            for source in (local, remote):
                text = shown(await source.detail("a"), await source.processes("a"))
                texts.append(text[text.index("The largest") :])
                with pytest.raises(Unavailable):
                    await source.processes("none")
            assert texts[0] == texts[1]
            assert "The largest" not in shown(await local.detail("a"), None)  # an agent without that route
            await asyncio.gather(local.close(), remote.close())
    title, line, notes, *_ = texts[0].splitlines()
    assert title == "The largest of 1 processes by CPU"
    assert "2MiB" in line and "inside 7" in line and "3 threads" in line and notes.strip() == "1 in disk sleep"
