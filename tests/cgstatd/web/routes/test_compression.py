"""Answers of JSON and metrics are compressed once for all clients of a round. Which routes: test_every_route.py; what a
header asks for: tests/cgstatd/outputs/test_content_codings.py."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Sequence

import pytest

from cgstatd.feed import answer_bodies
from documented import conforms
from fakehost import FakeHost
from secured import guard
from wire import ALL, Answer, Server, serving

GZIP = "Accept-Encoding: gzip"
ONLY_GZIP = "Accept-Encoding: gzip, identity;q=0"
DASH = "https://dash.example.org"


def unpacked(answer: Answer) -> Answer:
    """The answer as its client reads it."""
    assert answer.status == 200 and answer.headers["content-encoding"] == "gzip", answer.headers
    assert int(answer.headers["content-length"]) == len(answer.body)
    answer.body = gzip.decompress(answer.body)
    return answer


@pytest.fixture
def patient(host: FakeHost, server: Server) -> Server:
    """A server whose rounds are fresh for a minute: what is asked one after the other is of one round."""
    for number in range(20):
        host.add(f"c{number}")
    server.fresh_for(60.0)
    return server


async def test_all_clients_of_a_round_share_what_was_compressed_once(
    patient: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, compress = [], answer_bodies.gzip

    def noted(parts: Sequence[bytes]) -> bytes:
        made.append(parts)
        return compress(parts)

    monkeypatch.setattr(answer_bodies, "gzip", noted)
    plain = await patient.ask(ALL)
    answers = await asyncio.gather(*(patient.ask(ALL, GZIP) for _ in range(20)))
    assert all(len(each.body) < len(plain.body) / 5 for each in answers), "far fewer bytes"
    assert {unpacked(each).body for each in answers} == {plain.body} and len(made) == 1


async def test_head_has_the_headers_of_get_and_no_body(patient: Server) -> None:
    for headers in ((), (GZIP,)):
        answer, head = await patient.ask(ALL, *headers), await patient.ask(ALL, *headers, method="HEAD")
        for name in ("content-length", "content-type", "vary", "content-encoding"):
            assert head.headers.get(name) == answer.headers.get(name)
        assert head.body == b""
        conforms(head, ALL, "head")


async def test_a_header_in_several_lines_is_one_and_what_is_not_known_is_left_alone(patient: Server) -> None:
    unpacked(await patient.ask(ALL, "Accept-Encoding: br", "Accept-Encoding: gzip"))
    for header in ("identity", "gzip;q=0", "br, identity;q=0", "gzip;q=x"):
        assert "content-encoding" not in (await patient.ask(ALL, f"Accept-Encoding: {header}")).headers, header


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


async def test_without_room_it_comes_as_it_is_and_is_503_for_a_client_that_does_not_take_that(patient: Server) -> None:
    plain, bodies = await patient.ask(ALL), patient.parts.bodies
    bodies.budget = bodies.used
    answer = await patient.ask(ALL, GZIP)
    assert "content-encoding" not in answer.headers and answer.body == plain.body
    answer = await patient.ask(ALL, ONLY_GZIP)
    assert (answer.status, answer.json) == (503, {"error": "Too many answers in flight"})
    bodies.budget = answer_bodies.BUDGET_BYTES
    unpacked(await patient.ask(ALL, ONLY_GZIP))
