"""Which files hung a short time ago."""

from __future__ import annotations

from cgstatd.feed.known_hangs import REMEMBERED_SECONDS, KnownHangs


def test_a_file_is_known_for_a_minute_after_it_hung_last() -> None:
    now = [100.0]
    known = KnownHangs(lambda: now[0])
    known.note("")  # a file whose name is not known
    assert not known and "/a" not in known and "" not in known
    known.note("/a")
    now[0] += REMEMBERED_SECONDS / 2
    known.note("/b")
    known.note("/a")
    now[0] += REMEMBERED_SECONDS - 1
    assert known and "/a" in known and "/b" in known
    now[0] += 1
    assert not known and "/a" not in known


def test_the_oldest_are_forgotten_where_there_are_many() -> None:
    known = KnownHangs(lambda: 0.0)
    for number in range(1000):
        known.note(f"/{number}")
    assert "/999" in known and "/0" not in known and len(known._until) <= 64
