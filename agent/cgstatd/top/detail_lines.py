"""One container's detail as lines: every value, or the reason why there is none."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import UNSET
from rich.text import Text

from ..outputs.detail_types import ContainerDetail, LimitDetail, Value
from ..outputs.follow_types import FollowExit
from ..outputs.identity_json import ContainerIdentity, LastTerminated
from ..outputs.processes_json import ContainerProcesses
from ..outputs.table import UNKNOWN, binary_size, decimal_size
from .model import Entry
from .spark import spark
from .view import LINES, fit

_TERM = 22
_BAR = 20


def words(key: str) -> str:
    """``usageUsec`` -> ``usage``; ``nrThrottled`` -> ``nr throttled``"""
    text = "".join(f" {c.lower()}" if c.isupper() else c for c in key)
    return text.removesuffix(" usec").removesuffix(" bytes")


_WHOLE: dict[object, Callable[[int], str]] = {
    "bytes": binary_size,
    "microseconds": lambda usec: f"{usec / 1e6:.3f} s",
    "milliseconds since the epoch": lambda ms: time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(ms / 1000)),
}
_BEHIND: dict[object, str] = {"percent": " %", "cores": " cores"}


def shown(value: Value) -> str:
    """A value in its unit."""
    found, unit = value.value, value.unit
    if found == "max":
        return "no limit"
    if isinstance(found, list):
        return ",".join(map(str, found)) or "none"
    if isinstance(found, int) and unit in _WHOLE:
        return _WHOLE[unit](found)
    return "" if found is UNSET else f"{found}{_BEHIND.get(unit, '')}"


def _title(text: str) -> Text:
    return Text(text, "bold", end="")


def _line(term: str, text: str, width: int, style: str = "") -> Text:
    line = Text(no_wrap=True, end="")
    line.append("  " + fit(term, _TERM), "dim")
    line.append(fit(text, max(1, width - _TERM - 2)), style)
    return line


def _wrapped(text: str, width: int) -> Iterator[Text]:
    rest = text.split(" ")
    while rest:
        line = rest.pop(0)
        while rest and len(line) + 1 + len(rest[0]) <= width - 4:
            line += " " + rest.pop(0)
        yield Text("  " + fit(line, max(1, width - 2)), "dim italic", no_wrap=True, end="")


def _values(title: str, values: Mapping[str, Value], width: int) -> Iterator[Text]:
    if not values:
        return
    yield _title(title)
    reasons: dict[str, list[str]] = {}
    for key, value in values.items():
        if value.absent is UNSET:
            yield _line(words(key), shown(value), width)
        else:
            reasons.setdefault(value.absent, []).append(words(key))
    for reason, terms in reasons.items():
        yield from _wrapped(f"{', '.join(terms)}: {reason}", width)


def _limit(name: str, limit: LimitDetail, used: float | None, now: str, width: int) -> Iterator[Text]:
    tightest = limit.tightest.value
    if not isinstance(tightest, int | float) or used is None or not tightest:
        yield _line(name, f"{now}, no limit", width)
        return
    share = used / tightest
    filled = min(_BAR, round(share * _BAR))
    bar = "#" * filled + "." * (_BAR - filled)
    foreign = limit.own.value != tightest
    by = f", set by {limit.tightest_cgroup}" if foreign else ""
    style = "bold red" if share >= 0.95 else "yellow" if share >= 0.8 else ""
    yield _line(name, f"[{bar}] {share * 100:.1f} %  {now} of {shown(limit.tightest)}{by}", width, style)


def _limits(detail: ContainerDetail, width: int) -> Iterator[Text]:
    if not detail.limits:
        return
    yield _title("Limits")
    percent, memory, pids = detail.cpu["percent"].value, detail.memory["usageBytes"], detail.pids["current"].value
    cores = percent / 100 if isinstance(percent, int | float) else None
    tasks = pids if isinstance(pids, int) else None
    for name, used, now in (
        ("cpu", cores, UNKNOWN if cores is None else f"{cores:.2f}"),
        ("memory", memory.value if isinstance(memory.value, int) else None, shown(memory) or UNKNOWN),
        ("pids", tasks, UNKNOWN if tasks is None else str(tasks)),
    ):
        yield from _limit(name, detail.limits[name], used, now, width)


def _lines(entry: Entry | None, width: int, blocks: str) -> Iterator[Text]:
    if entry is None:
        return
    yield _title(f"The last {len(entry.cpu)} rounds")
    room = max(10, min(120, width - _TERM - 2))
    for name, (colour, top) in LINES.items():
        yield _line(name, spark(entry.line(name), room, top(entry), blocks), width, colour)


def _network(detail: ContainerDetail, width: int) -> Iterator[Text]:
    network = detail.network
    if network is None:
        return
    yield _title("Network, since it was made")
    for each in network.interfaces:
        text = (
            f"in {decimal_size(each.rx_bytes)} ({each.rx_errors} errors, {each.rx_dropped} drops)  "
            f"out {decimal_size(each.tx_bytes)} ({each.tx_errors} errors, {each.tx_dropped} drops)"
        )
        yield _line(each.name, text, width)
    if isinstance(network.rx_bytes.absent, str):
        yield from _wrapped(network.rx_bytes.absent, width)
    if network.shared_with:
        yield from _wrapped(f"the same network as {', '.join(each.name for each in network.shared_with)}", width)


def _block(detail: ContainerDetail, width: int) -> Iterator[Text]:
    block = detail.block
    if block is None:
        return
    yield _title("Disk, since it started")
    for each in block.devices:
        text = f"read {decimal_size(each.read_bytes)}  written {decimal_size(each.write_bytes)}"
        yield _line(each.name or each.device, text + ("  (stacked)" if each.stacked else ""), width)
    if isinstance(block.read_bytes.absent, str):
        yield from _wrapped(block.read_bytes.absent, width)


def _identity(detail: ContainerDetail, width: int) -> Iterator[Text]:
    container = detail.container
    yield _title(container.name)
    for term, text in (
        ("id", container.id),
        ("runtime", f"{container.runtime}, {container.state}"),
        ("image", container.image),
        ("workload", container.workload),
        ("project", container.project),
        ("network", container.network_mode),
        ("owner", f"uid {container.owner_uid}" if container.owner_uid else None),
        ("restarts", _restarts(container)),
        ("last end", None if container.last_terminated is None else _ending(container.last_terminated)),
        ("health", _health(detail.container)),
        ("cgroup", detail.cgroup),
    ):
        if text:
            yield _line(term, text, width)
    last = detail.last_words
    if last is not None:
        peak = binary_size(last.last.memory_peak) if last.last else "not known"
        yield _line("last words", f"{_ending(last)}, memory at most {peak}", width)


def _restarts(container: ContainerIdentity) -> str | None:
    if container.restarts is None:
        return None
    return f"{container.restarts}, flapping" if container.flapping else str(container.restarts)


def _health(container: ContainerIdentity) -> str | None:
    found = container.health
    if found is None:
        return None
    if found.status is None:
        return f"not known: {found.absent}"
    return f"{found.status}, {found.failing_streak} failed in a row" if found.failing_streak else found.status


def _ending(end: LastTerminated | FollowExit) -> str:
    """How a container ended: ``exit code 3``, ``SIGKILL (137), OOM-killed``."""
    if end.exit_code is None:
        return f"exit code not known: {end.exit_code_absent}"
    how = f"exit code {end.exit_code}"
    if end.signal is not None:
        known = end.signal in {each.value for each in signal.Signals}
        how = f"{signal.Signals(end.signal).name if known else f'signal {end.signal}'} ({end.exit_code})"
    return f"{how}, OOM-killed" if end.oom_killed else how


def _processes(found: ContainerProcesses | None, width: int) -> Iterator[Text]:
    if found is None or not (found.processes or found.count):
        return
    yield _title(f"The largest of {found.count} processes by CPU")
    for each in found.processes:
        percent = UNKNOWN if each.cpu_percent is None else f"{each.cpu_percent:.2f} %"
        inside = UNKNOWN if each.pid_inside is None else str(each.pid_inside)
        text = f"{percent:>9}  {binary_size(each.memory):>10}  pid {each.pid}, inside {inside}  "
        yield _line(each.name, text + f"{each.threads} threads  {each.state}", width)
    zombies = f"{found.zombies} zombies" * bool(found.zombies)
    asleep = f"{found.uninterruptible} in disk sleep" * bool(found.uninterruptible)
    if notes := "; ".join(filter(None, (found.incomplete, zombies, asleep))):
        yield from _wrapped(notes, width)


def body(
    detail: ContainerDetail,
    entry: Entry | None,
    width: int,
    blocks: str,
    processes: ContainerProcesses | None = None,
) -> Sequence[Text]:
    """The whole detail."""
    return [
        *_identity(detail, width),
        *_lines(entry, width, blocks),
        *_limits(detail, width),
        *_values("CPU time", detail.cpu, width),
        *_values("Memory", detail.memory, width),
        *_values("Memory events", detail.memory_events, width),
        *_values("Processes", detail.pids, width),
        *_processes(processes, width),
        *_values("Pressure", detail.pressure, width),
        *_network(detail, width),
        *_block(detail, width),
        *_values("Log", detail.log, width),
    ]
