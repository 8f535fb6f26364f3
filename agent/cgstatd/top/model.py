"""The containers that are known, and which of them are shown: pure, no terminal."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..basics.text import printable
from ..outputs.follow_types import FollowExit, FollowFailed, FollowHello, FollowOom, FollowRound, FollowStat
from ..outputs.history_types import HistoryLines
from ..outputs.host_json import HostAnswer
from ..outputs.identity_json import ContainerIdentity
from ..outputs.pressure_types import FollowPressure
from ..outputs.table import total
from .events import Event

POINTS = 120
ENDED_SECONDS = 20.0
"""How long a container that ended stays, marked."""
Key = tuple[str, int, str]


def _lines() -> deque[float | None]:
    return deque(maxlen=POINTS)


@dataclass(slots=True)
class Entry:
    """One container: its latest figures, and those of the last rounds."""

    stat: FollowStat
    cpu: deque[float | None] = field(default_factory=_lines)
    memory: deque[float | None] = field(default_factory=_lines)
    network: deque[float | None] = field(default_factory=_lines)
    disk: deque[float | None] = field(default_factory=_lines)
    ended: FollowExit | None = None
    until: float = 0.0
    late: bool = False
    """It is there, and was not read in the latest round."""

    def line(self, name: str) -> deque[float | None]:
        """The line of cpu, memory, network or disk."""
        found: deque[float | None] = getattr(self, name)
        return found


_FIGURES: dict[str, Callable[[FollowStat], float | None]] = {
    "cpu": lambda stat: stat.cpu_percent,
    "memory": lambda stat: stat.memory_usage,
    "network": lambda stat: total(stat.network_rx_rate, stat.network_tx_rate),
    "disk": lambda stat: total(stat.block_read_rate, stat.block_write_rate),
}
_HISTORY = {
    "cpu": ("cpuPercent",),
    "memory": ("memoryUsage",),
    "network": ("networkRxRate", "networkTxRate"),
    "disk": ("blockReadRate", "blockWriteRate"),
}
"""What each line is the sum of in the history."""
COLUMNS: dict[str, Callable[[FollowStat], float | str | None]] = {
    "name": lambda stat: stat.name.casefold(),
    **_FIGURES,
    "pids": lambda stat: stat.pids,
}
"""What can be sorted by."""


class Model:
    """Takes events; gives rows."""

    def __init__(self, sort: str = "cpu") -> None:
        self.entries: dict[Key, Entry] = {}
        self.host: HostAnswer | None = None
        self.sort = sort
        self.reverse = sort != "name"
        self.filter = ""
        self.state = "connecting"
        self.interval = 1.0
        self.apart = 0.0
        """Seconds between rounds at present; more than the interval where readings cost more than they may."""
        self.at_ms = 0
        """When the latest round was, by the clock of the agent; 0: there was none."""
        self.last_event = ""
        self.asked = False
        """Whether it has failed to answer at least once."""
        self.rounds = 0
        self._round: dict[Key, FollowStat] = {}

    def take(self, event: Event, now: float | None = None) -> bool:
        """One event; whether there is something new to show."""
        now = time.monotonic() if now is None else now
        match event:
            case FollowHello():
                self.state, self.interval = "live", event.interval
            case FollowStat():
                self._round[_key(event)] = event
                return False
            case FollowRound():
                self.apart, self.at_ms = event.effective_interval, event.timestamp
                self._end_round(now, frozenset(event.late))
            case FollowFailed():
                self.say(f"no figures: {event.error}")
            case FollowOom():
                self.say(f"{event.name}: OOM-killed")
            case FollowPressure():
                for wait in event.waits[:1]:
                    self.say(wait.text)
            case ContainerIdentity():
                self.say(f"{event.name} started")
            case FollowExit():
                self._ended(event, now)
        return True

    def say(self, text: str) -> None:
        """A text for the last line. It may hold names, which are input."""
        self.last_event = f"{time.strftime('%H:%M:%S')} {printable(text)}"

    def lost(self, why: str) -> None:
        """The stream has ended: what is shown is old."""
        self.state = f"{'agent gone' if self.rounds else 'no agent'}: {printable(why)}"
        self.asked = True
        self._round = {}
        for entry in self.entries.values():
            _push(entry, None)

    def _ended(self, event: FollowExit, now: float) -> None:
        code = "" if event.exit_code is None else f" with {event.exit_code}"
        self.say(f"{event.name} ended{code}{', OOM-killed' if event.oom_killed else ''}")
        entry = self.entries.get(_key(event.last)) if event.last else None
        if entry is not None:
            entry.ended, entry.until = event, now + ENDED_SECONDS

    def _end_round(self, now: float, late: frozenset[str]) -> None:
        """Who is neither in the round nor late is gone."""
        self.rounds += 1
        for key, stat in self._round.items():
            entry = self.entries.setdefault(key, Entry(stat))
            entry.stat, entry.ended, entry.until = stat, None, 0.0
        for key, entry in list(self.entries.items()):
            _push(entry, self._round.get(key))
            entry.late = key not in self._round and not entry.ended and entry.stat.id in late
            if key not in self._round and not entry.late and now > entry.until:
                del self.entries[key]
        self._round = {}

    def since_ms(self) -> int:
        """How far back the lines go, by the clock of the agent."""
        return max(0, self.at_ms - int(POINTS * max(self.apart, self.interval) * 1000))

    def remember(self, lines: HistoryLines) -> None:
        """What an agent knows of the time before the first round: each point is the step that it is in."""
        known = {(each.runtime, each.owner_uid, each.id): each.figures for each in lines.containers}
        apart, step = max(self.apart, self.interval) * 1000, lines.step * 1000
        for key, entry in self.entries.items():
            figures = known.get(key)
            for ago in range(len(entry.cpu), POINTS if figures else 0):
                time_ms = self.at_ms - ago * apart
                place = bisect_left(lines.timestamps, time_ms)
                if place == len(lines.timestamps) and time_ms < lines.until + step:
                    place -= 1
                inside = place < len(lines.timestamps) and lines.timestamps[place] - time_ms < step
                _put_before(entry, figures if inside else None, place)

    def sort_by(self, column: str) -> None:
        """Sort by a column: by a new one in its usual direction, by the same one in the other direction."""
        self.reverse = not self.reverse if column == self.sort else column != "name"
        self.sort = column

    def rows(self) -> list[tuple[Key, Entry]]:
        """The rows that are shown, in order. Unknown values come last in either direction."""
        words = self.filter.casefold().split()
        found = [(key, entry) for key, entry in self.entries.items() if _fits(entry.stat, words)]
        found.sort(key=lambda pair: (pair[1].stat.name.casefold(), pair[0]))
        of = COLUMNS[self.sort]
        known = [pair for pair in found if of(pair[1].stat) is not None]
        known.sort(key=lambda pair: of(pair[1].stat), reverse=self.reverse)  # type: ignore[arg-type,return-value]
        return known + [pair for pair in found if of(pair[1].stat) is None]


def _key(stat: FollowStat) -> Key:
    return stat.runtime, stat.owner_uid, stat.id


def _push(entry: Entry, stat: FollowStat | None) -> None:
    """One point behind the newest."""
    for name, figure in _FIGURES.items():
        entry.line(name).append(figure(stat) if stat else None)


def _put_before(entry: Entry, figures: Mapping[str, Sequence[float | None]] | None, place: int) -> None:
    """One point before the oldest."""
    for name, parts in _HISTORY.items():
        points = [figures[part] for part in parts if part in figures] if figures else []
        known = [value for each in points if place < len(each) and (value := each[place]) is not None]
        entry.line(name).appendleft(sum(known) if known else None)


def _fits(stat: FollowStat, words: Iterable[str]) -> bool:
    text = f"{stat.name}\n{stat.id}\n{stat.runtime}\n{stat.project or ''}".casefold()
    return all(word in text for word in words)
