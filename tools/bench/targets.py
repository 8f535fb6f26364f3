"""The figures that are promised, and whether a run reached them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from measure import p99
from results import FLOOR, Result, Results

STREAM = "agent, stream, 1 client"
Value = Callable[[Results, str], float | None]


@dataclass(frozen=True)
class Target:
    """``value`` (of a run, for containers that do this work) must be at most ``limit``, or at least it."""

    what: str
    limit: float
    unit: str
    value: Value
    least: bool = False

    def promised(self) -> str:
        """In words."""
        return f"{'>=' if self.least else '<='} {self.limit:g} {self.unit}"

    def verdict(self, value: float | None) -> str:
        """Of a measured value."""
        if value is None:
            return "not measured"
        return "reached" if (value >= self.limit if self.least else value <= self.limit) else "MISSED"


def _at(count: int, value: Callable[[Result], float | None]) -> Value:
    def of(results: Results, work: str) -> float | None:
        found = results.of(count, work)
        return None if found is None else value(found)

    return of


def _beside(name: str) -> Value:
    """How many times the agent's stream round another program's reading is, in the same set."""

    def of(results: Results, work: str) -> float | None:
        found = results.with_series(name, work)
        return None if found is None else found.ratio(name, STREAM)

    return of


def _growth(results: Results, work: str) -> float | None:
    few, many = results.of(100, work), results.of(1000, work)
    if few is None or many is None or STREAM not in few.series or STREAM not in many.series:
        return None
    joined = Result("", 0, "")
    joined.series = {"few": few.series[STREAM], "many": many.series[STREAM]}
    return joined.ratio("many", "few")


def _many_clients(result: Result) -> float | None:
    return result.ratio("agent, stream, 100 clients", STREAM)


def _wrong(result: Result) -> float | None:
    return float(len(result.wrong))


_POLLED = "single GET, 50 requesters, each once a second"
TARGETS = (
    *(Target(f"cgroupfs / floor, hot, {n:,}", 1.5, "x", _at(n, lambda r: r.ratio("cgroupfs, hot", "floor, hot")))
      for n in (100, 1000)),
    *(Target(f"cgroupfs / floor, paced, {n:,}", 1.3, "x", _at(n, lambda r: r.ratio("cgroupfs, paced", FLOOR)))
      for n in (100, 1000)),
    Target("agent, stream round / floor, paced, 100", 2, "x", _at(100, lambda r: r.ratio(STREAM, FLOOR))),
    Target("Docker API one-shot (less idle burn) / agent", 30, "x",
           _beside("Docker API one-shot, less idle burn"), least=True),
    Target("cAdvisor trimmed, 1 s / agent", 8, "x", _beside("cAdvisor, 1 s, trimmed"), least=True),
    Target("cAdvisor as it comes, 1 s / agent", 18, "x", _beside("cAdvisor, 1 s, as it comes"), least=True),
    Target("without clients, 100", 0.05, "% of a core", _at(100, lambda r: r.sample("without clients"))),
    Target("without clients, 1,000", 0.3, "% of a core", _at(1000, lambda r: r.sample("without clients"))),
    Target("single GET, 50 requesters, median, 100", 3, "ms", _at(100, lambda r: r.sample(_POLLED))),
    Target("single GET, 50 requesters, p99, 100", 15, "ms", _at(100, lambda r: r.sample(_POLLED, p99))),
    Target("first answer after start, 100", 300, "ms", _at(100, lambda r: r.sample("first answer after start"))),
    Target("first answer for a container 1 s old, 100", 300, "ms",
           _at(100, lambda r: r.sample("first answer for a container 1 s old", max))),
    Target("start to first answer, 100", 500, "ms", _at(100, lambda r: r.sample("start to first answer"))),
    Target("100 clients of the stream / one, 100", 4, "x", _at(100, _many_clients)),
    Target("stream round per container, 1,000 / 100", 1.2, "x", _growth),
    Target("resident, 100", 45, "MB", _at(100, lambda r: r.sample("resident at the end", max))),
    Target("resident, 1,000", 60, "MB", _at(1000, lambda r: r.sample("resident at the end", max))),
    Target("containers or events missing at 5,000", 0, "", _at(5000, _wrong)),
)  # fmt: skip


def verdicts(results: Results) -> list[tuple[str, str, float | None, str]]:
    """(what, promised, measured, verdict) for each kind of work that was measured, and each target."""
    found = []
    works = sorted({each.work for each in results.sets}, reverse=True)
    for work in works:
        for target in TARGETS:
            value = target.value(results, work)
            found.append((f"{target.what} ({work})" if len(works) > 1 else target.what, target.promised(), value,
                          target.verdict(value)))  # fmt: skip
    return found
