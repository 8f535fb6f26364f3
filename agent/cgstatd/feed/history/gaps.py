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
    STOPPED = 5
    KILLED = 6
    REBOOTED = 7
    LOST = 8
    CUT = 9


WORDS = {
    Gap.NONE: "there was no round",
    Gap.RESTRAINED: "restrained: readings cost more than max_cpu allows",
    Gap.ASLEEP: "the host was asleep",
    Gap.FAILED: "the containers could not be listed or read",
    Gap.BUSY: "the round before was still under way, or the host too busy",
    Gap.STOPPED: "the agent was not running",
    Gap.KILLED: "the agent was not running: it was killed, and rounds that it had not written yet are lost",
    Gap.REBOOTED: "the host was off or restarted",
    Gap.CUT: "the host was off or restarted, and rounds that the agent had not written yet are lost",
    Gap.LOST: "rounds of that time are lost: the disk could not take them, or the file was broken",
}
NO_LONGER = "rounds of that time are no longer kept"
BEFORE = "the agent was not running, or keeps no rounds of that time any more"
NOT_YET = "this round is still to come"
NO_CONTAINER = "there was no such container"
STOPPED = "the container did not run"
RESTARTING = "the container was restarting: it had ended, and its runtime was to start it again"
UNREAD = "the container could not be read in that round"
DROPPED = "dropped to save memory or disk"
PERHAPS = f"{NO_CONTAINER}, or it was {DROPPED}"
SILENT = "the disk with the rounds of that time does not answer"


def words(number: int | None) -> str:
    """The sentence of a number that a round keeps."""
    return next((text for gap, text in WORDS.items() if gap == number), WORDS[Gap.NONE])
