"""Answers of JSON and metrics are compressed where their client asks for it, once for all clients of a round."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from cgstatd.feed import answer_bodies
from cgstatd.web.routes.context import CONTEXT
from documented import conforms
from fakehost import FakeHost, container_id
from secured import guard
from wire import ALL, STREAM, Answer, Server, serving

GZIP = "Accept-Encoding: gzip"
ONLY_GZIP = "Accept-Encoding: gzip, identity;q=0"
DASH = "https://dash.example.org"
ROUTES = (
    ("/api/containers", "/api/containers"),
    ("/api/containers/{id}/detail", "/api/containers/a/detail"),
    ("/api/host", "/api/host"),
    ("/api/containers/{id}/history", "/api/containers/a/history"),
    ("/api/host/history", "/api/host/history"),
    ("/metrics", "/metrics"),
    ("/api/openapi.json", "/api/openapi.json"),
)


def unpacked(answer: Answer) -> Answer:
    """The answer as its client reads it."""
    assert answer.status == 200 and answer.headers["content-encoding"] == "gzip", answer.headers
    assert int(answer.headers["content-length"]) == len(answer.body)
    answer.body = gzip.decompress(answer.body)
    return answer


@pytest.fixture
async def patient(tmp_path: Path, quick: None) -> AsyncIterator[Server]:
    """A server whose rounds are fresh for a minute: what is asked one after the other is of one round."""
    host = FakeHost(tmp_path)
    for number in range(20):
        host.add(f"c{number}")
    async with serving(host.sampler(), freshness=60) as server:
        yield server


def bodies(server: Server) -> answer_bodies.Bodies:
    assert server.runner.app is not None
    return server.runner.app[CONTEXT].bodies


@pytest.mark.parametrize(("path", "target"), ROUTES)
async def test_each_is_compressed_for_a_client_that_asks(remembering: Server, path: str, target: str) -> None:
    plain = await remembering.ask(target)
    assert "content-encoding" not in plain.headers and "accept-encoding" in plain.headers["vary"].lower()
    answer = await remembering.ask(target, GZIP)
    conforms(unpacked(answer), path)
    assert answer.headers["vary"] == plain.headers["vary"]
    assert answer.headers["content-type"] == plain.headers["content-type"]


async def test_the_bytes_are_those_of_the_round_and_far_fewer(patient: Server) -> None:
    plain = await patient.ask(ALL)
    answer = await patient.ask(ALL, GZIP)
    assert len(answer.body) < len(plain.body) / 5
    assert unpacked(answer).body == plain.body
    conforms(answer, ALL)


async def test_all_clients_of_a_round_share_what_was_compressed_once(
    patient: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, compress = [], answer_bodies.gzip

    def noted(parts: Sequence[bytes]) -> bytes:
        made.append(parts)
        return compress(parts)

    monkeypatch.setattr(answer_bodies, "gzip", noted)
    answers = await asyncio.gather(*(patient.ask(ALL, GZIP) for _ in range(20)))
    assert len({unpacked(each).body for each in answers}) == 1 and len(made) == 1


async def test_head_has_the_headers_of_get_and_no_body(patient: Server) -> None:
    for headers in ((), (GZIP,)):
        answer, head = await patient.ask(ALL, *headers), await patient.ask(ALL, *headers, method="HEAD")
        for name in ("content-length", "content-type", "vary"):
            assert head.headers[name] == answer.headers[name]
        assert head.headers.get("content-encoding") == answer.headers.get("content-encoding")
        assert head.body == b""
        conforms(head, ALL, "head")


async def test_a_small_answer_is_left_alone(server: Server) -> None:
    target = f"/api/containers/{container_id('a')}/stats"
    answer = await server.ask(target, GZIP)
    assert "content-encoding" not in answer.headers and answer.json["memoryUsage"]
    assert answer.headers["vary"] == "Accept-Encoding", "a client that refuses it as it is gets another"
    answer = unpacked(await server.ask(target, ONLY_GZIP))
    assert answer.json["memoryUsage"]


async def test_clients_that_do_not_ask_or_do_not_want_it_get_it_as_it_is(patient: Server) -> None:
    for header in ("", "identity", "gzip;q=0", "br", "gzip;q=0.1, identity", "br, identity;q=0", "gzip;q=x"):
        answer = await patient.ask(ALL, *([f"Accept-Encoding: {header}"] if header else []))
        assert "content-encoding" not in answer.headers and len(answer.json) == 20, header


async def test_a_header_in_several_lines_is_one(patient: Server) -> None:
    unpacked(await patient.ask(ALL, "Accept-Encoding: br", "Accept-Encoding: gzip"))


async def test_metrics_depend_on_both_headers(server: Server) -> None:
    openmetrics = "Accept: application/openmetrics-text"
    found = [unpacked(await server.ask("/metrics", GZIP, *more)) for more in ((), (openmetrics,))]
    assert [each.headers["vary"] for each in found] == ["Accept, Accept-Encoding"] * 2
    assert [each.body.endswith(b"# EOF\n") for each in found] == [False, True]


async def test_an_allowed_origin_is_named_beside_it(host: FakeHost) -> None:
    async with serving(host.sampler(), guard=guard(origins=[DASH])) as server:
        answer = await server.ask("/api/containers", GZIP, f"Origin: {DASH}")
        assert answer.headers["vary"] == "Accept-Encoding, Origin"
        assert answer.headers["access-control-allow-origin"] == DASH
        conforms(unpacked(answer), "/api/containers")
        assert (await server.ask("/healthz")).headers["vary"] == "Origin"


@pytest.mark.parametrize(
    "target", [STREAM, "/", "/healthz", "/containers/json", "/v1.45/info", "/api/containers/nobody/detail", "/nothing"]
)
async def test_everything_else_is_sent_as_it_is(server: Server, target: str) -> None:
    for header in (GZIP, ONLY_GZIP):
        assert "content-encoding" not in (await server.ask(target, header)).headers


async def test_the_stream_that_stays_open_is_sent_as_it_is(server: Server) -> None:
    async with server.connection() as connection:
        connection.send("/api/containers/stats/follow", GZIP)
        head = await connection.head()
        assert "content-encoding" not in head.headers and "vary" not in head.headers
        assert (await connection.chunk(head)).startswith(b"event: hello")


async def test_without_room_it_comes_as_it_is_and_is_503_for_a_client_that_does_not_take_that(patient: Server) -> None:
    plain = await patient.ask(ALL)
    bodies(patient).budget = bodies(patient).used
    answer = await patient.ask(ALL, GZIP)
    assert "content-encoding" not in answer.headers and answer.body == plain.body
    answer = await patient.ask(ALL, ONLY_GZIP)
    assert (answer.status, answer.json) == (503, {"error": "Too many answers in flight"})
    bodies(patient).budget = answer_bodies.BUDGET_BYTES
    unpacked(await patient.ask(ALL, ONLY_GZIP))


async def test_a_page_of_the_history_is_compressed(remembering: Server) -> None:
    while (await remembering.ask("/api/history")).body.count(b"\n") < 2:
        await asyncio.sleep(0.01)
    answer = unpacked(await remembering.ask("/api/history", GZIP))
    assert [json.loads(line) for line in answer.body.splitlines()][1]["containers"]
