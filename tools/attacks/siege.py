"""All attacks at once, over and over, on the installed program within the unit's bounds, beside a good client.

``python -m attacks.siege [--minutes 15] [--containers 300]`` as root (README.md has its PYTHONPATH). The agent runs in
a cgroup of its own with the MemoryMax and the CPU weight of the unit; the attackers, who would be other machines, have
a tenth of that weight. Each attack on the network is played again and again; those that plant files in the made-up host
take turns, and clean up. Prints how it goes each half a minute and a table at the end; exit code 1 where the agent was
killed or wrote a traceback, a good request was not answered or answered wrongly, the 99th percentile took 250 ms or
more, or its memory did not come back within eleven minutes (what ended is remembered for ten).
"""

from __future__ import annotations

import argparse
import inspect
import os
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from attacks import bounds, play
from attacks.arena import METRICS, VIEW, Arena, TreeArena, received, running
from attacks.goodness import Asked, Good
from attacks.matrix import ASKED_WITH
from attacks.planted import HOMES, users_host
from cgstatd.auth import store
from cgstatd.auth.store import Env, Show
from cgstatd.auth.tokens import BadTokens
from cgstatd.web.routes.table import ROUTES

P99_SECONDS = 0.25
RETURN = 1.2
"""Memory after the quiet, as a multiple of that before."""
QUIET_SECONDS = 60.0
LONGEST_QUIET_SECONDS = 660.0
"""What ended is remembered for ten minutes (feed/follow/last_words.py): memory has to be back once it is forgotten."""
WARM_SECONDS = 8.0
"""The agent has answered every route for so long when its memory is looked at first."""
EACH_SECONDS = 30.0
PAUSE_SECONDS = 5.0
"""Between two plays of one attack."""
NOT_HERE = {
    "kernel_arena": "needs cgroups of the real kernel and an agent that reads them",
    "hostile_server": "needs an agent that calls the attacker's server",
}
"""By the stage's arena, or the attack."""


@dataclass
class Attacker:
    """One attack that is played again and again."""

    name: str
    attack: Callable[..., str]
    plants: bool
    plays: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    dropped: str = ""
    """Why it is not played any more."""


def attackers() -> tuple[list[Attacker], list[str]]:
    """Those of play.STAGES that can be played on one arena, and a sentence for each of the others."""
    found, left = [], []
    for stage in play.STAGES:
        for attack in stage.attacks:
            name = attack.__name__
            if why := NOT_HERE.get(name) or NOT_HERE.get(getattr(stage.open, "__name__", "")):
                left.append(f"{name}: {why}")
                continue
            first = next(iter(inspect.signature(attack).parameters.values()))
            found.append(Attacker(name, attack, first.annotation == "TreeArena"))
    return found, left


def again(path: str, name: str, env: Env, allow: Sequence[str], show: Show = store._unseen) -> str:
    """A token as the attack wants it, though it made one of that name when it was played before."""
    try:
        return _add(path, name, env, allow, show)
    except BadTokens:
        store.revoke(path, name)
        return _add(path, name, env, allow, show)


_add = store.add


def once(each: Attacker, a: TreeArena) -> None:
    """Play it; what came of it, an expectation that does not hold beside the other attacks included."""
    each.plays += 1
    try:
        each.attack(a)
        each.outcomes["as alone"] += 1
    except pytest.skip.Exception as why:
        each.dropped = f"not played here: {why}"
    except (AssertionError, OSError, LookupError, ValueError) as error:
        each.outcomes[f"otherwise ({type(error).__name__})"] += 1
    except Exception as error:
        each.dropped = f"cannot be played on a shared host: {error!r}"[:200]


def on_the_network(each: Attacker, a: TreeArena, over: threading.Event) -> None:
    """One attacker's thread."""
    while not each.dropped and not over.wait(PAUSE_SECONDS):
        once(each, a)


def in_the_tree(those: list[Attacker], a: TreeArena, over: threading.Event) -> None:
    """The thread of those who plant files: one after the other."""
    while not over.is_set():
        for each in those:
            if not over.wait(PAUSE_SECONDS / 5) and not each.dropped:
                once(each, a)
                restore(a.host.path)


_PLACES = (
    "sys/fs/cgroup",
    "sys/fs/cgroup/system.slice",
    "sys/fs/cgroup/user.slice",
    "var/lib/docker/containers",
    "home",
)


def known(root: Path) -> dict[str, set[str]]:
    """What is in the places where something can be planted."""
    return {place: set(os.listdir(root / place)) if (root / place).is_dir() else set() for place in _PLACES}


_before: dict[str, set[str]] = {}


def restore(root: Path) -> None:
    """Nothing is left of what was planted: whoever plants cleans up, or pays for it."""
    for place, names in known(root).items():
        for name in names - _before.get(place, set()):
            path = root / place / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
    for name in HOMES:
        (root / "home" / name).mkdir(parents=True, exist_ok=True)
    shutil.rmtree(root / "var/lib/containers", ignore_errors=True)


