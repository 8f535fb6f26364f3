"""From the fields of the library's records to values that say where they come from, or why they are not there."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from msgspec import UNSET, UnsetType

from cgroupfs import Absent, Max, Missing

from ..derive import round_half_up
from ..detail import Detail
from ..sample import MEMORY_OFF
from .detail_types import Value

MEMORY_NOT_HERE = "the memory controller is not enabled for this cgroup"
_UNITS = {"usec": "microseconds", "bytes": "bytes", "percent": "percent"}
_COUNTS = ("pg", "workingset_")


def absent(reason: str, source: str, unit: str | UnsetType = UNSET) -> Value:
    """A value that is not there."""
    return Value(absent=reason, source=source, unit=unit)


def _unit(field: str) -> str | UnsetType:
    return _UNITS.get(field.rpartition("_")[2], UNSET)


class Records:
    """Makes values out of one record's fields."""

    def __init__(self, detail: Detail, name: str, missing: tuple[Missing, ...]) -> None:
        self._detail = detail
        self._name = name
        self._missing = {each.field: each for each in missing}

    def value(self, field: str, value: Any, key: str, unit: str | UnsetType = UNSET) -> Value:
        """``field``: as in ``missing``; ``key``: as the library names its source."""
        if value is None:
            missing = self._missing.get(field)
            reason = missing.reason if missing else Absent.FILE_ABSENT
            cgroup = self._detail.cgroup
            source = cgroup.host_path(missing.path) if missing else cgroup.source(key)
            return absent(self._words(reason), source, unit)
        if isinstance(value, Max):
            value = "max"
        elif isinstance(value, frozenset):
            value = sorted(value)
        return Value(value=value, unit=unit, source=self._detail.cgroup.source(key))

    def _words(self, reason: Absent) -> str:
        if self._name != "memory":
            return reason.value
        if not self._detail.memory_controller:
            return MEMORY_OFF
        if self._detail.memory.usage_bytes is None and reason in (Absent.FILE_ABSENT, Absent.CONTROLLER_OFF):
            return MEMORY_NOT_HERE
        return reason.value

    def all(self, record: Any, prefix: str, unit: str | UnsetType | None = None) -> dict[str, Value]:
        """Every plain field of a record, by its camel-case name."""
        found = {}
        for field in fields(record):
            if field.name not in ("missing", "stat", "events"):
                value = getattr(record, field.name)
                of = _unit(field.name) if unit is None else unit
                if unit == "bytes" and field.name.startswith(_COUNTS):
                    of = UNSET
                found[camel(field.name)] = self.value(field.name, value, f"{prefix}.{field.name}", of)
        return found


def camel(name: str) -> str:
    """``usage_usec`` -> ``usageUsec``"""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def ratio(part: float | None, whole: float | None, source: str, lacking: str) -> Value:
    """A share in percent; ``lacking``: why there is none."""
    if part is None or not whole:
        return absent(lacking, source, "percent")
    return Value(value=round_half_up(part / whole * 100), unit="percent", source=source)
