"""One story on a made-up host, as every output tells it: follow, the Engine API's events, the webhook, the history.

``--update`` writes `happenings/` and `history/` beside this file. The clocks are the story's, so that nothing in them
depends on when and where it is played. What each output has to tell is judged elsewhere; here it may not change
unnoticed, nor the order in which it is told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from fakehost import no_thread_left
from golden.kept import in_order, same_as_kept
from playedhost import BEGAN_MS, PlayedHost, agent_over, played, point
from wire import Server

HERE = Path(__file__).parent
SHOP = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}
STALL = "some avg10=0.00 avg60=0.00 avg300=0.00 total={}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
MIB = 1 << 20


class Happening(NamedTuple):
    """One step of the story."""

    what: str
    change: Callable[[PlayedHost], None] = lambda _: None
    events: int = 0
    """What the Engine API has to tell of it."""
    seconds: float = 10.0


def begin(host: PlayedHost) -> None:
    """Two containers, one with a quota and a health check."""
    host.busy(100, 900)
    host.add("web", memory=20 * MIB, labels=SHOP)
    host.record("web", Health={"Status": "starting", "FailingStreak": 0, "Log": []})
    host.file("web", "cpu.max", "50000 100000\n")
    throttled(host, 0)
    host.add("db", memory=30 * MIB, limit=str(64 * MIB))
    host.file("db", "cpu.pressure", STALL.format(0))


def throttled(host: PlayedHost, number: int) -> None:
    """So far in so many tenths of a second."""
    usec = number * 90_000
    host.file("web", "cpu.pressure", STALL.format(usec))
    stat = f"usage_usec {number * 50_000}\nnr_periods {number}\nnr_throttled {number}\nthrottled_usec {usec}\n"
    host.file("web", "cpu.stat", stat)


def work(host: PlayedHost) -> None:
    """Both use something."""
    host.busy(600, 2400)
    throttled(host, 10)
    host.use("db", usec=3_000_000, memory=40 * MIB, blocks=5 * MIB, network=7 * MIB)


def looped(number: int) -> Callable[[PlayedHost], None]:
    """A life of a restart loop has begun before anybody could see the record of the end before."""

    def change(host: PlayedHost) -> None:
        host.end("loop", 1)
        again(number)(host)

    return change


def again(number: int) -> Callable[[PlayedHost], None]:
    """A life of the restart loop begins."""

    def change(host: PlayedHost) -> None:
        host.add("loop", usage_usec=1000 * number)
        host.record("loop", RestartCount=number)

    return change


def near(host: PlayedHost) -> None:
    """Its limit is 64 MiB."""
    host.use("db", usec=5_000_000, memory=62 * MIB, blocks=6 * MIB, network=8 * MIB)


def paused(host: PlayedHost, *, frozen: bool) -> None:
    """The kernel and Docker say so."""
    host.file("db", "cgroup.events", f"populated 1\nfrozen {int(frozen)}\n")
    host.record("db", Paused=frozen)


def health(host: PlayedHost, status: str) -> None:
    """What the latest probe of web said."""
    host.record("web", Health={"Status": status, "FailingStreak": 0, "Log": []})


STORY = (
    Happening("both use something", work),
    Happening("a job starts", lambda host: host.add("job", usage_usec=500), 2),
    Happening("the job ends with 3", lambda host: host.end("job", 3), 1),
    Happening("a loop starts", lambda host: host.add("loop", usage_usec=0), 2),
    Happening("the loop ends", lambda host: host.end("loop", 1, Restarting=True), 1),
    Happening("the loop starts again", again(1), 1),
    *(Happening(f"the loop is restarted ({number})", looped(number), 2) for number in range(2, 6)),
    Happening("nothing happens"),
    Happening("a process of db is killed", lambda host: host.file("db", "memory.events", "oom_kill 2\n"), 1),
    Happening("db is near its limit", near),
    Happening("web is healthy", lambda host: health(host, "healthy"), 1),
    Happening("web is not healthy", lambda host: health(host, "unhealthy"), 1),
    Happening("no round was made for 40 s", seconds=40.0),
    Happening("the host slept for a minute", lambda host: host.times.on(60, asleep=True)),
    Happening("db is renamed", lambda host: host.record("db", Name="/store"), 1),
    Happening("db is paused", lambda host: paused(host, frozen=True), 1),
    Happening("db goes on", lambda host: paused(host, frozen=False), 1),
)
WAITS = 25
"""Tenths of a second in which web is throttled while the agent looks."""
LAST = (
    Happening("db is killed for want of memory", lambda host: host.end("db", 137, OOMKilled=True), 1),
    Happening("the loop is removed", lambda host: host.end("loop", 137, removed=True), 2),
)


def asked(container: str) -> dict[str, str]:
    """The history's routes, by the name of the file."""
    since = f"since={BEGAN_MS - 10_000}"
    return {
        "container.web": f"/api/containers/web/history?{since}",
        "container.db": f"/api/containers/{container}/history?{since}&step=60",
        "container.loop": f"/api/containers/loop/history?{since}",
        "workload": f"/api/workloads/history?workload=compose:shop/web&{since}&step=30",
        "host": f"/api/host/history?{since}",
        "containers": f"/api/containers/history?{since}&step=60",
        "containers.figures": f"/api/containers/history?{since}&step=30&figures=blockReadRate,memoryUsage",
    }