@contextmanager
def besieged(containers: int, name: str) -> Iterator[tuple[TreeArena, bounds.Bounds]]:
    """The agent within its bounds over a host that has users; not in a memory file system."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", ignore_cleanup_errors=True) as here:
        host = users_host(Path(here) / "host", containers)
        _before.update(known(host.path))
        restore(host.path)
        with (
            bounds.bounds(name) as within,
            running(Path(here), "--host-root", str(host.path), prefix=within.prefix()) as found,
        ):
            port, pid, tokens, secret, folder, log = found
            yield TreeArena(port, pid, tokens, secret, folder, "c1", log, host=host), within


def warm(a: Arena) -> None:
    """Every route is asked over and over, beside the good client: what is made once is there before, and counts."""
    asked = [each.path + ASKED_WITH.get(each.path, "") for each in ROUTES if each.method == "GET"]
    paths = [each.replace("{id}", a.good).replace("{env}", "1") for each in asked]
    began = time.monotonic()
    while time.monotonic() - began < WARM_SECONDS:
        for path in paths:
            if path.endswith("/follow"):
                with a.asking(path) as sock:
                    answer = received(sock, 1 << 12)
                    assert answer.startswith(b"HTTP/1.1 200"), answer[:200]
            else:
                status, _, body = a.ask(path)
                assert status in (200, 404), f"{path}: {body[:200]!r}"  # no workload has that name
        time.sleep(0.5)


def line(a: Arena, good: Good, within: bounds.Bounds, began: float) -> str:
    """How it goes."""
    asked = Asked.of(good.results())
    threads = len(os.listdir(f"/proc/{a.pid}/task"))
    descriptors = len(os.listdir(f"/proc/{a.pid}/fd"))
    return (
        f"{time.monotonic() - began:5.0f} s  memory {a.memory():.0f} MiB (most {a.most_memory():.0f})  "
        f"good requests {asked.line()} ({asked.each()})  descriptors {descriptors}  threads {threads}"
    )


def siege(minutes: float, containers: int) -> int:
    """All of it; the exit code."""
    those, left = attackers()
    for sentence in left:
        print(f"not in the siege: {sentence}")
    store.add = again
    with ExitStack() as stack:
        a, within = stack.enter_context(besieged(containers, f"cgstatd-siege-{os.getpid()}"))
        own = store.add(a.tokens, "good", [1], [VIEW, METRICS])  # an attacker with its token would be the same client
        good = stack.enter_context(Good(a.port, own, containers))
        stack.enter_context(bounds.giving_way(within))  # from here on: every attacker, not the good client
        warm(a)
        before = a.memory()
        good.forget()
        began, over = time.monotonic(), threading.Event()
        targets = [partial(in_the_tree, [each for each in those if each.plants], a, over)]
        targets += [partial(on_the_network, each, a, over) for each in those if not each.plants]
        threads = [threading.Thread(target=target, daemon=True) for target in targets]
        for thread in threads:
            thread.start()
        alive = True
        while alive and time.monotonic() - began < minutes * 60:
            time.sleep(min(EACH_SECONDS, max(0.1, minutes * 60 - (time.monotonic() - began))))
            alive = Path(f"/proc/{a.pid}/task").exists() and within.kills() == 0
            print(line(a, good, within, began) if alive else "the agent was killed", flush=True)
        results = good.results()
        over.set()
        until = time.monotonic() + QUIET_SECONDS
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        restore(a.host.path)
        if alive:
            time.sleep(QUIET_SECONDS)  # the good client goes on, as it did when memory was looked at before
        most = a.most_memory() if alive else within.most_mib()
        memory = (before, most, a.memory() if alive else 0.0)
        alone = settled(a, before) if alive else (0.0, 0.0)
        return report(those, Asked.of(results), a.log, within.kills(), memory, alone)


def settled(a: Arena, before: float) -> tuple[float, float]:
    """(MiB, seconds of quiet) once memory is back, or what it is when that took too long."""
    began = time.monotonic() - QUIET_SECONDS
    while (now := a.memory()) > before * RETURN and time.monotonic() - began < LONGEST_QUIET_SECONDS:
        time.sleep(5)
    return now, time.monotonic() - began


def report(
    those: list[Attacker],
    asked: Asked,
    log: list[str],
    kills: int,
    memory: tuple[float, float, float],
    alone: tuple[float, float],
) -> int:
    """The table; 1 where a rule is broken. ``memory``: MiB before, at most, a minute afterwards (0: the agent is gone);
    ``alone``: what it came to, and when."""
    before, most, after = memory
    tracebacks = sum("Traceback" in each for each in log)
    print("\n| attack | plays | what came of it |\n|---|---|---|")
    for each in those:
        came = each.dropped or ", ".join(f"{count} x {what}" for what, count in sorted(each.outcomes.items()))
        print(f"| {each.name} | {each.plays} | {came} |")
    rules = (
        ("killed for want of memory", f"{kills}", kills == 0 and after > 0),
        ("tracebacks", f"{tracebacks}", tracebacks == 0),
        ("good requests answered, complete and right", f"{asked.right} of {asked.number}", asked.right == asked.number),
        ("p50 / p99 / slowest", asked.times(), asked.p99 < P99_SECONDS),
        (
            "MiB before / most / after a minute of quiet",
            f"{before:.0f} / {most:.0f} / {after:.0f}",
            after > 0,
        ),
        (
            f"back to within {RETURN - 1:.0%} of before",
            f"{alone[0]:.0f} MiB after {alone[1]:.0f} s of quiet",
            0 < alone[0] <= before * RETURN,
        ),
    )
    print("\n| rule | seen | held |\n|---|---|---|")
    for name, seen, held in rules:
        print(f"| {name} | {seen} | {'yes' if held else 'NO'} |")
    for what, (number, p99, slowest) in asked.kinds.items():
        print(f"{what}: {number} requests, p99 / slowest {p99 * 1000:.0f} / {slowest * 1000:.0f} ms")
    for failure, count in asked.failures.most_common(10):
        print(f"{count} x {failure}")
    if tracebacks:
        print("".join(log[-80:]))
    return 0 if all(held for _, _, held in rules) else 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="attacks.siege", description="All attacks at once, on the installed program.")
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--containers", type=int, default=300)
    given = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("cgroups and files of several owners need root")
    os.environ["NIGHTLY"] = "1"
    return siege(given.minutes, given.containers)


if __name__ == "__main__":
    sys.exit(main())
