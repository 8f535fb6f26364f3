"""From two looks to what each container waits for, and what it is that makes it wait. Pure."""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterator
from typing import NamedTuple

from ...host.identity import Identity
from .looks import Grown, Look

WAITS = {"cpu": 0.1, "memory": 0.05, "io": 0.1}
"""Shares of the time. Who waited less is left out: the host's pressure is not its own."""
EXPLAINS = 0.5
"""Of the wait. What is busy for a smaller share of the time than this part of the share that is waited is not what is
waited for, whoever uses it: programs wait for a processor or a disk while it is busy."""
MOST_SHARES = 3
MOST_JUDGED = 100
"""Containers that get a verdict, for each resource."""


class Cause(enum.Enum):
    """Why a container waits."""

    OWN_LIMIT = "own_limit"
    ABOVE_LIMIT = "ancestor_limit"
    ITSELF = "itself"
    """It wants more than the host has, and the others take little."""
    NEIGHBOURS = "neighbours"
    UNKNOWN = "unknown"
    """What was looked at does not explain the wait: the verdict has the figures."""


class Share(NamedTuple):
    """What one container has of the resource, or (``identity`` None) all processes outside of containers together."""

    identity: Identity | None
    amount: float
    """Processors, bytes of memory, or bytes a second read and written."""


class Verdict(NamedTuple):
    """One container that waits for one resource."""

    identity: Identity
    resource: str
    cause: Cause
    stalled: float | None
    """The share of the time in which at least one of its tasks waited, 0 to 1; None: this kernel does not say."""
    limit: str = ""
    """The file of the limit (``cpu.max``), where one is the cause."""
    limit_value: float | None = None
    """Processors, bytes, bytes or operations a second."""
    cgroup: str = ""
    """Whose limit it is."""
    throttled: float | None = None
    """The share of the quota's periods in which it was throttled."""
    refaults: float | None = None
    """Pages a second."""
    device: str = ""
    """``major:minor``."""
    own: float | None = None
    """What it has of the resource itself, in the unit of its shares."""
    shares: tuple[Share, ...] = ()
    """The neighbours that have the most of it, the greatest first."""
    busy: float | None = None
    """The share of the time in which the processors that it may use, or the device, had something to do."""
    stolen: float | None = None
    """The share of the time that a hypervisor took of these processors."""
    available: int | None = None
    """Bytes of the host's memory that programs can still have."""
    total: int | None = None
    """Bytes of the host's memory."""

    @property
    def lacks(self) -> str:
        """The resource that it has too little of. Who reads back what was dropped waits for a disk and lacks memory."""
        return "memory" if self.refaults is not None or self.limit.startswith("memory.") else self.resource


class Subject(NamedTuple):
    """One container between the two looks."""

    identity: Identity
    path: str
    grown: Grown


class Between(NamedTuple):
    """The two looks, joined."""

    before: Look
    after: Look
    subjects: list[Subject]
    outermost: list[Subject]
    """Those that are in no other one."""

    def above(self, path: str) -> Iterator[tuple[str, Grown]]:
        """The cgroups that a path is in, the nearest first."""
        for outer in ancestors(path):
            before, after = self.before.above.get(outer), self.after.above.get(outer)
            if before is not None and after is not None:
                yield outer, Grown(before, after)

    def others(self, subject: Subject) -> list[Subject]:
        """Those that are neither it, nor in it, nor around it, nor in one another: nothing counts twice."""
        return [
            each
            for each in self.outermost
            if not within(each.path, subject.path) and not within(subject.path, each.path)
        ]


def within(path: str, outer: str) -> bool:
    """Whether a cgroup is another one or below it."""
    return path == outer or path.startswith(outer + "/")


def greatest(amounts: Collection[Share], least: float) -> tuple[Share, ...]:
    """Those that are worth naming."""
    worth = [each for each in amounts if each.amount > least]
    return tuple(sorted(worth, key=lambda share: -share.amount)[:MOST_SHARES])


def joined(before: Look, after: Look) -> Between:
    """What both looks have seen: a container that came or went meanwhile tells nothing."""
    subjects = [
        Subject(identity, path, Grown(before.containers[key][2], counted))
        for key, (identity, path, counted) in after.containers.items()
        if key in before.containers
    ]
    paths = {each.path for each in subjects}
    outermost = [each for each in subjects if not any(path in paths for path in ancestors(each.path))]
    return Between(before, after, subjects, outermost)


def ancestors(path: str) -> Iterator[str]:
    """The paths above a cgroup's, the nearest first, without the root."""
    while path := path.rpartition("/")[0]:
        yield path


def verdicts(before: Look, after: Look, resources: Collection[str]) -> list[Verdict]:
    """Of those resources, the one that waited longest first."""
    from . import cpu, disk, memory  # noqa: PLC0415 - they take their words from here

    between = joined(before, after)
    found: list[Verdict] = []
    for resource, judge in (("cpu", cpu.verdict), ("memory", memory.verdict), ("io", disk.verdict)):
        if resource in resources:
            judged = [judge(each, between) for each in _longest(between.subjects, resource)]
            found += [said for said in judged if said is not None and not _told(said, found)]
    return sorted(found, key=lambda said: -(said.stalled or said.throttled or 0.0))


def _told(said: Verdict, found: Collection[Verdict]) -> bool:
    """Whether it is told already, of a kernel that does not say what is waited for: the same want, by the memory limit
    and by the disk that is read for it."""
    return said.stalled is None and any((each.identity, each.lacks) == (said.identity, said.lacks) for each in found)


def _longest(subjects: list[Subject], resource: str) -> list[Subject]:
    """Those that may be worth a verdict. Each is compared with all others: no more of them than MOST_JUDGED."""
    waited = [(each.grown.stalled(resource), each) for each in subjects]
    kept = [(share, each) for share, each in waited if share is None or share >= WAITS[resource]]
    kept.sort(key=lambda one: -(one[1].grown.throttled_share if one[0] is None else one[0]))
    return [each for _, each in kept[:MOST_JUDGED]]
