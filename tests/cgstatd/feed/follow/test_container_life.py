"""Which record speaks of which life: sequences that Docker 26.1 and Podman 5.4 wrote in crash loops."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cgstatd.feed.follow.container_life import Life
from cgstatd.host.runtimes.base import ExitCode, Metadata, State

BEFORE = Metadata(
    runtime="docker",
    id="a" * 64,
    name="web",
    state=State.RESTARTING,
    started_seconds=29.736,
    finished_seconds=29.820,
    exit_code=3,
    restarts=1,
)
"""The record of the life before, which is there when the cgroup of this one is made (at 29.97)."""
RUNNING = replace(BEFORE, state=State.RUNNING, started_seconds=30.105, exit_code=None, pid=13201)
ENDED = replace(RUNNING, state=State.RESTARTING, exit_code=4, finished_seconds=30.179, restarts=2, pid=None)
NEXT = replace(RUNNING, started_seconds=30.527, restarts=2, pid=13273)
NEXT_ENDED = replace(NEXT, state=State.RESTARTING, exit_code=5, finished_seconds=30.621, restarts=3, pid=None)
BORN = 29.97


def hears(*records: Metadata, born: float = BORN, pids: tuple[int, ...] = (), before: float | None = None) -> Life:
    life = Life(born)
    for record in records:
        life.hear(record, pids.__contains__, before)
    return life


CONFIGURED = replace(BEFORE, state=State.CREATED, exit_code=None, pid=13201)
"""Podman's: with the start of the life before."""


@pytest.mark.parametrize(
    "records",
    [(ENDED,), (BEFORE, ENDED), (RUNNING, ENDED), (RUNNING, ENDED, NEXT, NEXT_ENDED), (CONFIGURED, RUNNING, ENDED),
     (RUNNING, BEFORE, RUNNING, ENDED)],  # a stale one: Podman's database is not read while it is being written
)  # fmt: skip
def test_the_end_is_known_whatever_was_missed_before_it(records: tuple[Metadata, ...]) -> None:
    assert hears(*records).end == ENDED


@pytest.mark.parametrize("records", [(RUNNING, NEXT), (RUNNING, NEXT_ENDED), (BEFORE, NEXT), (BEFORE, NEXT_ENDED)])
def test_a_later_life_is_never_taken_for_this_one(records: tuple[Metadata, ...]) -> None:
    life = hears(*records)
    assert (life.end, life.overwritten) == (None, True)


def test_the_record_of_the_life_before_is_not_of_this_one() -> None:
    life = hears(BEFORE, BEFORE)
    assert (life.end, life.overwritten, life.started_seconds) == (None, False, None)
    life.hear(RUNNING, ().__contains__)
    assert (life.started_seconds, life.pid, life.end) == (30.105, 13201, None)
    assert hears(replace(RUNNING, started_seconds=28.0), BEFORE).started_seconds is None
    nothing = hears(replace(BEFORE, started_seconds=None, state=State.CREATED))
    assert (nothing.end, nothing.started_seconds) == (None, None)


@pytest.mark.parametrize("record", [NEXT, NEXT_ENDED])
def test_a_start_after_the_next_cgroup_was_seen_is_not_this_lifes(record: Metadata) -> None:
    life = hears(record, before=30.4)
    assert (life.end, life.overwritten) == (None, True)
    assert hears(ENDED, before=30.4).end == ENDED


def test_a_cgroup_that_is_dated_too_late_is_known_by_its_first_process() -> None:
    assert hears(RUNNING, ENDED, born=99.0, pids=(13201, 13300)).end == ENDED
    assert hears(RUNNING, ENDED, born=99.0, pids=(13300,)).end is None
    assert hears(ENDED, born=99.0, pids=(13201,)).end is None


def test_podman_dates_the_end_before_the_start_of_a_short_life() -> None:
    """finishedTime is the time of conmon's exit file, startedTime is taken after the process was started."""
    ended = replace(ENDED, state=State.EXITED, started_seconds=33.6121, finished_seconds=33.6078)
    assert hears(ended, born=33.4).end == ended


def test_a_manual_start_counts_restarts_anew() -> None:
    record = replace(ENDED, state=State.EXITED, restarts=0)
    assert hears(replace(BEFORE, restarts=7), record).end == record


# -- what is kept of an end apart from the record


def said(state: State, start: float | None, restarts: int | None, pid: int | None = None) -> Metadata:
    return Metadata("podman", "a" * 64, "web", state=state, started_seconds=start, restarts=restarts, pid=pid)


def lived(restarts: int | None = 2) -> Life:
    life = Life(1000.0)
    life.hear(said(State.RUNNING, 1000.5, restarts, 7), lambda pid: True)
    assert life.started_seconds == 1000.5
    return life


@pytest.mark.parametrize(
    ("ended", "now", "runs", "code"),
    [
        pytest.param(1003, None, False, 3, id="removed"),
        pytest.param(1000, None, False, 3, id="removed, within the second of its start"),
        pytest.param(999, None, False, None, id="removed, and an earlier life's"),
        pytest.param(1003, (State.RUNNING, 1004.2, 3), False, 3, id="started again"),
        pytest.param(1003, (State.CREATED, 1000.5, 3), False, 3, id="about to be"),
        pytest.param(1003, (State.CREATED, None, 3), False, 3, id="about to be, without a start"),
        pytest.param(1004, (State.RUNNING, 1004.2, 3), True, 3, id="within a second, and it runs"),
        pytest.param(1004, (State.RUNNING, 1004.2, 3), False, None, id="within a second, and it has ended again"),
        pytest.param(1004, (State.EXITED, 1004.2, 3), True, None, id="the next end is recorded"),
        pytest.param(
            1005, (State.RUNNING, 1004.2, 3), True, None, id="the next end's, whose record is not written yet"
        ),
        pytest.param(1003, (State.RUNNING, 1004.2, 4), True, None, id="started twice again"),
        pytest.param(1003, (State.RUNNING, 1004.2, 0), True, None, id="started by hand"),
        pytest.param(1003, (State.RUNNING, 1004.2, None), True, None, id="restarts are not counted"),
    ],
)
def test_a_code_that_is_kept_is_of_this_life_or_is_left(
    ended: float, now: tuple[State, float | None, int | None] | None, runs: bool, code: int | None
) -> None:
    made = None if now is None else said(now[0], now[1], now[2], 8)
    assert lived().kept_code(ExitCode(3, ended), made, lambda pid: runs and pid == 8) == code


def test_a_code_that_is_kept_is_left_where_it_is_not_known_when_this_life_began() -> None:
    assert Life(1000.0).kept_code(ExitCode(3, 1003), None, lambda pid: True) is None
    assert lived(None).kept_code(ExitCode(3, 1003), said(State.RUNNING, 1004.0, None), lambda pid: True) is None
    later = lived()
    later.hear(said(State.RUNNING, 1004.0, 3), lambda pid: True)
    assert later.kept_code(ExitCode(3, 1003), None, lambda pid: True) is None
