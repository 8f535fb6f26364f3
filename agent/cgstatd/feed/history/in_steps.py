"""Gathers rounds, span by span, to the steps of an answer. One thread at a time; any thread may do it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

from ...outputs.history_json import container_counters
from ...outputs.history_types import ContainerCounters, HistoryMark
from ...sampling.history_model import ContainerSample, HostSample, Life, Subject
from ...sampling.history_work import Clocks
from . import gaps
from .marks import RUNS, Mark
from .spans import LifeRows, Round, Span, life_text
from .steps import (
    CONTAINER_GAUGES,
    CONTAINER_RATES,
    HOST_GAUGES,
    HOST_RATES,
    Figures,
    Grid,
    add_container,
    add_host,
    moved_ms,
    shown_ms,
)


class Reasons:
    """Why a step has no round."""

    def __init__(self, grid: Grid, earliest: str) -> None:
        """``earliest``: why there is none before the first round."""
        self._times = grid.timestamps
        self._half_ms = grid.half_ms
        self._found: list[str | None] = []
        self._next = earliest
        self.has = set[int]()
        """Steps that have a round."""

    def goes_on(self) -> None:
        """There were rounds before: the first one knows why there is a gap."""
        self._next = ""

    def add(self, time_ms: int, step: int, why: str | None) -> None:
        """A round, and why there was none before it."""
        if len(self._found) < len(self._times) and self._times[len(self._found)] < time_ms:
            word = self._next or why or gaps.words(0)
            while len(self._found) < len(self._times) and self._times[len(self._found)] < time_ms:
                self._found.append(word)
        self._next = ""
        if 0 <= step < len(self._times):
            self.has.add(step)

    def end(self, now_ms: int) -> list[str | None]:
        """The reason of each step; None: it has a round."""
        for time in self._times[len(self._found) :]:
            self._found.append(
                self._next if self._next else gaps.NOT_YET if time > now_ms - self._half_ms else gaps.words(0)
            )
        return [None if number in self.has else word for number, word in enumerate(self._found)]


class HostSteps:
    """The host's figures."""

    def __init__(self, grid: Grid, now: Clocks, earliest: str = gaps.BEFORE) -> None:
        self.grid = grid
        self._now = now
        self._before: HostSample | None = None
        self._boot = (0, "")
        self.figures = Figures((*HOST_RATES, *HOST_GAUGES), grid.many)
        self.reasons = Reasons(grid, earliest)

    def add(self, span: Span) -> bool:
        """The next rounds; whether later ones may count."""
        step = -1
        for each in span.rounds:
            step = self._step(each)
            boot = _boot(each)
            if 0 <= step < self.grid.many:
                add_host(self.figures, self._before if boot == self._boot else None, each.host, step)
            self._before, self._boot = each.host, boot
        return step < self.grid.many

    def _step(self, each: Round) -> int:
        time_ms = shown_ms(each.shown_ns, self._now)
        step = self.grid.step_of(time_ms)
        self.reasons.add(time_ms, step, each.why)
        return step


def _boot(each: Round) -> tuple[int, str]:
    """Counters compare where it is the same; a boot that is not known is another one in each run."""
    return (0, each.boot) if each.boot else (each.run, "")


