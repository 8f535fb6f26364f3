"""A container that forks without pause up to its pids.max, while its processes are asked for: on the running kernel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from attacks.arena import Work, often
from attacks.kernel import KernelArena, enter
from attacks.planted import MOST
from wire import ALL

_LIMIT = 700
"""pids.max: more than the agent looks at (512)."""
_BOMB = """
import os, signal, sys, time
os.nice(19)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print("ready", flush=True)
sys.stdin.readline()
os.setpgid(0, 0)
end, made = time.monotonic() + 120, 0
while time.monotonic() < end:
    try:
        pid = os.fork()
    except OSError:
        continue
    if not pid:
        time.sleep(120 if made < 650 else 0.01)
        os._exit(0)
    made += 1
    if made == 650:
        print("full", flush=True)
    if made > 650:
        time.sleep(float(sys.argv[1]))
os.killpg(0, signal.SIGKILL)
"""


def fork_bomb(a: KernelArena) -> str:
    """a fork bomb, running kernel: forks without pause within a pids.max of 700, while its processes are asked for"""
    with _bomb(a):
        largest, looked, numbers = Work(0, 0), 0, set[int]()
        for order in ("cpu", "memory") * often(3):
            (status, _, body), work = a.ask_counted(f"/api/containers/{a.attacker}/processes?sort={order}&limit=10")
            largest = max(largest, work)
            found = json.loads(body)
            assert status == 200, body[:300]
            looked = max(looked, found["looked"])
            numbers.add(found["count"])
            assert len(found["processes"]) <= 10 and (found["incomplete"] or found["looked"] <= 512), found
            assert a.attacker.encode() in a.ask(ALL)[2]
            time.sleep(1.1)  # a reading of its own each time
        detail = json.loads(a.ask(f"/api/containers/{a.attacker}/detail")[2])
    assert looked <= 512 < max(numbers) <= _LIMIT
    assert detail["pids"]["current"]["value"] <= _LIMIT
    largest.within(50 * 512, MOST.octets)
    return f"{max(numbers)} of at most {_LIMIT} processes, {looked} looked at; {largest} for an answer"


@contextmanager
def _bomb(a: KernelArena) -> Iterator[None]:
    """Full, and going on; at the end all of it is killed."""
    scope = f"docker-{a.attacker}.scope"
    limits = [f"{tree}/{scope}/pids.max" for tree in a.trees if os.path.exists(f"{tree}/{scope}/pids.max")]
    if not limits:
        pytest.skip("no pids controller here")
    with open(limits[0], "w", encoding="ascii") as file:
        file.write(str(_LIMIT))
    pause = "0" if often(2) > 1 else "0.005"  # in `make test` it is not to have all the processors
    command = [sys.executable, "-S", "-c", _BOMB, pause]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            for tree in a.trees:
                enter(f"{tree}/{scope}", process.pid)
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "full\n"
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.kill()
            process.wait()
            _emptied(f"{limits[0].rpartition('/')[0]}/cgroup.procs")


def _emptied(procs: str) -> None:
    """Wait until none is left: another attack uses the same cgroup."""
    until = time.monotonic() + 60
    while Path(procs).read_text("ascii") and time.monotonic() < until:
        time.sleep(0.05)
