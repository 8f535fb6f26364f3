"""Processes and threads of a cgroup: ``pids.current``, ``pids.max``, ``pids.peak`` (since 6.3), the same on v1 and v2
(cgroup-v1/pids.rst)."""

from __future__ import annotations

from dataclasses import dataclass

from ..absent import Limit, Missing
from ..formats import parse_limit, parse_value
from ..pseudofs import Directory
from .reading import Reading


@dataclass(frozen=True, slots=True)
class Pids:
    """How many tasks the cgroup and everything below it have. None: see ``missing``."""

    current: int | None
    max: Limit
    peak: int | None
    missing: tuple[Missing, ...]


def read(directory: Directory | None) -> Pids:
    """The record of a cgroup with the pids controller."""
    reading = Reading(directory)
    return Pids(
        current=reading.value("current", "pids.current", parse_value),
        max=reading.value("max", "pids.max", parse_limit),
        peak=reading.value("peak", "pids.peak", parse_value),
        missing=tuple(reading.missing),
    )
