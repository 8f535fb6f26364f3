"""What is remembered of containers that ended."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from cgstatd.feed.follow.last_words import KEPT, KEPT_BYTES, KEPT_SECONDS, LastWords, without_labels
from cgstatd.host.identity import Identity
from cgstatd.host.runtimes.base import Metadata
from cgstatd.outputs.follow_types import FollowExit

PROJECT = "com.docker.compose.project"


def ended(number: int, uid: int = 0, name: str = "web", /, **labels: str) -> tuple[FollowExit, Any]:
    made = Metadata("docker", f"{number:064x}", name, labels=labels, owner_uid=uid)
    identity = Identity(made.id, name, "docker", uid, made)
    event = FollowExit(id=made.id, name=name, runtime="docker", exit_code=0, oom_killed=None, last=None, timestamp=0)
    return event, SimpleNamespace(identity=identity)


def test_a_container_is_remembered_for_some_minutes_without_its_labels() -> None:
    now = [0.0]
    words = LastWords(lambda: now[0])
    event, what = ended(1, app="web", **{PROJECT: "shop"})
    words.add(event, what)
    [(identity, kept)] = words.all()
    assert kept is event and words.get(event.id) is event
    assert identity.metadata is not None
    assert identity.metadata.labels == {PROJECT: "shop"} and identity.metadata.labels_left_out
    plain = ended(1)[1].identity
    assert without_labels(plain) is plain
    now[0] = KEPT_SECONDS + 1
    assert words.all() == [] and words.get(event.id) is None


def test_so_many_are_remembered_and_the_latest_end_of_each() -> None:
    words = LastWords()
    for number in range(KEPT + 10):
        words.add(*ended(number))
    words.add(*ended(10))
    kept = [int(identity.id, 16) for identity, _ in words.all()]
    assert kept == [*range(11, KEPT + 10), 10]


def test_what_is_remembered_has_so_many_bytes_and_whoever_has_most_gives_way() -> None:
    words = LastWords()
    for number in range(10):
        words.add(*ended(number, 0))
    for number in range(100, 400):
        words.add(*ended(number, 1000, "x" * (KEPT_BYTES // 100)))
    owners = [identity.owner_uid for identity, _ in words.all()]
    assert owners.count(0) == 10 and 20 < owners.count(1000) < 100
    alone = LastWords()
    alone.add(*ended(1))
    alone.add(*ended(2, 0, "x" * 2 * KEPT_BYTES))
    assert len(alone.all()) == 1, "one that is larger than all may be"
