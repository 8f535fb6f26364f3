"""A container that its engine is just starting: the cgroup is there, the state on disk is of before."""

from __future__ import annotations

import pytest

from cgroupfs import MAX, Limit
from cgstatd.host.runtimes.base import Metadata, State
from cgstatd.host.starting import UNTOLD_NS, behind, limit_in_force, living, prepares, promised_limit

A = "a" * 64
BEFORE = (State.CREATED, State.EXITED, State.RESTARTING)
NOW = (State.RUNNING, State.PAUSED)


def meta(state: State, limit: int | None = 64) -> Metadata:
    return Metadata(
        "docker", A, "web", state=state, started_seconds=1.0, exit_code=137, oom_killed=True, memory_limit_bytes=limit
    )


@pytest.mark.parametrize("state", BEFORE)
def test_how_the_life_before_went_is_not_said_of_a_living_container(state: State) -> None:
    found = living(meta(state))
    assert behind(meta(state))
    assert found is not None
    assert (found.state, found.exit_code, found.started_seconds, found.oom_killed) == (State.RUNNING, None, None, None)
    assert (found.name, found.memory_limit_bytes) == ("web", 64)


@pytest.mark.parametrize("state", [*NOW, State.UNKNOWN])
def test_a_living_container_never_has_an_exit_code_but_its_start(state: State) -> None:
    found = living(meta(state))
    assert found is not None
    assert (found.state, found.exit_code, found.started_seconds) == (state, None, 1.0)
    assert living(found) is found


def test_without_metadata_there_is_nothing_to_leave_out() -> None:
    assert living(None) is None
    assert not behind(None)
    assert promised_limit(None, 0) is None


@pytest.mark.parametrize(
    ("state", "age_ns", "promised"),
    [
        *((state, age, 64) for state in BEFORE for age in (None, 0, UNTOLD_NS)),
        *((state, age, None) for state in NOW for age in (None, 0)),
        (State.UNKNOWN, 0, 64),
        (State.UNKNOWN, UNTOLD_NS, None),
        (State.UNKNOWN, None, None),
    ],
)
def test_a_limit_is_promised_until_the_engine_writes_that_the_container_runs(
    state: State, age_ns: int | None, promised: int | None
) -> None:
    assert promised_limit(meta(state), age_ns) == promised
    assert promised_limit(meta(state, None), age_ns) is None


@pytest.mark.parametrize(
    ("kernel", "promised", "shown"),
    [
        (MAX, 64, 64),
        (None, 64, 64),
        (0, 64, 64),
        (32, 64, 32),
        (128, 64, 128),
        (MAX, None, MAX),
        (None, None, None),
        (0, None, 0),
    ],
)
def test_the_kernels_limit_counts_once_it_has_one(kernel: Limit, promised: int | None, shown: Limit) -> None:
    assert limit_in_force(kernel, promised) == shown


@pytest.mark.parametrize(
    ("program", "own"),
    [
        ("runc:[0:PARENT]", True),
        ("runc:[2:INIT]", True),
        ("youki:[2:INIT]", True),
        ("crun", True),
        ("exe", True),
        ("memfd:runc_clon", True),
        ("6", True),
        ("memfd:other", False),
        ("sh", False),
        ("crund", False),
        ("my-runc", False),
        ("", False),
    ],
)
def test_a_runtimes_own_process_is_known_by_its_name(program: str, own: bool) -> None:
    assert prepares(program) is own
