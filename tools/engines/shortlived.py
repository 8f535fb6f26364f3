"""A thousand short-lived containers beside an agent that no client follows: how many ends it saw, with which code.

    python tools/engines/shortlived.py --rootfs DIR [--count 1000] [--at-once 4] [--seconds 0.2]

Each container (runc, from a directory with a shell) lives for so long and exits with a code of its own. After each
hundred the agent's `/events` are asked for the past: every end is there with its code, there without one, there with
another (an error), or missed. Printed beside these: the agent's descriptors, threads and inotify watches, its resident
memory and its CPU time. Exit code 1 where a code is wrong, where a descriptor of a container that is gone is left 20 s
after the last, or where threads have grown.

Needs root and runc. Only this tool runs containers; the agent never does.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from endings import run, wait_until
from ends import Agent

BATCH = 100
HEADS = (
    "containers",
    "right",
    "no code",
    "wrong",
    "missed",
    "own descriptors",
    "all",
    "threads",
    "watches",
    "RSS MB",
    "CPU s",
)
_CODES = 250


class Holds(NamedTuple):
    """What a leak would grow, and the cost."""

    own: int
    """Descriptors of these containers' cgroups, and of processes that have ended."""
    descriptors: int
    """All: other containers of the host have some, too."""
    threads: int
    watches: int
    resident_mb: float
    cpu_seconds: float


def holds(pid: int) -> Holds:
    """Of a process now."""
    watches = own = 0
    for each in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            info, link = each.read_text(), os.readlink(f"/proc/{pid}/fd/{each.name}")
        except OSError:  # closed meanwhile
            continue
        watches += info.count("inotify wd:")
        own += "/shortlived/" in link or "Pid:\t-1" in info
    descriptors, threads = (len(os.listdir(f"/proc/{pid}/{name}")) for name in ("fd", "task"))
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return Holds(own, descriptors, threads, watches, pages * os.sysconf("SC_PAGE_SIZE") / 1e6, cpu)


class Bundles:
    """Containers of runc."""

    def __init__(self, work: str, rootfs: str, seconds: float) -> None:
        self._work, self._seconds = work, seconds
        run("runc", "spec", "--bundle", work)
        self._spec = json.loads(Path(work, "config.json").read_text())
        self._spec["root"] = {"path": rootfs, "readonly": False}
        self._spec["process"]["terminal"] = False

    def play(self, number: int) -> tuple[str, int]:
        """One container to its end; its id and its code."""
        key, code = f"{os.getpid():08x}{number:056x}", number % _CODES + 1
        bundle = Path(self._work, str(number))
        bundle.mkdir()
        spec = copy.deepcopy(self._spec)  # several threads make containers
        spec["process"]["args"] = ["/bin/sh", "-c", f"sleep {self._seconds}; exit {code}"]
        spec["linux"]["cgroupsPath"] = f"/shortlived/{key}"
        Path(bundle, "config.json").write_text(json.dumps(spec))
        command = ["runc", "run", "--bundle", str(bundle), key]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode != code:
            raise SystemExit(f"runc: {done.returncode} {done.stderr.decode()}")
        return key, code


def told(agent: Agent, since: float) -> dict[str, int | None]:
    """The ends of the past, by id."""
    _, body = agent.get(f"/events?since={since:.6f}&until={time.time():.6f}")
    found: dict[str, int | None] = {}
    for each in map(json.loads, body.splitlines()):
        if each["Action"] == "die":
            code = each["Actor"]["Attributes"].get("exitCode")
            found[each["id"]] = None if code is None else int(code)
    return found


def judged(agent: Agent, codes: dict[str, int], since: float) -> Counter[str]:
    """What the agent says of a batch, once it says something of each or for some seconds."""
    wait_until(lambda: codes.keys() <= told(agent, since).keys(), 4)
    found = told(agent, since)
    kinds = Counter[str]()
    for key, code in codes.items():
        said = found.get(key)
        if said not in (None, code):
            print(f"wrong: {key[-12:]} {said}, {code} is right", flush=True)
        kinds["missed" if key not in found else "none" if said is None else "right" if said == code else "wrong"] += 1
    return kinds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rootfs", required=True, help="a directory with a shell")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=0.2, help="how long each lives")
    parser.add_argument("--agent", default="", help="the cgstatd to start")
    options = parser.parse_args()
    agent, total = Agent(["--history=0"], options.agent), Counter[str]()
    with tempfile.TemporaryDirectory() as work:
        try:
            agent.wait()
            bundles = Bundles(work, options.rootfs, options.seconds)
            first = None
            print(f"| {' | '.join(HEADS)} |\n{'|---' * len(HEADS)}|", flush=True)
            for begin in range(0, options.count, BATCH):
                since, numbers = time.time(), range(begin, min(begin + BATCH, options.count))
                with ThreadPoolExecutor(options.at_once) as pool:
                    codes = dict(pool.map(bundles.play, numbers))
                total += judged(agent, codes, since)
                now = holds(agent.process.pid)
                first = first or now
                counts = [total[each] for each in ("right", "none", "wrong", "missed")]
                cells = [numbers.stop, *counts, *now[:4], f"{now.resident_mb:.1f}", f"{now.cpu_seconds:.2f}"]
                print(f"| {' | '.join(map(str, cells))} |", flush=True)
            assert first is not None
            time.sleep(20)  # until what the clients above made necessary is over
            last = holds(agent.process.pid)
            print(f"20 s later: {last}")
        finally:
            agent.process.terminate()
            agent.process.wait(20)
    return int(bool(total["wrong"]) or last.own > 0 or last.threads > first.threads)


if __name__ == "__main__":
    sys.exit(main())
