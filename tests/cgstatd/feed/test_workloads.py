"""What /metrics says of workloads: those that run, are on disk, or have ended lately."""

from __future__ import annotations

from typing import Any

import pytest

from cgstatd.feed.lives import Lives
from cgstatd.feed.workloads import workloads_of
from cgstatd.host.identity import Identity
from cgstatd.host.runtimes.base import Metadata, State
from cgstatd.outputs.workload_families import WORKLOAD_FAMILIES, WorkloadMetrics, workload_lines
from cgstatd.sampling.lived import Lived, Terminated
from cgstatd.sampling.lookup import on_disk
from cgstatd.sampling.round import Changes, Ended

NOW = 2e9
SHOP = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}


def stored(name: str = "web", number: int = 1, **more: Any) -> Metadata:
    return Metadata("docker", f"{number:064x}", name, **({"state": State.EXITED} | more))


@pytest.fixture
def lives() -> Lives:
    found = Lives(lambda: 1e6, lambda: NOW)
    found.complete = True
    return found


def hear(lives: Lives, identity: Identity, code: int) -> None:
    lives.hear(Changes(ended=[Ended(identity, None, None, code, None, None, None, False, None, None)]))


def ended(lives: Lives, metadata: Metadata, code: int) -> None:
    hear(lives, Identity(metadata.id, metadata.name, metadata.runtime, metadata.owner_uid, metadata), code)


def told(lives: Lives, *several: Metadata) -> list[WorkloadMetrics]:
    found, left_out = workloads_of(map(on_disk, several), {}, lives.view())
    assert not left_out
    return found


def test_one_that_is_on_disk_has_what_its_runtime_says_of_its_end(lives: Lives) -> None:
    [found] = told(lives, stored(exit_code=3, restarts=2, finished_seconds=5.0))
    assert found[:4] == ("web", "docker:web", 0, State.EXITED) and found.kills == 0
    assert found.lived == Lived(2, False, Terminated(f"{1:064x}", 3, finished_seconds=5.0))


def test_one_that_is_started_or_made_anew_and_does_not_run_yet_keeps_the_end_before(lives: Lives) -> None:
    """Its record may say already that it runs, and there is no cgroup of it yet."""
    ended(lives, stored(), 3)
    for state, number in ((State.RUNNING, 1), (State.CREATED, 2)):
        [found] = told(lives, stored("web", number, state=state, started_seconds=NOW + 1))
        assert found.state is state and found.lived.last is not None and found.lived.last.exit_code == 3
    [never] = [
        each for each in told(lives, stored("other", 3, state=State.CREATED, exit_code=127)) if each.name != "web"
    ]
    assert never.name == "other" and never.lived.last is None


def test_of_two_of_one_name_and_workload_the_one_counts_that_ended_last(lives: Lives) -> None:
    several = [
        stored("web", number, labels=SHOP, exit_code=number, finished_seconds=10.0 + number) for number in (2, 1)
    ]
    [found] = told(lives, *several)
    assert found.lived.last is not None and found.lived.last.exit_code == 2
    assert len(told(lives, several[0], stored("1f_web", 1, labels=SHOP))) == 2, "another name is another series"


def test_what_is_gone_is_told_once_and_not_beside_one_that_is_there(lives: Lives) -> None:
    hear(lives, Identity("ab" * 32, "abab", "docker", 0, None), 3)  # known by its id alone: no series
    ended(lives, stored("job"), 3)
    [found] = told(lives)
    assert (found.name, found.workload, found.state) == ("job", "docker:job", State.EXITED)
    assert [each.state for each in told(lives, stored("job", 2, state=State.CREATED))] == [State.CREATED]


def test_what_is_not_known_is_no_series() -> None:
    nothing = WorkloadMetrics("a", "lxc:a", 0, State.UNKNOWN, Lived(None, None, None))
    unknown = WorkloadMetrics("b", "lxc:b", 0, State.EXITED, Lived(None, None, Terminated("b", None, "why")))
    lines = [line for family in workload_lines([nothing, unknown], True) for line in family if line[0] != "#"]
    assert lines == ['container_state{name="b",workload="lxc:b",state="exited"} 1']


def test_every_family_is_written_and_labels_are_input() -> None:
    last = Terminated("a", 137, oom_killed=True, finished_seconds=5.0)
    whole = WorkloadMetrics('x"\n', "docker:x\\", 0, State.RUNNING, Lived(3, True, last), "healthy", 2)
    families = list(workload_lines([whole], True))
    assert [lines[0].split()[2] for lines in families] == [name for name, *_ in WORKLOAD_FAMILIES]
    assert all('{name="x\\"\\n",workload="docker:x\\\\"' in lines[2] and len(lines) == 3 for lines in families)
