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


def test_what_each_parser_reads() -> None:
    data = b"cpu  10 1 20 300 40 2 3 4 99 99\ncpu0 1 0\ncpu1 1 0\nintr 5\nbtime 1700000000\n"
    assert parse_host_stat(data) == HostCpu(busy=36, total=380, cores=2, boot_seconds=1700000000, steal=4)
    assert parse_host_stat(b"cpu  1 1 1 1\n") == HostCpu(3, 4, 0, None)  # before 2.6
    assert parse_uptime(b"138.51 18.18\n") == 138.51
    assert parse_loadavg(b"4.96 1.95 0.72 4/286 2936\n") == (4.96, 1.95, 0.72)
    data = b"MemTotal: 2 kB\nHugePages_Total: 0\nSwapFree: 1 kB\n"
    assert parse_meminfo(data) == {"MemTotal": 2048, "SwapFree": 1024}
    data = b"Name:\tx\nRssAnon:\t  4 kB\nRssFile:\t 8 kB\nRssShmem:\t12 kB\nVmSwap:\t16 kB\nThreads:\t1\n"
    assert parse_status(data) == ProcessMemory(4096, 8192, 12288, 16384)
    assert parse_status(b"Name:\tkthreadd\nState:\tS\n") == ProcessMemory(0, 0, 0, 0)
    assert parse_start_ticks(b"670 (a) b (c) S " + b"1 " * 18 + b"777 5 5\n") == 777


NONSENSE = (b"", b"\n", b"nonsense\n", b"\xff\x00", b"cpu  x\n", b"nan nan nan", b"(x 1")


@pytest.mark.parametrize(
    "parse", [parse_host_stat, parse_uptime, parse_loadavg, parse_meminfo, parse_status, parse_start_ticks]
)
def test_nonsense_is_said_to_be_so(parse: Callable[[bytes], Any]) -> None:
    for data in NONSENSE:
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
    files: dict[str, bytes | str] = {
        "8:0/uevent": "MAJOR=8\nMINOR=0\nDEVNAME=sda\n", "254:0/uevent": "DEVNAME=dm-0\n", "254:0/slaves/sda": "",
        "7:1/uevent": "DEVNAME=loop1\x07\n",
    }  # fmt: skip
    write_files(str(tmp_path), {f"sys/dev/block/{name}": text for name, text in files.items()})
    devices = Devices(Root(str(tmp_path)))
    for found in (
        Device("8:0", "sda", False), Device("254:0", "dm-0", True),
        Device("7:1", "loop1\N{REPLACEMENT CHARACTER}", True), Device("9:9", None, False),
        Device("../../x", None, False),
    ):  # fmt: skip
        assert devices.get(found.number) == found


class Source:
    """Makes numbers, by a clock that a test moves; ``goes_on`` holds it up."""

    def __init__(self, seconds: float, cost: float = 0.0) -> None:
        self.now, self.cost, self.made = 100.0, cost, 0
        self.fails = self.out_of_date = self.overloaded = False
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.result = Coalesced(
            self._make, seconds, lambda: self.out_of_date, lambda: self.now, overloaded=lambda: self.overloaded
        )

    async def _make(self) -> int:
        self.made += 1
        number = self.made
        self.now += self.cost
        await self.goes_on.wait()
        if self.fails:
            raise ValueError("no")
        return number


@pytest.mark.parametrize(("cost", "soon"), [(0.0, 0.1), (0.01, 0.1), (0.13, 0.65)])
async def test_a_result_that_is_out_of_date_is_made_anew_but_not_at_once(cost: float, soon: float) -> None:
    source = Source(60, cost)
    assert [await source.result.get() for _ in range(2)] == [1, 1]
    source.out_of_date = True
    for later, number in ((soon - 0.01, 1), (soon + 0.01, 2)):
        source.now = 100.0 + later
        assert await source.result.get() == number


async def test_overloaded_nobody_waits_who_can_have_the_result_before() -> None:
    source = Source(0.5)
    source.overloaded = True
    assert await source.result.get() == 1
    source.goes_on.clear()
    source.now = 101.0
    assert [await source.result.get() for _ in range(2)] == [1, 1] and source.made == 1
    await asyncio.sleep(0)
    assert source.made == 2
    source.now = 105.1
    third = asyncio.ensure_future(source.result.get())
    await asyncio.sleep(0.01)
    assert not third.done()
    source.goes_on.set()
    assert await third == 2
    source.overloaded, source.now = False, 106.0
    assert await source.result.get() == 3


async def test_overloaded_a_result_by_other_settings_or_one_that_failed_is_not_given() -> None:
    source = Source(0.5)
    source.overloaded = True
    assert await source.result.get() == 1
    source.result.forget()
    source.now = 101.0
    assert await source.result.get() == 2
    source.fails, source.now = True, 102.0
    assert await source.result.get() == 2
    await asyncio.sleep(0.01)
    with pytest.raises(ValueError):
        await source.result.get()


async def test_a_failure_is_told_to_all_who_asked_and_not_kept_and_who_goes_away_takes_no_result_along() -> None:
    source = Source(60)
    source.fails = True
    found = await asyncio.gather(source.result.get(), source.result.get(), return_exceptions=True)
    assert [str(each) for each in found] == ["no", "no"] and source.made == 1
    source.fails = False
    source.goes_on.clear()
    impatient = asyncio.create_task(source.result.get())
    await asyncio.sleep(0)
    impatient.cancel()
    source.goes_on.set()
    assert await source.result.get() == 2
