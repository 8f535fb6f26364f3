"""Why there are no figures at some time: of the host (no round), of a container (it was not in the round)."""

from __future__ import annotations

from enum import IntEnum


class Gap(IntEnum):
    """Why points of the grid had no round. The number is what a round keeps of it."""

    NONE = 0
    RESTRAINED = 1
    ASLEEP = 2
    FAILED = 3
    BUSY = 4


WORDS = {
    Gap.NONE: "there was no round",
    Gap.RESTRAINED: "restrained: readings cost more than max_cpu allows",
    Gap.ASLEEP: "the host was asleep",
    Gap.FAILED: "the containers could not be listed",
    Gap.BUSY: "the round before was still under way, or the host too busy",
}
BEFORE = "the agent was not running, or keeps no rounds of that time any more"
NOT_YET = "this round is still to come"
NO_CONTAINER = "there was no such container"
UNREAD = "the container could not be read in that round"
DROPPED = "dropped to save memory"


def words(number: int | None) -> str:
    """The sentence of a number that a round keeps."""
    return next((text for gap, text in WORDS.items() if gap == number), WORDS[Gap.NONE])
