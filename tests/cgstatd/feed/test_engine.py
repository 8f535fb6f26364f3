"""What the Engine API and the detail say of containers that ended while no client listened."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cgstatd.feed.follow.follower import Follower
from cgstatd.feed.queries import _of_the_last_life
from cgstatd.host.identity import Identity
from cgstatd.host.runtimes.base import Metadata, State
from cgstatd.outputs.engine.names import engine_id
from cgstatd.outputs.follow_events import follow_exit
from cgstatd.sampling.round import Changes, Ended
from fakehost import ENGINE_FILES, FakeHost
from helpers import write_files
from wire import Server, serving

JOB = Identity("job", "job", "containerd", 0, Metadata("containerd", "job", "job", image="lab/busybox:1"))
END_MS = 1_795_660_957_245


def ended(code: int | None = 3, identity: Identity = JOB, **more: Any) -> Ended:
    given = {"absent": None, "signal": None, "signal_absent": None, "oom_killed": False, "killed": None, **more}
    return Ended(identity, None, None, code, started_seconds=END_MS / 1000 - 2, **given)


def hear(follower: Follower, end: Ended) -> None:
    """As it is noticed without a client."""
    found = Changes(started=[end.identity]), Changes(ended=[end])
    for each in found:
        follower.lives.hear(each)
        for observer in follower.observers:
            observer(each)
    follower.last_words.add(follow_exit(end, None, END_MS), end)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    host = FakeHost(tmp_path)
    write_files(str(host.path), ENGINE_FILES)
    async with serving(host.sampler()) as server:
        yield server


def follower(server: Server) -> Follower:
    return server.parts.follower


async def events(server: Server) -> list[tuple[str, str | None]]:
    """What /events says of the past."""
    found = (await server.ask(f"/events?since=1&until={time.time():.6f}")).body.decode().splitlines()
    return [(each["Action"], each["Actor"]["Attributes"].get("exitCode")) for each in map(json.loads, found)]


async def test_a_container_that_is_gone_is_answered_as_it_ended(server: Server) -> None:
    hear(follower(server), ended())
    key = engine_id("containerd", 0, "job")
    for wanted in ("job", key, key[:12]):
        answer = await server.ask(f"/containers/{wanted}/json")
        found = answer.json
        assert answer.status == 200 and found["Id"] == key and found["Name"] == "/job"
        state = found["State"]
        assert (state["Status"], state["Running"], state["ExitCode"]) == ("exited", False, 3)
        assert state["FinishedAt"].startswith("2026-11-26T02:42:37.245")
    assert (await server.ask("/containers/another/json")).status == 404
    assert (await server.ask("/containers/json?all=1")).json == []


async def test_an_end_without_a_client_is_an_event_for_who_asks_later(server: Server) -> None:
    hear(follower(server), ended())
    hear(follower(server), ended(None, absent="this kernel does not keep it"))
    for _ in range(2):
        assert [each for each in await events(server) if each[0] == "die"] == [("die", "3"), ("die", "255")]


async def test_a_container_that_is_gone_without_a_code_ended_in_no_success(server: Server) -> None:
    hear(follower(server), ended(None, absent="this kernel does not keep it"))
    state = (await server.ask("/containers/job/json")).json["State"]
    assert state["ExitCode"] == 255 and state["Error"].endswith(": this kernel does not keep it")


def test_last_words_of_an_earlier_life_are_none_of_a_later_one() -> None:
    words = follow_exit(ended(), None, END_MS)
    record = Metadata("podman", "job", "job", state=State.EXITED, started_seconds=END_MS / 1000 - 2, exit_code=3)
    assert _of_the_last_life(words, record) is words
    assert _of_the_last_life(words, None) is words
    assert _of_the_last_life(words, replace(record, started_seconds=None)) is words
    assert _of_the_last_life(words, replace(record, started_seconds=END_MS / 1000 - 1, exit_code=137)) is None
    nameless = follow_exit(ended()._replace(started_seconds=None), None, END_MS)
    assert _of_the_last_life(nameless, record) is nameless
    assert _of_the_last_life(nameless, replace(record, started_seconds=END_MS / 1000 + 1)) is None
    # An end whose record was lost is told up to some seconds later: the next life may be over by then.
    assert _of_the_last_life(nameless, replace(record, started_seconds=END_MS / 1000 - 1, exit_code=137)) is None
    unknown = follow_exit(ended(None, absent="why")._replace(started_seconds=None), None, END_MS)
    assert _of_the_last_life(unknown, record) is unknown
