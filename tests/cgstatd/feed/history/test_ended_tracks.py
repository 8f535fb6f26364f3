"""A life that is over, as one piece of bytes: what it was."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from cgstatd.feed.history.ended_tracks import aged, last_round, packed, unpacked, weigh
from cgstatd.feed.history.tracks import Mark, Track
from cgstatd.sampling.history_model import ContainerSample, Life, Subject

TEXTS = some.text(some.characters(exclude_categories=["Cs"]), max_size=20)
COUNTS = some.integers(0, (1 << 64) - 2)
LIVES = some.builds(Life, some.integers(0, 1 << 32), TEXTS, TEXTS, COUNTS)
SUBJECTS = some.builds(Subject, TEXTS, some.none() | TEXTS, some.none() | TEXTS)
MARKS = some.builds(
    Mark, some.integers(0, 200), some.sampled_from(["start", "oom", "exit"]), some.integers(0, 1 << 50),
    some.none() | COUNTS, some.none() | some.integers(-(1 << 62), 1 << 62), some.none() | some.booleans(),
)  # fmt: skip


def made(life: Life, subject: Subject, marks: list[Mark], usages: list[int | None], first: int = 5) -> Track:
    """A life that began with a round, and had one more for each of ``usages``."""
    track = Track(life, subject, first, 7)
    for number, usage in enumerate(usages, first):
        track.series.append(number, ContainerSample(number, 0, usage, 1, 0, None, 1, 2, 3, 4, 5, 1, 0, None))
        track.last = number
    track.marks, track.ended, track.oom_kills = sorted(marks, key=lambda each: each.round), True, len(marks)
    track.series.shut()
    return track


def told(track: Track) -> list[Any]:
    """All that is known of it."""
    series = track.series
    return [
        track.life, track.subject, track.serial, track.first, track.last, track.ages, track.ended, track.marks,
        track.oom_kills, series.first, series.last, series.ages, series.size, list(series.between(0, 1 << 40)),
    ]  # fmt: skip


@given(LIVES, SUBJECTS, some.lists(MARKS, max_size=4), some.lists(some.none() | COUNTS, max_size=70))
def test_it_is_what_it_was(life: Life, subject: Subject, marks: list[Mark], usages: list[int | None]) -> None:
    track = made(life, subject, marks, usages)
    data = packed(track)
    found = unpacked(data)
    assert told(found) == told(track) and found.bytes == weigh(data) and last_round(data) == track.last
    assert packed(found) == data and isinstance(found.life, Life) and isinstance(found.subject, Subject)


@given(some.lists(MARKS, max_size=4), some.integers(0, 90), some.integers(0, 120))
def test_it_ages_as_it_did_while_it_went_on(marks: list[Mark], rounds: int, oldest: int) -> None:
    track = made(Life(0, "docker", "a" * 64, 1), Subject("web", None, None), marks, [1] * rounds)
    data = packed(track)
    if track.ages < oldest:
        track.drop_before(oldest)
    assert told(unpacked(aged(data, oldest))) == told(track)
    assert aged(aged(data, oldest), track.ages) == aged(data, oldest)


def test_where_nothing_is_too_old_it_stays_the_same_piece() -> None:
    data = packed(made(Life(0, "docker", "a" * 64, 1), Subject("web", None, None), [], [1] * 10))
    assert aged(data, 5) is data and aged(data, 0) is data
