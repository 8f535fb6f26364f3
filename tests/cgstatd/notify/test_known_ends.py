"""What ended while the agent did not run, from what it knew and what the runtimes' records say."""

from __future__ import annotations

from typing import Any

import pytest

from cgstatd.feed.lives import Lives
from cgstatd.host.identity import Identity
from cgstatd.host.runtimes.base import Metadata, State
from cgstatd.notify.known_ends import FEWER, MOST, NEWS_SECONDS, KnownEnds, LatestEnd, Missed
from cgstatd.notify.rules import Rules
from cgstatd.sampling.lookup import Known, on_disk
from cgstatd.sampling.round import Changes, Ended

ID = "0f" * 32
KEY = f"docker:{ID}@0"
SINCE = 1000.0
NOW = 2000.0


def record(finished: float | None = 1500.0, code: int | None = 3, state: State = State.EXITED, **more: Any) -> Known:
    return on_disk(Metadata("docker", ID, "web", state=state, exit_code=code, finished_seconds=finished, **more))


def missed(before: LatestEnd | None, now: Known, since: float | None = SINCE, at: float = NOW) -> list[Missed]:
    return KnownEnds({} if before is None else {KEY: before}, since).compare([now], at)


def ended(metadata: Metadata | None) -> Changes:
    identity = Identity(ID, "web", "docker", 0, metadata)
    return Changes(ended=[Ended(identity, None, metadata, 3, None, None, None, False, None, None)])


KNOWN = LatestEnd(0, 900.0)
DAY = 1500 + NEWS_SECONDS
COMPARED = [
    pytest.param(None, record(), None, NOW, 0, id="the very first start: nothing on disk is news"),
    pytest.param(KNOWN, record(), SINCE, NOW, 1, id="another time than the one that was known"),
    pytest.param(LatestEnd(0, None), record(), SINCE, NOW, 1, id="it ran"),
    pytest.param(LatestEnd(0, 1500.0), record(), SINCE, NOW, 0, id="known"),
    pytest.param(LatestEnd(0, 1500.0), record(owner_uid=1000), SINCE, NOW, 1, id="the same id of another owner"),
    *(
        pytest.param(LatestEnd(0, known), record(500.0), 4000.0, NOW, 1, id=f"a clock that was set hides none: {known}")
        for known in (900.0, 5000.0, None)
    ),
    pytest.param(None, record(SINCE + 1), SINCE, NOW, 1, id="one that was not there, ended since"),
    pytest.param(None, record(SINCE - 1), SINCE, NOW, 0, id="one that was not there: its disk was mounted late"),
    pytest.param(LatestEnd(0), record(), SINCE, DAY + 1, 0, id="more than a day ago"),
    pytest.param(LatestEnd(0), record(), SINCE, DAY - 1, 1, id="less than a day ago"),
]


@pytest.mark.parametrize(("before", "now", "since", "at", "news"), COMPARED)
def test_what_is_news(before: LatestEnd | None, now: Known, since: float | None, at: float, news: int) -> None:
    assert len(missed(before, now, since, at)) == news


def test_a_missed_end_has_what_its_record_says() -> None:
    [found] = missed(KNOWN, record())
    assert (found.ended.exit_code, found.ended.absent, found.times, found.failed) == (3, None, 1, False)


def test_an_end_that_was_told_before_its_record_was_written_is_known() -> None:
    ends = KnownEnds(None, SINCE)
    ends.hear(ended(None), 1498.0)
    assert ends.compare([record()], NOW) == []
    again = KnownEnds(ends.known, NOW)
    assert again.compare([record()], NOW) == []
    assert len(again.compare([record(finished=1600.0)], NOW)) == 1


def test_an_end_that_was_found_on_disk_is_not_told_by_the_watch_once_more() -> None:
    ends = KnownEnds({KEY: LatestEnd(0)}, SINCE)
    found = record()
    assert len(ends.compare([found], NOW)) == 1
    assert ends.hear(ended(found.metadata), NOW).ended == []
    later = record(finished=1900.0).metadata
    assert len(ends.hear(ended(later), NOW).ended) == 1


def test_an_end_that_the_watch_tells_before_the_records_are_compared_is_told_once() -> None:
    ends, found = KnownEnds({KEY: LatestEnd(0)}, SINCE), record()
    assert len(ends.hear(ended(found.metadata), NOW).ended) == 1
    assert ends.compare([found], NOW) == []


def test_at_the_first_start_an_end_of_that_moment_is_told_by_the_watch() -> None:
    ends, found = KnownEnds(), record()
    assert ends.compare([found], NOW) == []
    assert len(ends.hear(ended(found.metadata), NOW).ended) == 1


@pytest.mark.parametrize(
    ("state", "before", "now", "times"),
    [
        (State.EXITED, 0, 0, 1),
        (State.EXITED, 1, 3, 3),  # on-failure:3 has given up
        (State.RESTARTING, 1, 3, 2),
        (State.EXITED, 5, 0, 1),  # started by hand meanwhile
        (State.EXITED, None, 7, 1),
    ],
)
def test_the_engines_count_says_how_often(state: State, before: int | None, now: int, times: int) -> None:
    [found] = missed(LatestEnd(0, 900.0, None, before), record(state=state, restarts=now))
    assert (found.times, found.ended.exit_code) == (times, 3)


@pytest.mark.parametrize(("restarts", "failed"), [(2, True), (0, False)])
def test_one_that_runs_again_has_no_code_and_was_a_failure_if_its_engine_has_started_it(
    restarts: int, failed: bool
) -> None:
    found = missed(LatestEnd(0, 900.0, None, 0), record(code=0, state=State.RUNNING, restarts=restarts))
    assert found[0].failed is failed and found[0].ended.exit_code is None
    rules = Rules(Lives())
    told = list(rules.missed(found))
    assert [(each.type, each.exit_code, each.count, each.reason) for each in told] == (
        [("exit", None, 2, None)] if failed else []
    )
    assert rules.unknown_ends == (0 if failed else 1)
    if failed:
        assert told[0].text == "web ended with an unknown code while the agent did not run"
        assert told[0].exit_code_absent and told[0].timestamp == 1_500_000


def test_an_end_with_0_is_none() -> None:
    assert list(Rules(Lives()).missed(missed(LatestEnd(0), record(code=0)))) == []


def test_what_is_remembered_is_bounded_and_one_user_costs_no_other_anything() -> None:
    ends = KnownEnds({KEY: LatestEnd(0, 900.0)}, SINCE)
    for n in range(2 * MOST):
        ends.hear(Changes(started=[Identity(str(n), "x", "podman", 1000, None)]), NOW)
    assert FEWER <= len(ends.known) <= MOST and KEY in ends.known


def test_the_earliest_comes_first() -> None:
    late, early = record(finished=1800.0), on_disk(Metadata("podman", "a", "a", state=State.EXITED, exit_code=1,
                                                            finished_seconds=1700.0))  # fmt: skip
    found = KnownEnds({}, SINCE).compare([late, early], NOW)
    assert [each.ended.identity.name for each in found] == ["a", "web"]
