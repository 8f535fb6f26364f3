"""The event and its sentences: plain, bounded, and nothing of a name that could do harm."""

from __future__ import annotations

from typing import Any

import pytest

from cgstatd.host.identity import Identity
from cgstatd.outputs.pressure_words import MOST_WAITS, pressure_event, sentence
from cgstatd.sampling.pressure.looks import Counted, Host, Look
from cgstatd.sampling.pressure.verdict import Cause, Share, Verdict

MIB = 1 << 20
WEB = Identity("web" * 8, "web", "docker", 0, None)
DUMP = Identity("dump" * 8, "dump", "podman", 0, None)


def said(resource: str, cause: Cause, **more: Any) -> Verdict:
    return Verdict(WEB, resource, cause, 0.416)._replace(**more)


WAITS_FOR = {"cpu": "CPU", "memory": "memory", "io": "the disk"}
OWN, ABOVE, OTHERS, ITSELF, UNKNOWN = (
    Cause.OWN_LIMIT, Cause.ABOVE_LIMIT, Cause.NEIGHBOURS, Cause.ITSELF, Cause.UNKNOWN
)  # fmt: skip
BOTH = (Share(DUMP, 0.5), Share(None, 0.2))


@pytest.mark.parametrize(
    ("verdict", "why"),
    [
        (said("cpu", OWN, limit="cpu.max", limit_value=0.5, throttled=0.98, cgroup="/web"),
         "its own limit, 0.5 cores (cpu.max), ran out in 98 % of the periods"),
        (said("cpu", ABOVE, limit="cpu.max", limit_value=2.0, throttled=0.5, cgroup="/shop.slice\n"),
         "the limit of /shop.slice\ufffd above it, 2 cores (cpu.max), ran out in 50 % of the periods"),
        (said("cpu", OWN, limit="cpuset.cpus", limit_value=1, cgroup="/web"),
         "its own limit to 1 processor (cpuset.cpus), which it uses up"),
        (said("cpu", OTHERS, own=0.3, shares=BOTH),
         "others take the processors (dump 0.50, other processes 0.20), it gets 0.30"),
        (said("cpu", ITSELF, own=1.9), "it has more to run than the host's 2 processors, and others take little"),
        (said("cpu", UNKNOWN, busy=0.2, stolen=0.25),
         "not known why; no quota and no CPU set explains it, and its processors were busy 20 % of the time, a "
         "hypervisor took 25 %"),
        (said("cpu", UNKNOWN),
         "not known why; no quota and no CPU set explains it, and the host does not say how busy its processors were"),
        (said("io", OTHERS, refaults=900.0, own=5 * MIB, available=30 * MIB, shares=(Share(DUMP, 9 * MIB),)),
         "the host is short of memory (30 MiB left), and others have most of it (dump 9 MiB), it has 5 MiB"),
        (said("io", ITSELF, refaults=900.0, own=9 * MIB, available=30 * MIB),
         "the host is short of memory (30 MiB left), and it has the most"),
        (said("memory", UNKNOWN, available=21 << 30, total=24 << 30),
         "not known why; no memory limit of it or above it is reached, and the host has 21 GiB of 24 GiB left"),
        (said("memory", UNKNOWN),
         "not known why; no memory limit of it or above it is reached, and the host does not say how much memory it "
         "has left"),
        (said("io", UNKNOWN, device="254:0", busy=0.034),
         "not known why; no limit of it is reached, and vda was busy 3 % of the time"),
        (said("io", UNKNOWN, device="254:0"),
         "not known why; no limit of it is reached, and the host does not say how busy vda was"),
        (said("io", UNKNOWN),
         "not known why; no limit of it is reached, and the kernel counts no disk I/O of it (it may wait for a "
         "network)"),
        (said("memory", OWN, limit="memory.high", limit_value=64 * MIB, refaults=300.4, cgroup="/web"),
         "its own limit, 64 MiB (memory.high), is hit, and it reads back 300 pages a second"),
        (said("memory", OTHERS, own=MIB, shares=(Share(DUMP, 3 << 30),), available=30 * MIB),
         "the host is short of memory (30 MiB left), and others have most of it (dump 3 GiB), it has 1 MiB"),
        (said("memory", ITSELF), "the host is short of memory, and it has the most"),
        (said("io", OTHERS, own=512.0, shares=(Share(DUMP, 80 * MIB),), device="254:0"),
         "vda is busy with others (dump 80 MiB/s), with its own 512 B/s"),
        (said("io", ITSELF, own=80 * MIB, device="254:0"), "vda is busy with its own 80 MiB/s"),
        (said("io", OWN, limit="io.max wbps", limit_value=MIB, cgroup="/web", device="254:0"),
         "its own limit, 1 MiB/s on vda (io.max wbps)"),
        (said("io", OWN, limit="io.max riops", limit_value=120, cgroup="/web", device="254:0"),
         "its own limit, 120 operations/s on vda (io.max riops)"),
    ],
)  # fmt: skip
def test_sentences(verdict: Verdict, why: str) -> None:
    expected = f"web waits for {WAITS_FOR[verdict.resource]} 42 % of the time: {why}"
    assert sentence(verdict, "vda" if verdict.device else None, 2) == expected


def test_what_the_kernel_does_not_say_is_not_in_the_sentence() -> None:
    throttled = said("cpu", Cause.OWN_LIMIT, limit="cpu.max", limit_value=0.5, throttled=1.0)._replace(stalled=None)
    assert sentence(throttled, None, 2).startswith("web waits for CPU: its own limit")


def look(now_ns: int) -> Look:
    return Look(Host(2), {"web": (WEB, "/web", Counted(now_ns))}, {})


def test_the_event_has_the_longest_waits_and_how_many_more_there_are() -> None:
    several = [said("cpu", Cause.ITSELF)] * (MOST_WAITS + 3)
    event = pressure_event(["cpu"], look(0), look(1_500_000_000), several, 10.0, lambda number: f"/{number}", 7)
    assert (len(event.waits), event.more, event.seconds, event.valid_seconds) == (MOST_WAITS, 3, 1.5, 15.5)
    assert event.timestamp == 7


def test_a_wait_has_its_numbers_beside_the_sentence() -> None:
    verdict = said("io", Cause.NEIGHBOURS, own=0.5, device="254:0", shares=(Share(DUMP, 80.0), Share(None, 1.0)))
    event = pressure_event(["io"], look(0), look(10**9), [verdict], 10.0, lambda number: f"disk {number}", 7)
    (wait,) = event.waits
    assert (wait.stalled_percent, wait.device, wait.unit, wait.own) == (41.6, "disk 254:0", "bytes per second", 0.5)
    assert [(each.id, each.name, each.amount) for each in wait.neighbours] == [
        ("dump" * 8, "dump", 80.0), (None, None, 1.0),
    ]  # fmt: skip
    memory = said("io", Cause.OWN_LIMIT, limit="memory.max", limit_value=5, own=3)
    (wait,) = pressure_event(["io"], look(0), look(10**9), [memory], 10.0, str, 7).waits
    assert wait.unit == "bytes" and wait.limit_value == 5
