"""The hang table in process: while a file hangs, every route answers for the others, and one thread is held.

No time is measured: what is not answered never comes, and the test's own limit ends it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from cgstatd.feed import reading_pass, sampling_worker
from cgstatd.sampling import pass_work
from edges.hang_table import HUNG, OTHERS, PLACES, ROUTES, Place, Route, wrong
from edges.hanging import Blocking, make_host, path_of
from fakehost import FakeHost, container_id, no_thread_left, sampling_threads
from helpers import believed
from patience import until
from wire import COMMAND, ENVIRONMENT, Server, serving

FIFOS = [place for place in PLACES if place.name != "config.v2.json"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A hung read is noticed at once, and no thread outlives a test."""
    monkeypatch.setattr(sampling_worker, "STUCK_SECONDS", 0.1)
    monkeypatch.setattr(sampling_worker, "CHECK_SECONDS", 0.02)
    monkeypatch.setattr(pass_work, "CPU_WINDOW_SECONDS", 0.05)
    monkeypatch.setattr(reading_pass, "CONTAINER_SECONDS", 0.5)
    with no_thread_left():
        yield


async def ask(server: Server, route: Route, container: str = OTHERS[0]) -> tuple[int, bytes]:
    """Status and body; of a stream, as much as is enough."""
    async with server.connection() as connection:
        connection.send(route.target.format(id=container_id(container)))
        if route.enough is None:
            answer = await connection.answer()
            return answer.status, answer.body
        answer = await connection.head()
        while not route.enough(b"".join(answer.chunks)) and await connection.chunk(answer):
            pass
        return answer.status, b"".join(answer.chunks)


async def faults(server: Server, *, whole: bool = False) -> dict[str, list[str]]:
    """What is wrong with the routes' answers; where they are ``whole`` they have the one that hung, too."""
    found = {}
    for name, route in ROUTES.items():
        enough = None if whole and name == "stream" else route.enough
        more = (HUNG,) if whole and not route.of_one else ()
        found[name] = wrong(route, *await ask(server, route._replace(enough=enough)), *more)
    return {name: each for name, each in found.items() if each}


async def is_whole(server: Server) -> None:
    """Wait until every route has every container."""
    while await faults(server, whole=True):
        pass


@pytest.fixture(params=PLACES, ids=lambda place: place.name)
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.param
    return found


@pytest.fixture
async def hanging(place: Place, tmp_path: Path) -> AsyncIterator[tuple[Server, Blocking]]:
    """A server over the table's host, whose file can hang."""
    host = make_host(tmp_path / "host")
    with Blocking(path_of(host, place.path)).mounted() as blocking:
        async with serving(host.sampler(), freshness=0.0) as server:
            try:
                yield server, blocking
            finally:
                blocking.answer()  # while a call hangs, no thread ends


async def test_others_are_answered_one_thread_is_held_and_all_is_well_again(
    place: Place, hanging: tuple[Server, Blocking], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    server, blocking = hanging
    if not place.hangs_first:
        await is_whole(server)
    before = len(sampling_threads())
    blocking.hang()
    meets = ROUTES[place.met_by]
    while not blocking.met.is_set():  # what was read of it before may be fresh for a while
        hung = await ask(server, meets, HUNG)
        assert hung[0] in (200, 500) if meets.of_one else not wrong(meets, *hung)
        await asyncio.sleep(0.02)
    for _ in range(2):
        assert await faults(server, whole=place.hangs_first) == {}
    for route in ROUTES.values():
        assert not route.of_one or (await ask(server, route, HUNG))[0] in (200, 500)
    await until(lambda: len(sampling_threads()) <= before + 1)
    file = str(blocking.path)
    health, host = [(await server.ask(path)).json for path in ("/healthz", "/api/host")]
    assert (health, host["agent"]["hung"]) == ({"status": "ok", "hung": [file]}, [file])
    assert not place.of_host or (host["cores"], host["cpuPercent"]) == (None, None)
    errors = re.findall(rb'cgstatd_read_errors_total\{field="hung"\} ([0-9.]+)', (await server.ask("/metrics")).body)
    assert not place.counted or place.of_host or float(errors[0]) >= 1
    blocking.answer()
    await is_whole(server)
    await until(lambda: len(sampling_threads()) <= before)
    said = [each for each in caplog.messages if file in each]
    assert [each for each in said if "a reading hangs" in each] == said[:1]
    assert any("answers again" in each for each in said)


@believed
async def test_fifos_in_the_places_of_files_hold_up_no_reading(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A FIFO needs no right to be made, and no FUSE; opened without O_NONBLOCK it is waited for until it has a writer.

    One container for each place.
    """
    host = make_host(tmp_path / "host", *(place.name for place in FIFOS))
    for place in FIFOS:
        path = path_of(host, place.path, place.name)
        path.unlink()
        os.mkfifo(path)
    async with serving(host.sampler(), freshness=0.0) as server:
        for _ in range(2):
            assert await faults(server) == {}
            for place in FIFOS:
                assert (await ask(server, ROUTES["detail"], place.name))[0] == 200, place.name
        assert len(sampling_threads()) == 1
    assert "a reading hangs" not in caplog.text


def test_the_doctor_goes_on_without_the_file_and_names_it(tmp_path: Path) -> None:
    host: FakeHost = make_host(tmp_path / "host")
    with Blocking(path_of(host, "{cgroup}/memory.current")).mounted() as blocking:
        blocking.hang()
        doctor = subprocess.Popen(
            [*COMMAND, "doctor", "--json", "--host-root", str(host.path)],
            stdout=subprocess.PIPE,
            env=ENVIRONMENT,
            encoding="utf-8",
        )
        assert doctor.stdout is not None
        lines = list(iter(doctor.stdout.readline, "}\n"))
        blocking.answer()  # while a call hangs, nothing ends the process
        assert doctor.wait() == 1
        doctor.stdout.close()
    found = {section["title"]: section["findings"] for section in json.loads("".join(lines) + "}")["sections"]}
    assert [each["what"] for each in found["Files that hang"]] == [f"reading hangs: {blocking.path}"]
    assert any("an earlier reading of" in each["what"] for each in found["Figures"])
