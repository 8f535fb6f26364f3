"""Without a descriptor or memory left the agent fails visibly: what it does not see may well be there."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from cgstatd.sampling.container import Container
from fakehost import FakeHost, container_id
from wire import ALL, STREAM, Server, serving

ROUTES = (ALL, "/api/containers", "/metrics", "/api/host", "/healthz")


@pytest.fixture(params=[errno.EMFILE, errno.ENFILE, errno.ENOMEM], ids=["EMFILE", "ENFILE", "ENOMEM"])
def number(request: pytest.FixtureRequest) -> int:
    found: int = request.param
    return found


@pytest.fixture
def none_left(host: FakeHost, number: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No file of a container's cgroup can be opened."""
    original = os.open

    def refused(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if ".scope" in str(path) or path == "cpu.stat":
            raise OSError(number, os.strerror(number), path)
        return original(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", refused)
    yield
    monkeypatch.undo()


@pytest.fixture
async def poor(host: FakeHost, quick: None, none_left: None) -> AsyncIterator[Server]:
    async with serving(host.sampler()) as server:
        yield server


@pytest.mark.parametrize("route", ROUTES)
async def test_lists_fail_with_the_reason_rather_than_show_fewer_containers(
    poor: Server, number: int, route: str
) -> None:
    if route == "/healthz":
        await poor.ask(ALL)  # it says what the last pass met
    answer = await poor.ask(route)
    assert answer.status == 503
    assert os.strerror(number) in answer.json["error"]
    assert "retry-after" in {name.lower() for name in answer.headers}


@pytest.mark.parametrize("what", ["stats", "detail"])
async def test_one_container_fails_with_the_reason(poor: Server, number: int, what: str) -> None:
    answer = await poor.ask(f"/api/containers/{container_id('a')}/{what}")
    assert answer.status == 503
    assert os.strerror(number) in answer.json["error"]


async def test_the_stream_has_an_error_event(poor: Server, number: int) -> None:
    answer = await poor.ask(STREAM)
    assert answer.status == 200
    assert answer.stats == {}
    assert b"event: error" in answer.body and os.strerror(number).encode() in answer.body


async def test_the_log_says_it_once_however_many_files_it_is_met_at(
    poor: Server, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        for route in ROUTES:
            await poor.ask(route)
    said = [record.getMessage() for record in caplog.records if os.strerror(number) in record.getMessage()]
    assert len(said) == 1, said


async def test_one_container_that_meets_it_fails_the_pass_and_the_next_is_whole(
    host: FakeHost, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Container.counters

    def counters(container: Container) -> Any:
        if container.identity.name == "b":
            raise MemoryError
        return original(container)

    async with serving(host.sampler()) as server:
        with monkeypatch.context() as patch:
            patch.setattr(Container, "counters", counters)
            answer = await server.ask(ALL)
            assert (answer.status, answer.json) == (503, {"error": "out of memory"})
        assert {entry["name"] for entry in (await server.ask(ALL)).json} == {"a", "b", "c"}