async def history(server: Server, name: str, container: str) -> dict[str, str]:
    """Every answer, and every round, page by page."""
    found = {}
    for file, target in asked(container).items():
        answer = await server.ask(target)
        found[f"{name}.{file}"] = f"{answer.status} {answer.headers['content-type']}\n{lines(answer.body.decode())}\n"
    pages, cursor = [], ""
    while True:
        answer = await server.ask(f"/api/history?limit=6&cursor={cursor}")
        _, *rounds = answer.body.decode().splitlines()
        pages.append(f"{answer.status} {answer.headers['content-type']}\n{answer.body.decode()}")
        if not rounds:
            found[f"{name}.rounds"] = "\n".join(pages)
            return found
        cursor = json.loads(rounds[-1])["cursor"]


def lines(text: str) -> str:
    """A line for each figure and mark."""
    return re.sub(r'(?<=[\]}],)(?="\w+":[\[{])|(?<=\[)(?=\{")|(?<=\},)(?=\{")', "\n", text)


VOLATILE = re.compile(r'("(?:networkNamespace|life|version|agent)": ?)(?:\d+|"[^"]*")')
ROUND = re.compile(r'("round":\d+,.*"seconds":)[\d.e-]+')


ORDER = re.compile("(create )?(start (oom )*die )*(start (oom )*)?(destroy )?")
"""Of what /events tells of one container."""


def lives(events: str) -> dict[str, str]:
    """What was told of each container, without what may come at any time."""
    found: dict[str, str] = {}
    for each in map(json.loads, events.splitlines()):
        if re.search(rf"\b{each['Action']}\b", ORDER.pattern):
            found[each["id"]] = f"{found.get(each['id'], '')}{each['Action']} "
    return found


def normal(found: dict[str, str]) -> dict[str, str]:
    """Runs of the agent by their order; and without inodes, its version, and how long a round took."""
    runs: dict[str, str] = {}

    def run(match: re.Match[str]) -> str:
        return runs.setdefault(match[1], f"RUN{len(runs) + 1}") + match[2]

    for name, text in found.items():
        same = VOLATILE.sub(r"\1VOLATILE", re.sub(r"\b([0-9a-f]{8})(-\d+\b)", run, text))
        found[name] = ROUND.sub(r"\1VOLATILE", same) if name == "follow" else same
    return found


async def test_a_story_is_told_as_it_was_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    in_order(monkeypatch)
    host, kept = PlayedHost(tmp_path / "host"), tmp_path / "history"
    begin(host)
    with no_thread_left():
        async with played(host, kept, monkeypatch) as story:
            for each in STORY:
                await story.step(*each[:1], each.seconds, each.change, each.events)
            await story.wait(lambda host: throttled(host, WAITS))
            for each in LAST:
                await story.step(*each[:1], each.seconds, each.change, each.events)
            await story.over()
            since = await story.server.ask(f"/events?since=1&until={host.times.time_ms / 1000:.3f}")
            told = {
                "follow": "\n".join(story.followed) + "\n",
                "events": "\n".join(story.told) + "\n",
                "events.since": since.body.decode(),
                "notifications": "".join(json.dumps(body, indent=1) + "\n" for _, body in story.hook.requests),
            }
            past = await history(story.server, "memory", "store")
        host.times.on(20)
        async with agent_over(host, kept, monkeypatch) as server:
            await point(server)
            past |= await history(server, "disk", "store")
    told_lives = lives(told["events.since"])
    assert len(told_lives) == 4 and all(map(ORDER.fullmatch, told_lives.values())), told_lives
    update = request.config.getoption("--update")
    same_as_kept(HERE / "happenings", normal(told), update=update)
    same_as_kept(HERE / "history", normal(past), update=update)
