"""What other monitors show of memory, by each one's own formula: from the agent's socket as from dockerd's.

Containers of ten shapes and five sizes. dockerd is asked just before and just after the agent: its two answers, which
are equal where nothing happens, are what the agent's has to lie between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from agent import Agent
from docker import Docker, api
from engine import NESTED, PYTHON, SLEEP, run, wait_until
from figures import PAGE

from clientformulas import FORMULAS

pytestmark = pytest.mark.long
SOCKET = "/run/cgstatd/docker.sock"
SIZES = (2, 4, 6, 8, 10)
"""MiB of each shape's own kind of memory, one container each."""
LIMIT = 24
"""MiB. runc itself needs some of them before the program starts."""
SWAP = Path("/var/tmp/swap")
WRITE = "dd if=/dev/zero of={} bs=1M count={} conv=fsync 2>/dev/null"
HOLD = "(head -c {0} /dev/zero; sleep 1000000) | tail -c {0}"
"""tail keeps what may be the last bytes: anonymous memory."""
MAP = """
import mmap, time
size = {} << 20
with open("/data/file", "w+b") as file:
    file.truncate(size)
    shared, private = mmap.mmap(file.fileno(), size), mmap.mmap(file.fileno(), size, mmap.MAP_PRIVATE)
nobodys = mmap.mmap(-1, size)
for start in range(0, size, 4096):
    shared[start] = nobodys[start] = 1
for start in range(0, size, 8192):
    private[start] = 1
time.sleep(1000000)
"""
"""A file mapped shared, and private with every other page written; and shared memory without a file."""


def _script(shape: str, size: int) -> str:
    cache = WRITE.format("/data/file", size)
    match shape:
        case "read again and again":
            return f"{cache}; for n in 1 2 3; do cat /data/file >/dev/null; done; {SLEEP}"
        case "tmpfs":
            return f"{WRITE.format('/tmp/file', size)}; {SLEEP}"
        case "anonymous":
            return HOLD.format(size << 20)
        case "mapped":
            return f"exec /usr/bin/python3 -c '{MAP.format(size)}'"
        case "nested":
            return NESTED.replace("head -c 20000000", f"head -c {size << 20}")
        case "limited":
            return f"{WRITE.format('/data/file', LIMIT + size)}; cat /data/file >/dev/null; {SLEEP}"
        case "swapped":
            return HOLD.format((LIMIT + size) << 20)
        case "mixed":
            return f"{cache}; {WRITE.format('/tmp/file', size)}; {HOLD.format(size << 20)}"
    return f"{cache}; {SLEEP}"


NO_NETWORK = ("--network", "none")
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "cache": (),
    "read again and again": (),
    "tmpfs": ("--tmpfs", "/tmp"),
    "anonymous": (),
    "mapped": PYTHON,
    "nested": ("--privileged",),
    "limited": ("--memory", f"{LIMIT}m"),
    "swapped": ("--memory", f"{LIMIT}m", "--memory-swap", f"{4 * LIMIT}m"),
    "mixed": ("--tmpfs", "/tmp", "--memory", "256m"),
    "paused": (),
}


@pytest.fixture(scope="module")
def swap() -> Iterator[None]:
    run("dd", "if=/dev/zero", f"of={SWAP}", "bs=1M", "count=160")
    SWAP.chmod(0o600)
    run("mkswap", str(SWAP))
    run("swapon", str(SWAP))
    yield
    run("swapoff", str(SWAP))
    SWAP.unlink()


@pytest.fixture(scope="module")
def docker() -> Iterator[Docker]:
    engine = Docker("systemd")
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture(params=list(OPTIONS))
def shape(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def containers(shape: str, docker: Docker, swap: None) -> Iterator[list[str]]:
    """The ids of one shape's, in which nothing happens any more."""

    def made(size: int) -> str:
        name = f"{shape.replace(' ', '-')}-{size}"
        return docker.create(name, *NO_NETWORK, *OPTIONS[shape], command=_script(shape, size))

    with ThreadPoolExecutor(len(SIZES)) as pool:
        found = list(pool.map(made, SIZES))
    wait_until(_quiet(found), 120)
    if shape == "paused":
        run("docker", "pause", *found)
    yield found
    run("docker", "rm", "-f", *found)


def _quiet(ids: list[str]) -> Callable[[], bool]:
    last = list[int]()

    def same() -> bool:
        sleep(1.5)
        before, last[:] = list(last), [_memory(each)["usage"] for each in ids]
        return before == last

    return same


def _memory(container: str, *socket: str) -> Any:
    return dict(api(f"/containers/{container}/stats?stream=false&one-shot=true", *socket)["memory_stats"])


def test_every_clients_formula_ends_where_it_ends_with_dockerds_answer(
    shape: str, containers: list[str], agent: Agent, record: dict[str, Any]
) -> None:
    off, usage, far = list[int](), list[int](), []
    for container in containers:
        before, ours, after = _memory(container), _memory(container, SOCKET), _memory(container)
        assert before["stats"] and before["usage"] > 1 << 20, before
        usage.append(before["usage"])
        for formula in FORMULAS:
            one, mine, other = formula(before), formula(ours), formula(after)
            if one is None or mine is None or other is None:
                assert one == mine == other, (formula.__name__, before, ours)
                continue
            low, high = sorted((one, other))
            off.append(max(low - mine, mine - high, 0))
            if off[-1] > max(PAGE, low // 100):
                far.append((formula.__name__, container, one, mine, other))
    record["notes"][f"other monitors' memory, {shape}"] = (
        f"{len(usage)} containers of {min(usage) / 2**20:.1f} to {max(usage) / 2**20:.1f} MiB: {off.count(0)} of "
        f"{len(off)} figures are what dockerd's answer gives, the others differ by at most {max(off)} bytes"
    )
    assert far == []
