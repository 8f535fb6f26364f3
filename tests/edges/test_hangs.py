"""The table's quick version: with a file that really blocks, every route answers for the others, and costs one thread.

No time is measured here: what an agent does not answer within 20 s has no status, and fails.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edges.hangs import HUNG, PLACES, ROUTES, Blocking, Place, Program, faults, log_file, make_host, measure, running
from fakehost import FakeHost
from wire import COMMAND, ENVIRONMENT

MEETS = {
    "memory.current": "array",
    "net/dev": "follow",
    "/proc/<pid>/status": "processes",
    "io.stat": "metrics",
    "memory.peak": "follow",
    "memory.events": "follow",
    "pids.current": "list",
    "cpu.pressure": "metrics",
    "cgroup.procs": "metrics",
    "/proc/stat": "host",
    "config.v2.json": "list",
}
"""Of each file a route that meets it first."""


class Stage:
    """A host, its file that can hang, and the agent."""

    def __init__(self, host: FakeHost, place: Place, blocking: Blocking, program: Program) -> None:
        self.host, self.place, self.blocking, self.program = host, place, blocking, program


@pytest.fixture(params=PLACES)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    place, host = PLACES[request.param], make_host(tmp_path / "host")
    with Blocking(place.path(host, HUNG)).mounted() as blocking, running(host) as program:
        try:
            yield Stage(host, place, blocking, program)
        finally:
            blocking.answer()  # while a call hangs, nothing ends a process


def said(program: Program, *words: str) -> list[str]:
    """The lines of the log with all these words, once there is one: another thread reads them as they come."""
    until = time.monotonic() + 20
    while True:
        found = [line for line in program.log if all(word in line for word in words)]
        if found or time.monotonic() > until:
            assert found, program.log
            return found
        time.sleep(0.02)


def test_others_are_answered_one_thread_is_held_and_all_is_well_again(stage: Stage) -> None:
    row = measure(stage.program, stage.blocking, stage.place, MEETS[stage.place.name], requests=20)
    assert faults(row) == [] and row.threads == (1, 1)
    file = str(stage.blocking.path)
    said(stage.program, "answers again", file)
    assert len(said(stage.program, "a reading hangs", file)) == 1


@pytest.mark.parametrize("stage", ["memory.peak", "/proc/stat", "config.v2.json"], indirect=True)
def test_every_route_answers_for_the_others_while_the_file_hangs_already(stage: Stage) -> None:
    meets = ROUTES[MEETS[stage.place.name]]
    stage.blocking.hang()
    stage.program.ask(meets.target, meets.enough)
    for name, route in ROUTES.items():
        answer = stage.program.ask(route.target, route.enough)
        assert answer.status == 200, (name, answer)
        if route.has is not None:
            found = route.has(answer.body)
            assert all(found.get(each) for each in route.those), (name, found)
    health = json.loads(stage.program.ask("/healthz").body)
    host = json.loads(stage.program.ask("/api/host").body)
    file = str(stage.blocking.path)
    assert health == {"status": "ok", "hung": [file]} and host["agent"]["hung"] == [file]
    if stage.place.of_host:
        assert (host["cores"], host["cpuPercent"]) == (None, None)
    else:
        errors = re.findall(rb'cgstatd_read_errors_total\{field="hung"\} ([0-9.]+)', stage.program.ask("/metrics").body)
        assert stage.place.name == "config.v2.json" or (errors and float(errors[0]) >= 1)


def test_a_log_whose_disk_hangs_costs_its_size_and_one_thread(tmp_path: Path) -> None:
    """It is looked at once a minute, so it hangs from the first look on."""
    host = make_host(tmp_path / "host")
    with Blocking(log_file(host)).mounted() as blocking, running(host) as program:
        try:
            program.ask("/api/containers")
            before = program.threads()
            blocking.hang()
            for _ in range(3):
                for name, route in ROUTES.items():
                    answer = program.ask(route.target, route.enough)
                    found = {} if route.has is None else route.has(answer.body)
                    assert answer.status == 200 and all(found.get(each) for each in found), (name, found)
                    assert not found or set(route.those) <= found.keys(), (name, found)
            assert HUNG.encode() in program.ask("/metrics").body  # its own figures are there, too
            assert program.threads() - before <= 2  # and the thread that makes the text of a scrape
            assert json.loads(program.ask("/healthz").body)["hung"] == [str(blocking.path)]
        finally:
            blocking.answer()


def test_the_doctor_goes_on_without_the_file_and_names_it(tmp_path: Path) -> None:
    host = make_host(tmp_path / "host")
    with Blocking(PLACES["memory.current"].path(host, HUNG)).mounted() as blocking:
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
