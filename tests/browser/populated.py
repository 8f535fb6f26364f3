"""Made-up hosts for the page: labels, hostile names, three hundred containers that are busy."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from fakehost import FakeHost

HOSTILE = (
    "<img src=x onerror=\"document.title='pwned'\">",
    "</script><script>document.title='pwned'</script>",
    "\"><svg onload=document.title='pwned'>",
    "javascript:alert(1)",
    "{{constructor.constructor('return 1')()}}",
    "__proto__",
    "a" * 256,
    "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe",
    "naïve-ünïcode-容器",
)


def five(path: Path) -> FakeHost:
    """Two with limits, one that is large, one that is small, and one that is paused."""
    host = FakeHost(path)
    host.add("web-1", memory=40 << 20, limit=str(64 << 20), rx=900_000)
    host.add("web-2", memory=62 << 20, cache=0, limit=str(64 << 20), rx=100)
    host.add("db", memory=500 << 20, read=1 << 30)
    host.add("queue", memory=5 << 20)
    host.add("asleep", frozen=True)
    return host


def label(host: FakeHost, name: str, shown: str = "", image: str = "lab/busybox:1", **labels: str) -> None:
    """Give a running container another name, an image and labels."""
    host.config(name, Name=f"/{shown or name}", Config={"Image": image, "Labels": labels})


def compose(host: FakeHost, name: str, project: str) -> None:
    """Make a container one of a Compose project."""
    label(host, name, **{"com.docker.compose.project": project})


def ended(host: FakeHost, name: str, finished: str = "2026-11-25T10:58:40.719158146Z", **state: Any) -> None:
    """A container that is on disk only, and how it ended."""
    host.on_disk(name)
    host.config(name, State={"FinishedAt": finished, "ExitCode": 0} | state)


def hostile_host(path: Path) -> FakeHost:
    """Everything that a container can choose is hostile."""
    host = FakeHost(path)
    for number, text in enumerate(HOSTILE):
        host.add(f"h{number}")
        label(host, f"h{number}", text, text, **{text: text, "com.docker.compose.project": text})
    return host


def crowded_host(path: Path, count: int = 300) -> FakeHost:
    """Many containers, in projects, some with limits."""
    host = FakeHost(path)
    for n in range(count):
        limit = str(64 << 20) if n % 3 == 0 else "max"
        host.add(f"svc-{n}", memory=(3 + n * 7 % 61) << 20, limit=limit)
        if n % 2:
            compose(host, f"svc-{n}", f"shop-{n % 7}")
        if n % 5 == 0:
            cgroup = host.scope(f"svc-{n}")
            (cgroup / "cpu.max").write_text("50000 100000\n")
            (cgroup / "pids.max").write_text("20\n")
    return host


@asynccontextmanager
async def busy(host: FakeHost, count: int) -> AsyncIterator[None]:
    """Counters go on meanwhile, each container's at a pace of its own."""

    def write(path: Path, text: str) -> None:
        with open(path, "r+b", buffering=0) as file:
            file.write(text.encode())

    async def go_on() -> None:
        usage, read, tick = [1e6] * count, [4096.0] * count, 0
        while True:
            tick += 1
            for n in range(count):
                cgroup = host.scope(f"svc-{n}")
                pace = max(0.0, math.sin(n * 1.7 + tick / (4 + n % 9))) ** 2
                usage[n] += 1e6 * pace * (0.5 if n % 5 == 0 else 0.2)
                read[n] += 4e6 * pace * (n % 4 == 0)
                write(cgroup / "cpu.stat", f"usage_usec {int(usage[n])}\nuser_usec 0\nsystem_usec 0\n")
                write(cgroup / "io.stat", f"8:0 rbytes={int(read[n])} wbytes=8192 rios=1 wios=1 dbytes=0 dios=0\n")
                memory = (3 + n * 7 % 61 + int(3 * pace)) << 20
                write(cgroup / "memory.current", f"{memory:<12}\n")
                if n % 25 == 0:
                    await asyncio.sleep(0)
            await asyncio.sleep(1)

    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
