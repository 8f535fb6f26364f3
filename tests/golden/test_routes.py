"""Whole answers of every route over every recorded host, kept beside this file in `routes/`.

``pytest tests/golden/test_routes.py --update`` writes them: what changed is in the diff. Bytes are kept, with a line
for each object of a list, event and series. :data:`VOLATILE` is what two runs may answer otherwise. What these answers
hold is judged elsewhere; here it may not change unnoticed.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from cgstatd.recording.recorded_root import open_roots
from cgstatd.sampling.container import Container
from cgstatd.sampling.lookup import merge
from cgstatd.sampling.open_host import HostOptions, open_host
from cgstatd.web.routes.table import ENGINE_ROUTES, HAWSER_ROUTES, ROUTES
from golden.kept import in_order, same_as_kept
from helpers import DEMO, HOSTS, RECORDED
from recordedhosts import recorded_host
from wire import Answer, Server, serving

GOLDEN = Path(__file__).with_name("routes")
VOLATILE = tuple(
    (re.compile(pattern.encode()), b"\\1VOLATILE")
    for pattern in (
        r'("(?:rss|cpuSeconds|threads|descriptors|uptimeSeconds|passes|passSeconds|passCpuSeconds|passIntervalSeconds|seconds|load\d+)":)(?:[\d.e-]+|null)',
        r'("(?:timestamp|now|bootTime|t|since|until|from|to)":)\d{13}',
        r'("(?:run|cursor|ID|agentId|uptime|SystemTime|version|(?:docker|hawser|Server)?Version)": ?)"?[^",}\]]+"?',
        r'("(?:read|preread)":)"[^"]*"',
        r"(?m)^((?:cgstatd|process|python)_[a-z_]+(?:\{[^}]*\})? )[-\d.e+]+$",
        r"(?m)^(node_(?:time|boot_time)_seconds )[\d.e+]+$",
        r"(?m)^(id: ).*$",
        r"(?m)^(cgstatd_build_info).*$",
        r'("Status":"(?:Up|Exited \(\d+\)) )[^"(]+(?: ago)?',
    )
)
SPLIT = re.compile(
    rb'([\[,])(?=\{"(?:id|Id|name|Name|t|pid|cpuPercent)")|(?<=\},)(?="(?:/[^"]*|components|\w+)":\{"(?:get|post|type|description|schema)")'
)


TIME = re.compile(rb"20\d\d-\d\d-\d\dT[\d:.]+Z")
SECONDS = re.compile(rb"(?<![\d.])1[789]\d{8}(?:\d{3})?(?![\d.])")


class Asked(NamedTuple):
    """A request, and the name of the file that holds its answer."""

    target: str
    name: str


ERRORS = {
    "no-such-container": "/api/containers/nothing/stats",
    "invalid-id": "/api/containers/..%2f/stats",
    "no-such-environment": "/api/containers/stats?env=2",
    "no-such-environment-stream": "/api/containers/stats/stream?env=2",
    "no-such-route": "/api/nothing",
    "wrong-number": "/api/containers/stats/follow?interval=x",
    "engine-no-such-container": "/v1.45/containers/nothing/json",
    "engine-bad-filter": "/containers/json?filters={",
    "engine-refused": "/containers/nothing/logs",
}


def requests(ids: dict[str, str]) -> list[Asked]:
    """One of each route, and of each error; those of one container, of each of ``ids`` (kind -> id)."""
    found = [Asked(target, f"error.{name}") for name, target in ERRORS.items()]
    for route in (*ROUTES, *ENGINE_ROUTES, *HAWSER_ROUTES):
        if route.method != "GET" or "{version}" in route.path or route.path == "/":
            continue
        path = route.path.replace("{env}", "1").replace("{name}", "none")
        name = path.strip("/").replace("/", ".") or "page"
        if "{id}" in path or "{container}" in path:
            for what, each in ids.items():
                target = path.replace("{id}", each).replace("{container}", each)
                found.append(Asked(target, name.replace("{id}", what).replace("{container}", what)))
        else:
            found.append(Asked(path, name))
    return found


Host = tuple[str, Server, dict[str, str]]
"""Its name, a server over it, and an id of each kind of container."""
QUERIES = {
    "/containers/json": "?all=1",
    "/events": "?since=1&until=2",
    "/api/containers/history": "?since=1&until=2",
}
STATS = "?stream=false&one-shot=1"


def normal(answer: Answer, unpacked: float) -> str:
    """Status, type and body, without what two runs may answer otherwise. ``unpacked``: when the host's files were made
    here (Unix time), which is when those containers began of which no runtime's state is recorded."""
    body = answer.body
    for pattern, instead in VOLATILE:
        body = pattern.sub(instead, body)
    since = datetime.fromtimestamp(unpacked, UTC).isoformat().encode()
    body = TIME.sub(lambda found: b"VOLATILE" if found[0] >= since else found[0], body)
    body = SECONDS.sub(lambda found: b"VOLATILE" if int(found[0][:10]) >= unpacked else found[0], body)
    text = SPLIT.sub(rb"\1\n", body).decode()
    return f"{answer.status} {answer.headers.get('content-type', '')}\n{text}\n"


@pytest.fixture(params=(*HOSTS, *RECORDED, DEMO))
async def host(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[str, Server, dict[str, str]]]:
    """A recorded host at its second reading, which goes on from the first; and a container of each kind."""
    roots = open_roots(recorded_host(request.param))
    in_order(monkeypatch)
    earlier, sampler = (open_host(root, HostOptions()) for root in (roots[0], roots[-1]))
    earlier.baselines()
    sampler.continue_from(earlier)
    kinds: dict[str, str] = {}
    known = merge(sampler.containers(), sampler.names.on_disk())
    for each in sorted(known, key=lambda each: (each.name, each.id)):
        kinds.setdefault(f"{each.runtime}-{'running' if isinstance(each.target, Container) else 'stopped'}", each.id)
    async with serving(sampler) as server:
        yield request.param, server, kinds
    earlier.close()


async def ask(server: Server, target: str) -> Answer:
    """The answer; of ``follow``, which stays open, the first round."""
    if target != "/api/containers/stats/follow":
        path = target.partition("?")[0]
        query = STATS if re.fullmatch(r"/containers/[^/]+/stats", path) else QUERIES.get(path, "")
        return await server.ask(target + query)
    async with server.connection() as connection:
        connection.send(target)
        answer = await connection.head()
        while not any(b"event: round" in each for each in answer.chunks):
            await connection.chunk(answer)
        answer.body = b"".join(answer.chunks)
        return answer


async def test_every_route_answers_what_it_answered(host: Host, request: pytest.FixtureRequest) -> None:
    name, server, ids = host
    folder = GOLDEN / name
    unpacked = os.stat(recorded_host(name)).st_ctime - 60
    asked = [each for each in requests(ids) if name == DEMO or each.name != "api.openapi.json"]  # of no host
    found = {each.name: normal(await ask(server, each.target), unpacked) for each in asked}
    same_as_kept(folder, found, update=request.config.getoption("--update"))
