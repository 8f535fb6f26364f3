"""Pressure stall information of a v2 cgroup: ``cpu.pressure``, ``memory.pressure``, ``io.pressure``.

Since 4.20 (accounting/psi.rst). v1 has none; a kernel booted with ``psi=0`` answers EOPNOTSUPP.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..absent import Absent, Missing
from ..formats import Stall, parse_pressure
from ..pseudofs import Directory
from .reading import Reading


@dataclass(frozen=True, slots=True)
class Pressure:
    """Some: at least one task was stalled; full: all were. None: see ``missing``."""

    cpu_some: Stall | None
    cpu_full: Stall | None
    memory_some: Stall | None
    memory_full: Stall | None
    io_some: Stall | None
    io_full: Stall | None
    missing: tuple[Missing, ...]


def _stalls(reading: Reading, resource: str) -> tuple[Stall | None, Stall | None]:
    """One file's two lines."""
    name = f"{resource}.pressure"
    stalls = reading.value(f"{resource}_some", name, parse_pressure)
    if stalls is None:
        reading.lack(f"{resource}_full", name, reading.missing[-1].reason)
        return None, None
    some, full = stalls.get(b"some"), stalls.get(b"full")
    for field, stall in (("some", some), ("full", full)):
        if stall is None:
            reading.lack(f"{resource}_{field}", name, Absent.KEY_ABSENT)
    return some, full


def read(directory: Directory | None) -> Pressure:
    """The record of a v2 cgroup; ``directory`` None (no v2 hierarchy) gives a record of reasons."""
    reading = Reading(directory)
    cpu, memory, io = (_stalls(reading, resource) for resource in ("cpu", "memory", "io"))
    return Pressure(*cpu, *memory, *io, missing=tuple(reading.missing))
