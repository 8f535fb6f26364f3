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


def test_how_the_life_before_went_is_not_said_of_a_living_container() -> None:
    for state in BEFORE:
        found = living(meta(state))
        assert behind(meta(state)) and found is not None
        assert (found.state, found.exit_code, found.started_seconds) == (State.RUNNING, None, None)
        assert (found.name, found.memory_limit_bytes, found.oom_killed) == ("web", 64, None)
    for state in (*NOW, State.UNKNOWN):
        found = living(meta(state))
        assert found is not None and living(found) is found
        assert (found.state, found.exit_code, found.started_seconds) == (state, None, 1.0)
    assert living(None) is None and not behind(None) and promised_limit(None, 0) is None


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
        *((kernel, 64, 64) for kernel in (MAX, None, 0)),
        *((kernel, None, kernel) for kernel in (MAX, None, 0)),
        *((kernel, 64, kernel) for kernel in (32, 128)),
    ],
)
def test_the_kernels_limit_counts_once_it_has_one(kernel: Limit, promised: int | None, shown: Limit) -> None:
    assert limit_in_force(kernel, promised) == shown


OWN = ("runc:[0:PARENT]", "runc:[2:INIT]", "youki:[2:INIT]", "crun", "exe", "memfd:runc_clon", "6")


@pytest.mark.parametrize("program", [*OWN, "memfd:other", "sh", "crund", "my-runc", ""])
def test_a_runtimes_own_process_is_known_by_its_name(program: str) -> None:
    assert prepares(program) is (program in OWN)
