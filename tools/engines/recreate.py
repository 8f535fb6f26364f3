#!/usr/bin/env python3
"""Recreates, renames and swaps real containers beside a running agent, and counts what its clients are told wrongly.

    python3 tools/engines/recreate.py --engine "docker" --rounds 1000
    python3 tools/engines/recreate.py --engine "podman --cgroup-manager=cgroupfs" --play restarts --seconds 60

Standard library only; needs an agent (``--agent http://127.0.0.1:9713``), the engine's command and an image with
``sleep`` (``--image``). Every container has a memory limit that no other has, so that a figure tells whose it is.
Plays:

* ``names``: two names change hands in every way (removed and made anew, renamed and made anew, swapped), while one
  client asks for each by name, one for all lists in turn, one follows. Wrong is: 400; a limit of a container that the
  name did not lead to at any instant of the request (of a list: from ``--late`` seconds before it); 404 of a container
  that was there; a name twice among one owner's and runtime's containers in one list.
* ``limits``: short-lived containers with a limit; the first figures of each, by id, by name and in the lists. Wrong is
  any other limit.
* ``restarts``: one container is restarted, killed and started again; wrong is a running one with an exit code, or a
  start before the restart after the command has returned (lists: ``--late`` seconds after).

Prints progress and a table; exit code 1 where anything was wrong.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import datetime
import http.client
import json
import re
import shlex
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from typing import Any

STEP = 64 << 10
FIRST = 32 << 20
LIMITS = 8192
Names = Mapping[str, frozenset[int | None]]
"""Name -> the limits of the containers that it may lead to; None among them: it may lead to none."""


class Agent:
    """The agent as one client sees it: a connection of its own."""

    def __init__(self, url: str, token: str) -> None:
        self._where = urllib.parse.urlsplit(url)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._connection: http.client.HTTPConnection | None = None

    def open(self, path: str) -> http.client.HTTPResponse:
        """A response whose body is still to be read."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection(
                self._where.hostname or "", self._where.port or 80, timeout=30
            )
        try:
            self._connection.request("GET", path, headers=self._headers)
            return self._connection.getresponse()
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body."""
        for last in (False, True):
            try:
                with self.open(path) as response:
                    return response.status, response.read()
            except (ConnectionError, http.client.HTTPException):  # a kept connection that the agent has closed
                self.close()
                if last:
                    raise
        raise AssertionError

    def close(self) -> None:
        """Drop the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Engine:
    """docker or podman by its command."""

    def __init__(self, command: str, image: str, options: str) -> None:
        self._command = shlex.split(command)
        self.runtime = "podman" if "podman" in self._command[0] else "docker"
        self._image = image
        self._options = shlex.split(options)
        self._number = 0

    def __call__(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run([*self._command, *arguments], capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise RuntimeError(f"{shlex.join(arguments)}: {done.returncode}: {done.stderr.strip()}")
        return done.stdout.strip()

    def limit(self) -> int:
        """One that no other container has."""
        self._number += 1
        return FIRST + self._number % LIMITS * STEP

    def make(self, name: str, limit: int, *more: str) -> str:
        """Run a container; its id."""
        options = ["--name", name, "--memory", str(limit), *self._options, *more]
        return self("run", "-d", *options, self._image, "sleep", "100000").splitlines()[-1]

    def remove(self, *names: str) -> None:
        """Remove containers that may be running."""
        self("rm", "-f", *(["-t", "0"] if self.runtime == "podman" else []), *names, check=False)


class Truth:
    """Which containers each name leads to, over time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._states: list[tuple[float, Names]] = [(time.monotonic(), {})]

    def _add(self, names: Names) -> None:
        with self._lock:
            self._states.append((time.monotonic(), names))
            del self._states[:-200]

    @contextlib.contextmanager
    def change(self, **names: int | None) -> Iterator[None]:
        """While a command runs a name may lead to what it led to, to what it leads to then, or nowhere."""
        before = self._states[-1][1]
        old = {name: before.get(name, frozenset([None])) for name in names}
        self._add({**before, **{name: old[name] | {limit, None} for name, limit in names.items()}})
        yield
        self._add({**before, **{name: frozenset([limit]) for name, limit in names.items()}})

    def allowed(self, name: str, began: float, ended: float) -> set[int | None]:
        """The limits that an answer to a request of that time may show."""
        with self._lock:
            states = list(self._states)
        found: set[int | None] = set()
        for (since, names), until in zip(states, [*(at for at, _ in states[1:]), float("inf")], strict=True):
            if since <= ended and until >= began:
                found |= names.get(name, {None})
        return found


class Count:
    """What was asked and what was wrong, by client."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.asked: collections.Counter[str] = collections.Counter()
        self.wrong: collections.Counter[tuple[str, str]] = collections.Counter()
        self.examples: dict[tuple[str, str], str] = {}

    def add(self, who: str, number: int = 1) -> None:
        """Something was asked."""
        with self._lock:
            self.asked[who] += number

    def bad(self, who: str, what: str, example: object) -> None:
        """An answer was wrong."""
        with self._lock:
            self.wrong[who, what] += 1
            self.examples.setdefault((who, what), str(example)[:300])

    def table(self) -> str:
        """Everything."""
        lines = [f"{'client':<22}{'answers':>9}  wrong"]
        for who in sorted(self.asked):
            wrong = ", ".join(f"{number} {what}" for (by, what), number in sorted(self.wrong.items()) if by == who)
            lines.append(f"{who:<22}{self.asked[who]:>9}  {wrong or '0'}")
        lines += [f"  {who}, {what}: {example}" for (who, what), example in sorted(self.examples.items())]
        return "\n".join(lines)


class Watch:
    """What the clients look for in the answers."""

    def __init__(self, count: Count, truth: Truth, runtime: str, prefix: str, late: float) -> None:
        self.count, self.truth, self.runtime, self.prefix, self.late = count, truth, runtime, prefix, late

    def twice(self, who: str, keys: list[tuple[Any, ...]]) -> None:
        """A name that is there more than once; ``keys``: (owner, runtime, name)."""
        for key, number in collections.Counter(keys).items():
            if number > 1 and key[2].startswith(self.prefix):
                self.count.bad(who, "a name twice", key)

    def figure(self, who: str, name: str, limit: int, began: float, ended: float) -> None:
        """A limit that was shown under a name."""
        allowed = self.truth.allowed(name, began, ended)
        if limit in allowed:
            return
        own = FIRST <= limit < FIRST + LIMITS * STEP
        self.count.bad(who, "foreign" if own else "no limit", f"{name}: {limit}, not {allowed}")


def by_name(agent: Agent, watch: Watch, names: tuple[str, ...]) -> None:
    """One question for each name."""
    for name in names:
        began = time.monotonic()
        status, body = agent.get(f"/api/containers/{name}/stats?env=1")
        ended = time.monotonic()
        watch.count.add("by name")
        if status == 200:
            watch.figure("by name", name, json.loads(body)["memoryLimit"], began, ended)
        elif status != 404:
            watch.count.bad("by name", str(status), body.decode())
        elif None not in watch.truth.allowed(name, began, ended):
            watch.count.bad("by name", "404 though there", name)


def stats_list(who: str, watch: Watch, found: list[dict[str, Any]], began: float) -> None:
    """The figures of all running containers, however they came."""
    watch.count.add(who)
    watch.twice(who, [(each.get("ownerUid", 0), each.get("runtime", ""), each["name"]) for each in found])
    for each in found:
        if each["name"].startswith(watch.prefix):
            watch.figure(who, each["name"], each["memoryLimit"], began - watch.late, time.monotonic())


def lists(agent: Agent, watch: Watch) -> None:
    """Every list once."""
    began = time.monotonic()
    stats_list("array", watch, json.loads(agent.get("/api/containers/stats?env=1")[1]), began)
    began = time.monotonic()
    stream = agent.get("/api/containers/stats/stream?env=1")[1].decode()
    stats_list("stream", watch, [json.loads(data) for data in re.findall(r"event: stat\ndata: (.*)", stream)], began)
    began = time.monotonic()
    containers = json.loads(agent.get("/api/containers?env=1")[1])
    watch.count.add("containers")
    watch.twice("containers", [(each["ownerUid"], each["runtime"], each["name"]) for each in containers])
    for each in containers:
        if each["name"].startswith(watch.prefix) and each["state"] == "running" and each["exitCode"] is not None:
            watch.count.bad("containers", "running with an exit code", each)
    began = time.monotonic()
    metrics(watch, agent.get("/metrics")[1].decode(), began)


def metrics(watch: Watch, text: str, began: float) -> None:
    """One scrape."""
    watch.count.add("metrics")
    found = re.findall(r'^container_spec_memory_limit_bytes\{.*?name="([^"]*)".*?\} (\S+)', text, re.MULTILINE)
    watch.twice("metrics", [(0, "", name) for name, _ in found])
    for name, limit in found:
        if name.startswith(watch.prefix):
            watch.figure("metrics", name, int(float(limit)), began - watch.late, time.monotonic())


def follow(agent: Agent, watch: Watch, over: threading.Event) -> None:
    """The stream that stays open, a round at a time."""
    with contextlib.closing(agent), agent.open("/api/containers/stats/follow?env=1&interval=0.25") as response:
        event, round_, began = "", [], time.monotonic()
        while not over.is_set() and (line := response.readline().decode()):
            key, _, value = line.rstrip("\n").partition(": ")
            if key == "event":
                event = value
            elif key == "data" and event == "stat":
                round_.append(json.loads(value))
            elif key == "data" and event == "round":
                stats_list("follow", watch, round_, began)
                round_, began = [], time.monotonic()


def play_names(options: argparse.Namespace, engine: Engine, truth: Truth, rounds: Iterator[int]) -> None:
    """Two names change hands."""
    one, two, spare = (f"{options.prefix}{word}" for word in ("one", "two", "spare"))
    limits = {one: engine.limit(), two: engine.limit()}
    for name in (one, two):
        with truth.change(**{name: limits[name]}):
            engine.make(name, limits[name])
    for number in rounds:
        new = engine.limit()
        kind = number % 4
        if kind in (0, 2):  # removed and made anew
            name = (one, two)[number // 2 % 2]
            with truth.change(**{name: None}):
                engine.remove(name)
            with truth.change(**{name: new}):
                engine.make(name, new)
            limits[name] = new
        elif kind == 1:  # renamed and made anew
            with truth.change(**{one: None, spare: limits[one]}):
                engine("rename", one, spare)
            with truth.change(**{one: new}):
                engine.make(one, new)
            with truth.change(**{spare: None}):
                engine.remove(spare)
            limits[one] = new
        else:  # swapped
            for old, other in ((one, spare), (two, one), (spare, two)):
                with truth.change(**{old: None, other: limits[old]}):
                    engine("rename", old, other)
                limits[other] = limits.pop(old)


def play_limits(options: argparse.Namespace, engine: Engine, count: Count, watch: Watch, rounds: Iterator[int]) -> None:
    """Short-lived containers, each asked for from before it is there."""
    agent = Agent(options.agent, options.token)
    for number in rounds:
        name, limit = f"{options.prefix}{number}", engine.limit()
        made = threading.Event()
        with watch.truth.change(**{name: limit}):

            def make() -> None:
                engine.make(name, limit)  # noqa: B023  joined before the next round
                made.set()  # noqa: B023

            maker = threading.Thread(target=make)
            maker.start()
            first = dict.fromkeys(("by name", "array", "stream", "metrics"))
            deadline = time.monotonic() + 30
            while (not made.is_set() or None in first.values()) and time.monotonic() < deadline:
                for who, limits in first_figures(agent, name).items():
                    if limits is not None:
                        what = f"{who}, first" if first[who] is None else f"{who}, later"
                        first[who] = limits
                        count.add(what)
                        if limits != limit:
                            count.bad(what, "wrong limit", (limits, limit))
            maker.join()
        engine.remove(name)


def first_figures(agent: Agent, name: str) -> dict[str, int | None]:
    """The limit that each way of asking shows of a container; None: not there yet."""
    found: dict[str, int | None] = {}
    status, body = agent.get(f"/api/containers/{name}/stats?env=1")
    found["by name"] = json.loads(body)["memoryLimit"] if status == 200 else None
    array = json.loads(agent.get("/api/containers/stats?env=1")[1])
    found["array"] = next((each["memoryLimit"] for each in array if each["name"] == name), None)
    stream = agent.get("/api/containers/stats/stream?env=1")[1].decode()
    events = [json.loads(data) for data in re.findall(r"event: stat\ndata: (.*)", stream)]
    found["stream"] = next((each["memoryLimit"] for each in events if each["name"] == name), None)
    text = agent.get("/metrics")[1].decode()
    line = re.search(rf'^container_spec_memory_limit_bytes\{{.*?name="{name}".*?\}} (\S+)', text, re.MULTILINE)
    found["metrics"] = int(float(line[1])) if line else None
    return found


def play_restarts(options: argparse.Namespace, engine: Engine, count: Count, rounds: Iterator[int]) -> None:
    """One container is stopped and started in every way while it is polled."""
    name, agent = f"{options.prefix}again", Agent(options.agent, options.token)
    identity = engine.make(name, engine.limit())
    state = {"since": time.time(), "at": time.monotonic()}
    over = threading.Event()

    def poll() -> None:
        while not over.wait(options.pause):
            began, since, at = time.monotonic(), state["since"], state["at"]
            settled = began - at > options.late
            for each in json.loads(agent.get("/api/containers?env=1")[1]):
                if each["id"] == identity and each["state"] == "running":
                    count.add("containers")
                    if each["exitCode"] is not None:
                        count.bad("containers", "running with an exit code", each)
                    if each["started"] is not None and settled and each["started"] / 1000 < since - 1:
                        count.bad("containers", "an old start", each)
            text = agent.get("/metrics")[1].decode()
            line = re.search(rf'^container_start_time_seconds\{{.*?name="{name}".*?\}} (\S+)', text, re.MULTILINE)
            if line:
                count.add("metrics")
                if settled and float(line[1]) < since - 1:
                    count.bad("metrics", "an old start", (line[1], since))

    poller = threading.Thread(target=poll)
    poller.start()
    try:
        for number in rounds:
            state["at"] = float("inf")  # until the command has returned both starts are right
            if number % 2:
                engine("kill", name)
                engine("wait", name, check=False)
                state["since"] = time.time()
                engine("start", name)
            else:
                state["since"] = time.time()
                engine("restart", "-t", "0", name)
            state["at"] = time.monotonic()
            time.sleep(1.2)  # starts are told apart by a second
    finally:
        over.set()
        poller.join()


def counted(options: argparse.Namespace, count: Count) -> Iterator[int]:
    """The rounds, with a line of progress now and then."""
    began = said = time.monotonic()
    for number in range(options.rounds):
        now = time.monotonic()
        if options.seconds and now - began > options.seconds:
            return
        if now - said > options.progress:
            said = now
            wrong = sum(count.wrong.values())
            print(
                f"{now - began:6.0f} s  round {number}: {sum(count.asked.values())} answers, {wrong} wrong", flush=True
            )
        yield number
    print(f"{time.monotonic() - began:6.0f} s  {options.rounds} rounds", flush=True)


def clients(options: argparse.Namespace, watch: Watch, over: threading.Event) -> list[threading.Thread]:
    """A client by name, one by lists, one that follows."""
    names = tuple(f"{options.prefix}{word}" for word in ("one", "two"))

    def again(ask: Callable[[Agent], None]) -> None:
        agent = Agent(options.agent, options.token)
        while not over.wait(options.pause):
            ask(agent)

    return [
        threading.Thread(target=again, args=(lambda agent: by_name(agent, watch, names),), daemon=True),
        threading.Thread(target=again, args=(lambda agent: lists(agent, watch),), daemon=True),
        threading.Thread(target=follow, args=(Agent(options.agent, options.token), watch, over), daemon=True),
    ]


def main() -> int:
    """Play, and say what was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agent", default="http://127.0.0.1:9713", help="the agent's address (%(default)s)")
    parser.add_argument("--token", default="", help="a token for it")
    parser.add_argument("--engine", default="docker", help="the engine's command with its options (%(default)s)")
    parser.add_argument("--image", default="lab/busybox:1", help="an image with sleep (%(default)s)")
    parser.add_argument("--options", default="--network none", help="of each container (%(default)s)")
    parser.add_argument("--play", choices=("names", "limits", "restarts"), default="names")
    parser.add_argument("--rounds", type=int, default=1000, help="%(default)s")
    parser.add_argument("--seconds", type=float, default=0, help="stop after this time; 0: after the rounds")
    parser.add_argument("--prefix", default="recreate-", help="of the containers' names (%(default)s)")
    parser.add_argument("--pause", type=float, default=0.02, help="seconds between a client's questions (%(default)s)")
    parser.add_argument("--late", type=float, default=0.25, help="how old a list may be, seconds (%(default)s)")
    parser.add_argument("--progress", type=float, default=10, help="seconds between lines of progress (%(default)s)")
    options = parser.parse_args()
    engine, count, truth, over = (
        Engine(options.engine, options.image, options.options),
        Count(),
        Truth(),
        threading.Event(),
    )
    watch = Watch(count, truth, engine.runtime, options.prefix, options.late)
    rounds = counted(options, count)
    asking = clients(options, watch, over) if options.play == "names" else []
    started = datetime.datetime.now(tz=datetime.UTC)
    try:
        for thread in asking:
            thread.start()
        if options.play == "names":
            play_names(options, engine, truth, rounds)
        elif options.play == "limits":
            play_limits(options, engine, count, watch, rounds)
        else:
            play_restarts(options, engine, count, rounds)
    finally:
        over.set()
        for thread in asking:
            thread.join(5)
        left = engine("ps", "-aq", "--filter", f"name={options.prefix}").split()
        if left:
            engine.remove(*left)
    print(f"{options.play}, {engine.runtime}, from {started:%H:%M:%S} UTC\n{count.table()}")
    return 1 if count.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
