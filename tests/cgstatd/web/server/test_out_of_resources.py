"""Without a descriptor or memory left the agent fails visibly: what it does not see may well be there."""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest

from cgstatd.sampling.container import Container
from fakehost import FakeHost, container_id
from wire import ALL, STREAM, Server, serving

ONE = f"/api/containers/{container_id('a')}"
ROUTES = (ALL, "/api/containers", "/metrics", "/api/host", "/healthz", f"{ONE}/stats", f"{ONE}/detail")
"""The health says what the pass before it met."""


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM], ids=["EMFILE", "ENFILE", "ENOMEM"])
async def test_every_route_fails_with_the_reason_rather_than_show_less_and_the_log_says_it_once(
    host: FakeHost, quick: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    original, reason = os.open, os.strerror(number)

    def refused(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if ".scope" in str(path) or path == "cpu.stat":
            raise OSError(number, reason, path)
        return original(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", refused)
    async with serving(host.sampler()) as server:
        for route in (*ROUTES, *ROUTES):
            answer = await server.ask(route)
            assert answer.status == 503 and reason in answer.json["error"], route
            assert "retry-after" in answer.headers
        answer = await server.ask(STREAM)
        assert (answer.status, answer.stats) == (200, {})
        assert b"event: error" in answer.body and reason.encode() in answer.body
        said = [record.getMessage() for record in caplog.records if reason in record.getMessage()]
        assert len(said) == 1, "however many files it is met at"
        monkeypatch.undo()


async def test_one_container_that_meets_it_fails_the_pass_and_the_next_is_whole(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Container.counters

    def counters(container: Container) -> Any:
        if container.identity.name == "b":
            raise MemoryError
        return original(container)

    with monkeypatch.context() as patch:
        patch.setattr(Container, "counters", counters)
        answer = await server.ask(ALL)
        assert (answer.status, answer.json) == (503, {"error": "out of memory"})
    assert {entry["name"] for entry in (await server.ask(ALL)).json} == {"a", "b", "c"}
