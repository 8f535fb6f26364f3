"""From the fields of the library's records to values with their source, or the reason why there is none."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from msgspec import UNSET, UnsetType

from cgroupfs import FIELDS, Absent, Max, Missing

from ..sampling.container_detail import Detail
from ..sampling.model import MEMORY_OFF
from ..sampling.rates import round_half_up
from .detail_types import Value

MEMORY_NOT_HERE = "the memory controller is not enabled for this cgroup"


def absent(reason: str, source: str, unit: str | UnsetType = UNSET) -> Value:
    """A value that is not there."""
    return Value(absent=reason, source=source, unit=unit)


class Records:
    """Makes values out of one record's fields."""

    def __init__(self, detail: Detail, name: str, missing: tuple[Missing, ...]) -> None:
        self._detail = detail
        self._name = name
        self._missing = {each.field: each for each in missing}

    def value(self, name: str, value: Any, unit: str | UnsetType = UNSET) -> Value:
        """``name``: of the field; ``unit``: where it is shown in another one than the library's."""
        field, cgroup = FIELDS[name], self._detail.cgroup
        unit = unit or field.unit or UNSET
        if unit == "nanoseconds":  # finer than v2 counts
            unit, value = "microseconds", None if value is None else value // 1000
        if value is None:
            missing = self._missing.get(name)
            reason = missing.reason if missing else Absent.FILE_ABSENT
            source = cgroup.host_path(missing.path) if missing else cgroup.source(name)
            return absent(self._words(reason), source, unit)
        if isinstance(value, Max):
            value = "max"
        elif isinstance(value, frozenset):
            value = sorted(value)
        return Value(value=value, unit=unit, source=cgroup.source(name))

    def _words(self, reason: Absent) -> str:
        if self._name != "memory":
            return reason.value
        if not self._detail.memory_controller:
            return MEMORY_OFF
        if self._detail.memory.usage_bytes is None and reason in (Absent.FILE_ABSENT, Absent.CONTROLLER_OFF):
            return MEMORY_NOT_HERE
        return reason.value

    def all(self, record: Any, prefix: str) -> dict[str, Value]:
        """Every plain field of a record, by its camel-case name."""
        return {
            camel(each.name.replace("_nsec", "_usec")): self.value(name, getattr(record, each.name))
            for each in fields(record)
            if (name := f"{prefix}.{each.name}") in FIELDS
        }


def camel(name: str) -> str:
    """``usage_usec`` -> ``usageUsec``"""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def ratio(part: float | None, whole: float | None, source: str, lacking: str) -> Value:
    """A share in percent; ``lacking``: why there is none."""
    if part is None or not whole:
        return absent(lacking, source, "percent")
    return Value(value=round_half_up(part / whole * 100), unit="percent", source=source)