class ContainerSteps:
    """A container's figures."""

    def __init__(
        self, grid: Grid, now: Clocks, earliest: str = gaps.BEFORE, stopped: tuple[int, str] | None = None
    ) -> None:
        """``stopped``: since when (milliseconds since the epoch) the container is there without running before its
        first mark, and the word for it; None: it is not known to have been there."""
        self.grid = grid
        self._now = now
        self._stopped = stopped
        self._marked: Mark | None = None
        """The latest mark that says whether it runs."""
        self._before: dict[tuple[str, Life], ContainerSample] = {}
        self._has = set[int]()
        self._why: dict[int, str] = {}
        self.figures = Figures((*CONTAINER_RATES, *CONTAINER_GAUGES), grid.many)
        self.reasons = Reasons(grid, earliest)
        self.marks: list[HistoryMark] = []
        self.ends: list[ContainerCounters] = []
        """The counters of the first and the last round."""
        self.latest: LifeRows | None = None

    def add(self, span: Span) -> bool:
        """The next rounds; whether later ones may count."""
        step_of, moved, step = dict[int, int](), dict[int, int](), -1
        for each in span.rounds:
            moved[each.key] = moved_ms(each.time_ms, each.shown_ns, self._now)
            time_ms = shown_ms(each.shown_ns, self._now)
            step_of[each.key] = step = self.grid.step_of(time_ms)
            self.reasons.add(time_ms, step, each.why)
        before, self._before = self._before, {}
        lives = sorted(span.lives, key=lambda each: each.first)
        span = span._replace(lives=lives)
        latest = max(step_of.values(), default=-1)  # of a mark behind the last round
        for lived in lives:
            self._add_life(lived, step_of, before)
            inside = [pair for pair in lived.marks if 0 <= step_of.get(pair[0], latest) < self.grid.many]
            self.marks += marks(lived.life, lived.subject, inside, moved)
        self._say_why(span, step_of)
        if lives:
            self.latest = lives[-1]
        return step < self.grid.many

    def _add_life(
        self, lived: LifeRows, step_of: dict[int, int], earlier: dict[tuple[str, Life], ContainerSample]
    ) -> None:
        who = (lived.boot or f"run {lived.run}", lived.life)
        before, text = self._before.get(who) or earlier.get(who), life_text(lived.boot, lived.life)
        starts = {key for key, mark in lived.marks if mark.event == "start"}
        for key, sample in lived.samples:
            step = step_of.get(key, self.grid.many)
            if step >= self.grid.many:
                continue
            if step >= 0:
                add_container(self.figures, before, sample, step, born=before is None and key in starts)
                self._has.add(step)
                self.ends[1:] = [container_counters(lived.life, lived.subject, sample, text)]
            before = sample
        if before is not None:
            self._before[who] = before

    def _say_why(self, span: Span, step_of: dict[int, int]) -> None:
        """Why the container is not in a round that there was."""
        marked = deque((key, mark) for lived in span.lives for key, mark in lived.marks if mark.event in RUNS)
        for each in span.rounds:
            key = each.key
            step = step_of[key]
            while marked and marked[0][0] <= key:
                self._marked = marked.popleft()[1]
            if 0 <= step < self.grid.many and step not in self._has:
                listed = any(lived.first <= key <= lived.last for lived in span.lives)
                if listed:
                    self._why[step] = gaps.UNREAD if each.complete else gaps.DROPPED
                else:
                    self._why[step] = self._unlisted(each, span) if each.complete else gaps.PERHAPS

    def _unlisted(self, each: Round, span: Span) -> str:
        """Why a round has not listed it."""
        if self._marked is not None:
            return gaps.RESTARTING if self._marked.restarting else gaps.STOPPED
        if self.latest is not None or any(lived.first <= lived.last < each.key for lived in span.lives):
            return gaps.STOPPED
        since_ms, word = self._stopped or (0, gaps.NO_CONTAINER)
        return word if shown_ms(each.shown_ns, self._now) >= since_ms else gaps.NO_CONTAINER

    def end(self, now_ms: int) -> list[str | None]:
        """Why a step has no figures; None: it has."""
        found = self.reasons.end(now_ms)
        return [self._why.get(step) if why is None and step not in self._has else why for step, why in enumerate(found)]


def marks(
    life: Life, subject: Subject, these: Iterable[tuple[int, Mark]], moved: Mapping[int, int]
) -> list[HistoryMark]:
    """As answers have them. ``these``: each with its key; ``moved``: key -> how far the clock was set since."""
    return [
        HistoryMark(
            event=mark.event,
            id=life.id,
            name=subject.name,
            timestamp=mark.time_ms + moved.get(key, 0),
            kills=mark.kills,
            exit_code=mark.exit_code,
            signal=mark.signal,
            oom_killed=mark.oom_killed,
            restarting=mark.restarting,
            resource=mark.wait and mark.wait.resource,
            cause=mark.wait and mark.wait.cause,
            seconds=mark.wait and mark.wait.seconds,
            limit=mark.wait and mark.wait.limit,
            throttled_percent=mark.wait and mark.wait.throttled_percent,
            health=mark.health,
        )
        for key, mark in these
    ]
