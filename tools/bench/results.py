"""What was measured of one set of containers, and all sets of a run: asked by name, written and read as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from measure import Samples, Series, median, p99, spread

FLOOR = "floor, paced"


@dataclass
class Result:
    """One set: so many containers of a kind that do something."""

    kind: str
    count: int
    work: str
    series: dict[str, Series] = field(default_factory=dict)
    samples: dict[str, Samples] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    """What was missing in a whole answer of the agent."""
    others: int = 0
    """The most containers of somebody else's that were on the host meanwhile."""
    interfaces: bool = True

    @property
    def label(self) -> str:
        """Its name in tables."""
        return f"{self.count} {self.work} {self.kind}"

    def add(self, measured: Series | Samples) -> None:
        """More rounds of a subject, or its first."""
        if isinstance(measured, Series):
            series = self.series.setdefault(measured.name, Series(measured.name, measured.unit))
            series.cpu += measured.cpu
            series.wall += measured.wall
        else:
            samples = self.samples.setdefault(measured.name, Samples(measured.name, measured.unit))
            samples.values += measured.values

    def ratio(self, name: str, base: str) -> float | None:
        """CPU of one subject over another's, medians; None where one was not measured."""
        if name not in self.series or base not in self.series:
            return None
        return median(self.series[name].cpu) / median(self.series[base].cpu)

    def sample(self, name: str, pick: Callable[[Sequence[float]], float] = median) -> float | None:
        """One figure of some samples; ``name`` is how theirs begins."""
        found = next((each for key, each in self.samples.items() if key.startswith(name)), None)
        return pick(found.values) if found else None

    def as_json(self) -> dict[str, Any]:
        """Medians and spread."""
        return {
            "count": self.count,
            "series": {
                each.name: {
                    "cpu_us": median(each.cpu), "quartiles": spread(each.cpu), "wall_us": median(each.wall),
                    "per": each.unit, "rounds": len(each.cpu),
                } for each in self.series.values()
            },
            "samples": {
                each.name: {
                    "median": median(each.values), "quartiles": spread(each.values), "p99": p99(each.values),
                    "unit": each.unit, "values": len(each.values),
                } for each in self.samples.values()
            },
            "wrong": self.wrong, "others": self.others,
        }  # fmt: skip


class Results:
    """All sets of a run."""

    def __init__(self, sets: Iterable[Result] = ()) -> None:
        self.sets = list(sets)

    def of(self, count: int, work: str) -> Result | None:
        """The set of cgroups of ours of that size."""
        return next((s for s in self.sets if (s.kind, s.count, s.work) == ("cgroups", count, work)), None)

    def with_series(self, name: str, work: str) -> Result | None:
        """A hundred containers of which a subject was measured, real ones rather than ours: it was made for those."""
        found = [s for s in self.sets if name in s.series and s.work == work and s.count == 100]
        return max(found, key=lambda s: s.kind != "cgroups", default=None)
