"""/proc files of the host and of single processes: good, malformed; block devices; sharing one result."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cgroupfs import ParseError, Root
from cgstatd.feed.coalesced import Coalesced
from cgstatd.host.block_devices import Device, Devices
from cgstatd.host.procfs.host_load import parse_loadavg, parse_uptime
from cgstatd.host.procfs.host_stat import HostCpu, parse_host_stat
from cgstatd.host.procfs.meminfo import parse_meminfo
from cgstatd.host.procfs.pid_status import ProcessMemory, parse_start_ticks, parse_status
from helpers import TREES, tree, write_files


def test_the_hosts_cpu() -> None:
    data = b"cpu  10 1 20 300 40 2 3 4 99 99\ncpu0 1 0\ncpu1 1 0\nintr 5\nbtime 1700000000\n"
    assert parse_host_stat(data) == HostCpu(busy=36, total=380, cores=2, boot_seconds=1700000000, steal=4)
    assert parse_host_stat(b"cpu  1 1 1 1\n") == HostCpu(3, 4, 0, None)  # before 2.6


def test_uptime_and_load() -> None:
    assert parse_uptime(b"138.51 18.18\n") == 138.51
    assert parse_loadavg(b"4.96 1.95 0.72 4/286 2936\n") == (4.96, 1.95, 0.72)


def test_meminfo() -> None:
    assert parse_meminfo(b"MemTotal: 2 kB\nHugePages_Total: 0\nSwapFree: 1 kB\n") == {
        "MemTotal": 2048,
        "SwapFree": 1024,
    }


def test_one_process() -> None:
    data = b"Name:\tx\nRssAnon:\t  4 kB\nRssFile:\t 8 kB\nRssShmem:\t12 kB\nVmSwap:\t16 kB\nThreads:\t1\n"
    assert parse_status(data) == ProcessMemory(4096, 8192, 12288, 16384)
    assert parse_status(b"Name:\tkthreadd\nState:\tS\n") == ProcessMemory(0, 0, 0, 0)
    assert parse_start_ticks(b"670 (a) b (c) S " + b"1 " * 18 + b"777 5 5\n") == 777


@pytest.mark.parametrize(
    "parse", [parse_host_stat, parse_uptime, parse_loadavg, parse_meminfo, parse_status, parse_start_ticks]
)
@pytest.mark.parametrize("data", [b"", b"\n", b"nonsense\n", b"\xff\x00", b"cpu  x\n", b"nan nan nan", b"(x 1"])
def test_nonsense_is_said_to_be_so(parse: Callable[[bytes], Any], data: bytes) -> None:
    with pytest.raises(ParseError):
        parse(data)


@pytest.mark.parametrize(("host", "reading"), TREES)
def test_the_recorded_hosts(host: str, reading: str) -> None:
    root = Root(tree(host, reading))
    cpu = parse_host_stat(root.read("/proc/stat"))
    assert cpu.cores == 2 and cpu.boot_seconds
    assert parse_meminfo(root.read("/proc/meminfo"))["MemAvailable"] > 0
    assert parse_uptime(root.read("/proc/uptime")) > 0
    assert len(parse_loadavg(root.read("/proc/loadavg"))) == 3


def test_devices(tmp_path: Path) -> None:
    write_files(
        str(tmp_path),
        {
            "sys/dev/block/8:0/uevent": "MAJOR=8\nMINOR=0\nDEVNAME=sda\n",
            "sys/dev/block/254:0/uevent": "DEVNAME=dm-0\n",
            "sys/dev/block/254:0/slaves/sda": "",
            "sys/dev/block/7:1/uevent": "DEVNAME=loop1\x07\n",
        },
    )
    devices = Devices(Root(str(tmp_path)))
    assert devices.get("8:0") == Device("8:0", "sda", False)
    assert devices.get("254:0") == Device("254:0", "dm-0", True)
    assert devices.get("7:1") == Device("7:1", "loop1\N{REPLACEMENT CHARACTER}", True)
    assert devices.get("9:9") == Device("9:9", None, False)
    assert devices.get("../../x") == Device("../../x", None, False)


async def test_one_result_for_all_who_ask_together_and_another_later() -> None:
    made: list[int] = []
    now = 100.0

    async def make() -> int:
        made.append(len(made))
        await asyncio.sleep(0.02)
        return made[-1]

    result = Coalesced(make, 0.1, clock=lambda: now)
    assert await asyncio.gather(*(result.get() for _ in range(5))) == [0] * 5
    now += 0.09
    assert await result.get() == 0
    now += 0.02
    assert await result.get() == 1


@pytest.mark.parametrize(("cost", "soon"), [(0.0, 0.1), (0.01, 0.1), (0.13, 0.65)])
async def test_a_result_that_is_out_of_date_is_made_anew_but_not_at_once(cost: float, soon: float) -> None:
    made: list[int] = []
    now = 100.0
    out_of_date = False

    async def make() -> int:
        nonlocal now
        now += cost
        made.append(len(made))
        return made[-1]

    result = Coalesced(make, 60, lambda: out_of_date, lambda: now)
    assert [await result.get(), await result.get()] == [0, 0]
    out_of_date = True
    now = 100.0 + soon - 0.01
    assert await result.get() == 0
    now = 100.0 + soon + 0.01
    assert await result.get() == 1


async def test_overloaded_nobody_waits_who_can_have_the_result_before() -> None:
    now, overloaded, made = 100.0, True, 0
    goes_on = asyncio.Event()

    async def make() -> int:
        nonlocal made
        made += 1
        number = made
        await goes_on.wait()
        return number

    result = Coalesced(make, 0.5, clock=lambda: now, overloaded=lambda: overloaded)
    first = asyncio.ensure_future(result.get())
    await asyncio.sleep(0)
    goes_on.set()
    assert await first == 1
    goes_on.clear()
    now = 101.0
    assert [await result.get(), await result.get()] == [1, 1] and made == 1
    await asyncio.sleep(0)
    assert made == 2
    now = 105.1
    third = asyncio.ensure_future(result.get())
    await asyncio.sleep(0.01)
    assert not third.done()
    goes_on.set()
    assert await third == 2
    overloaded, now = False, 106.0
    assert await result.get() == 3


async def test_overloaded_a_result_by_other_settings_or_one_that_failed_is_not_given() -> None:
    now, fails = 100.0, False

    async def make() -> float:
        if fails:
            raise ValueError
        return now

    result = Coalesced(make, 0.5, clock=lambda: now, overloaded=lambda: True)
    assert await result.get() == 100.0
    result.forget()
    now = 101.0
    assert await result.get() == 101.0
    fails, now = True, 102.0
    assert await result.get() == 101.0
    await asyncio.sleep(0.01)
    with pytest.raises(ValueError):
        await result.get()


async def test_what_was_made_by_other_settings_is_not_shared_any_more() -> None:
    made: list[int] = []

    async def make() -> int:
        made.append(len(made))
        return made[-1]

    shared = Coalesced(make, 60)
    assert await shared.get() == await shared.get() == 0
    shared.forget()
    assert await shared.get() == 1


async def test_a_failure_is_told_to_all_who_asked_and_not_kept() -> None:
    calls = 0

    async def make() -> int:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.01)
        if calls == 1:
            raise ValueError("no")
        return calls

    result = Coalesced(make, 60)
    found = await asyncio.gather(result.get(), result.get(), return_exceptions=True)
    assert [str(each) for each in found] == ["no", "no"]
    assert await result.get() == 2


async def test_who_goes_away_does_not_take_the_result_along() -> None:
    async def make() -> int:
        await asyncio.sleep(0.05)
        return 1

    result = Coalesced(make, 60)
    impatient = asyncio.create_task(result.get())
    await asyncio.sleep(0.01)
    impatient.cancel()
    assert await result.get() == 1
