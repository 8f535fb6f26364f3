"""Processes and threads of a cgroup: ``pids.current``, ``pids.max``, ``pids.peak`` (since 6.3), the same on v1 and v2
(cgroup-v1/pids.rst)."""

from __future__ import annotations

from dataclasses import dataclass

from ..absent import Limit, Missing
from ..fields import Field, both, declared, file
from ..formats import parse_limit, parse_value


@dataclass(frozen=True, slots=True)
class Pids:
    """How many tasks the cgroup and everything below it have. None: see ``missing``."""

    current: int | None = both("pids", "", file("pids.current", parse_value), idles=True)
    max: Limit = both("pids", "", file("pids.max", parse_limit))
    peak: int | None = both("pids", "", file("pids.peak", parse_value))
    missing: tuple[Missing, ...] = ()


FIELDS: tuple[Field, ...] = tuple(declared(Pids, "pids"))
