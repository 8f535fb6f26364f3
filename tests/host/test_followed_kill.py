"""What the running kernel kills for want of memory is told to who follows, with its peak; and so is the end.

And how containers ended while no client followed, by the running kernel alone.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cgroupfs import Hierarchy, Root
from cgstatd.host.pidfd import Untold
from cgstatd.sampling.open_host import HostOptions, open_host
from helpers import remove_cgroup
from patience import until
from wire import Server, serving

from .conftest import Trees, enter, own_cgroup

pytestmark = pytest.mark.host
ID = secrets.token_hex(32)
LIMIT = 32 << 20
EATER = "import sys\nsys.stdin.readline()\nkept = []\nwhile True:\n    kept.append(bytearray(b'x' * (1 << 20)))\n"


@pytest.fixture
def trees(hierarchy: Hierarchy) -> Iterator[Trees]:
    """The directories of a container's cgroup with a memory limit and without swap."""
    with own_cgroup(hierarchy, ID, "memory") as made:
        (own,) = (path for path, mount in made.items() if mount == hierarchy.mount("memory"))
        limits = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.max")
        found = [path for name in limits if (path := Path(own, name)).exists()]
        if not found:
            pytest.skip("the memory controller cannot be enabled for a cgroup of our own")
        for path in found:
            path.write_text(str(LIMIT))
        if Path(own, "memory.swap.max").exists():
            Path(own, "memory.swap.max").write_text("0")
        yield made


async def follow(server: Server, trees: Trees, eater: subprocess.Popen[bytes]) -> dict[str, bytes]:
    """Follow; let the process eat once it is seen; remove its cgroup once it is killed. The events of the container."""
    seen: dict[str, bytes] = {}
    async with server.connection() as connection:
        connection.send("/api/containers/stats/follow?interval=0.5")
        answer = await connection.head()
        while "exit" not in seen:
            chunk = await connection.chunk(answer)
            for event in chunk.split(b"\n\n"):
                if ID.encode() in event:
                    seen[event.partition(b"\n")[0].decode().removeprefix("event: ")] = event.partition(b"data: ")[2]
            if "stat" in seen and eater.stdin is not None and not eater.stdin.closed:
                eater.stdin.write(b"go\n")
                eater.stdin.close()
            if "oom" in seen and eater.poll() is not None:
                for path in trees:
                    await asyncio.to_thread(remove_cgroup, path)
    return seen


async def test_a_kill_is_told_with_the_peak_and_then_the_end(trees: Trees) -> None:
    eater = subprocess.Popen([sys.executable, "-S", "-c", EATER], stdin=subprocess.PIPE)
    try:
        enter(trees, eater.pid)
        async with serving(open_host(Root("/"), HostOptions())) as server:
            seen = await follow(server, trees, eater)
    finally:
        eater.kill()
        eater.wait()
    oom, end = json.loads(seen["oom"]), json.loads(seen["exit"])
    assert (oom["kills"], oom["total"], oom["memoryLimit"]) == (1, 1, LIMIT)
    assert LIMIT * 0.9 < oom["memoryPeak"] <= LIMIT
    assert end["oomKilled"] is True and end["last"]["oomKills"] == 1
    assert end["last"]["memoryPeak"] == oom["memoryPeak"]


ENDS = {  # without a pid namespace of its own, a process that exits with 0 may have prepared the container only
    "3": (3, None),
    "137": (137, None),
    "-9": (137, 9),
    "-11": (139, 11),
}
PROGRAM = """
import os, sys
sys.stdin.readline()
code = int(sys.argv[1])
if code < 0:
    os.kill(os.getpid(), -code)
os._exit(code)
"""


async def last_words(server: Server) -> Any:
    while True:
        answer = await server.ask(f"/api/containers/{ID}/detail")
        if answer.status == 200 and answer.json["lastWords"]:
            return answer.json
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("how", ENDS)
async def test_an_end_without_clients_has_its_code_and_signal_from_the_kernel(trees: Trees, how: str) -> None:
    async with serving(open_host(Root("/"), HostOptions())) as server:
        follower = server.parts.follower
        follower.watch()
        assert follower._unattended is not None
        process = subprocess.Popen([sys.executable, "-S", "-c", PROGRAM, how], stdin=subprocess.PIPE)
        try:
            enter(trees, process.pid)
            followed = follower.looks._followed
            while not (armed := [each for each in followed.values() if each.first and each.first.pid == process.pid]):
                await asyncio.sleep(0.02)
            (known,) = armed
            await until(lambda: known.armed)
            await asyncio.to_thread(process.communicate, b"go\n")
        finally:
            process.kill()
            process.wait()
        for path in trees:
            await asyncio.to_thread(remove_cgroup, path)
        found = await last_words(server)
    words, last = found["lastWords"], found["container"]["lastTerminated"]
    assert not words["oomKilled"]  # not known where the cgroup is removed before the agent can look
    if words["exitCode"] is None:
        assert words["exitCodeAbsent"].endswith(Untold.NEVER.value)
        pytest.skip("this kernel does not keep how a process ended (before Linux 6.15)")
    assert (words["exitCode"], words["signal"], words["signalAbsent"]) == (*ENDS[how], None)
    assert (last["id"], last["exitCode"], last["signal"]) == (ID, *ENDS[how])
    assert last["reason"] == "Error"
