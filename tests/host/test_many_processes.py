"""Hundreds of processes of a container on the running kernel, beside what ps(1) says of them; arguments are nowhere."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from attacks.kernel import KernelArena, enter, kernel_arena
from often import often

pytestmark = pytest.mark.host
MANY = often(500)
_PARENT = """
import os, sys, threading, time
sys.stdin.readline()
for number in range(int(sys.argv[1]) - 1):
    if not os.fork():
        open("/proc/self/comm", "w").write(f"worker {number}")
        for _ in range(number % 3):
            threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
        held = bytearray(b"x") * (number << 12)
        os.write(1, b".")
        time.sleep(600)
os.write(1, b".")
time.sleep(600)
"""
SECRET = "--password=hunter2"


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KernelArena]:
    with kernel_arena(tmp_path_factory.mktemp("arena")) as found:
        yield found


@contextmanager
def workers(arena: KernelArena) -> Iterator[None]:
    """All of them have said that they are there."""
    command = [sys.executable, "-S", "-c", _PARENT, str(MANY), SECRET]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdin is not None and process.stdout is not None
        scope = f"docker-{arena.attacker}.scope"
        try:
            for tree in arena.trees:
                enter(f"{tree}/{scope}", process.pid)
            process.stdin.write(b"\n")
            process.stdin.flush()
            assert len(process.stdout.read(MANY)) == MANY
            yield
        finally:
            for pid in Path(f"{arena.trees[0]}/{scope}/cgroup.procs").read_text().split():
                subprocess.run(["kill", "-9", pid], check=False, stderr=subprocess.DEVNULL)
            process.wait()


def by_ps(arena: KernelArena) -> dict[int, tuple[str, int, int]]:
    """Of each process of the cgroup its name, threads and resident bytes."""
    pids = Path(f"{arena.trees[0]}/docker-{arena.attacker}.scope/cgroup.procs").read_text().split()
    command = ["ps", "-o", "pid=,nlwp=,rss=,comm=", "-p", ",".join(pids)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    rows = (line.split(None, 3) for line in lines)
    return {int(pid): (name.rstrip(), int(threads), int(rss) << 10) for pid, threads, rss, name in rows}


def test_many_processes_are_those_of_ps(arena: KernelArena) -> None:
    with workers(arena):
        status, _, body = arena.ask(f"/api/containers/{arena.attacker}/processes?sort=memory&limit=512")
        found, theirs = json.loads(body), by_ps(arena)
        _, _, top = arena.ask(f"/containers/{arena.attacker}/top")
    assert status == 200 and (found["count"], found["looked"], found["incomplete"]) == (MANY, MANY, None)
    ours = {each["pid"]: (each["name"], each["threads"]) for each in found["processes"]}
    assert ours == {pid: (name, threads) for pid, (name, threads, _) in theirs.items()}
    for each in found["processes"]:
        assert abs(each["memory"] - theirs[each["pid"]][2]) < 1 << 20  # counted per CPU until it is worth adding up
    engine = json.loads(top)
    pids = {int(row[engine["Titles"].index("PID")]) for row in engine["Processes"]}
    assert pids == theirs.keys()
    assert b"hunter2" not in body and b"hunter2" not in top
