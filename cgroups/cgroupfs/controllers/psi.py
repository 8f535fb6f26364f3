"""Pressure stall information of a v2 cgroup: ``cpu.pressure``, ``memory.pressure``, ``io.pressure``.

Since 4.20 (accounting/psi.rst). v1 has none; a kernel booted with ``psi=0`` answers EOPNOTSUPP.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from ..absent import Missing
from ..fields import UNIFIED, Field, declare, declared, file
from ..formats import Stall, find_stall


def _stall(resource: str, line: bytes) -> Any:
    return declare(UNIFIED, v2=file(f"{resource}.pressure", partial(find_stall, line=line)))


@dataclass(frozen=True, slots=True)
class Pressure:
    """Some: at least one task was stalled; full: all were. None: see ``missing``."""

    cpu_some: Stall | None = _stall("cpu", b"some")
    cpu_full: Stall | None = _stall("cpu", b"full")
    memory_some: Stall | None = _stall("memory", b"some")
    memory_full: Stall | None = _stall("memory", b"full")
    io_some: Stall | None = _stall("io", b"some")
    io_full: Stall | None = _stall("io", b"full")
    missing: tuple[Missing, ...] = ()


FIELDS: tuple[Field, ...] = tuple(declared(Pressure, "pressure"))
