"""Tables, for a terminal and for docs/costs.md, what they mean, and the comparison of two runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from measure import facts, median, p99, spread
from results import FLOOR, Result, Results
from targets import STREAM, verdicts

Table = list[tuple[str, ...]]
OURS = ("floor", "cgroupfs", "agent")
"""How the names of the subjects begin that are ours."""


def _number(value: float | None) -> str:
    if value is None or value != value:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 1 else f"{value:.1f}"


def cost(result: Result) -> Table:
    """CPU and wall per container and reading (or request), ratios, spread."""
    rows: Table = [("subject", "CPU us", "quartiles", "x floor", "wall us", "per", "rounds")]
    for each in result.series.values():
        low, high = spread(each.cpu)
        ratio = result.ratio(each.name, FLOOR) if each.unit == "container" else None
        rows.append((each.name, _number(median(each.cpu)), f"{_number(low)} - {_number(high)}",
                     "-" if ratio is None else f"{ratio:.2f}", _number(median(each.wall)), each.unit,
                     str(len(each.cpu))))  # fmt: skip
    return rows


def values(result: Result) -> Table:
    """Latencies, memory and the rest."""
    rows: Table = [("measured", "unit", "median", "quartiles", "p99", "max", "values")]
    for each in result.samples.values():
        low, high = spread(each.values)
        rows.append((each.name, each.unit, _number(median(each.values)), f"{_number(low)} - {_number(high)}",
                     _number(p99(each.values)), _number(max(each.values)), str(len(each.values))))  # fmt: skip
    return rows


def targets(results: Results) -> Table:
    """What is promised, and what came of it; those that need other containers than this run had are left out."""
    rows: Table = [("target", "promised", "measured", "verdict")]
    rows += [(what, promised, _number(value), said) for what, promised, value, said in verdicts(results)
             if value is not None]  # fmt: skip
    return rows


def plain(table: Table) -> str:
    """Columns, the first one to the left."""
    widths = [max(len(row[n]) for row in table) for n in range(len(table[0]))]
    lines = []
    for first, *others in table:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        lines.append("  ".join(cells))
    return "\n".join(lines)


def markdown(table: Table) -> str:
    """The same for a README."""
    head, *rows = table
    align = ["---"] + ["--:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, align, *rows))


def remarks(result: Result) -> list[str]:
    """What a reader of the table should know."""
    found = []
    if result.others:
        found.append(f"up to {result.others} other containers were on this host, and were read by the agent, too")
    if not result.interfaces:
        found.append("no /dev/net/tun: the network namespaces have no interface but lo")
    found += [f"WRONG: {each}" for each in sorted(set(result.wrong))]
    return found


def meaning(result: Result) -> list[str]:
    """What the figures of one set mean for someone who runs the agent: sentences, for what this run has measured."""
    found = []
    if STREAM in result.series:
        share = median(result.series[STREAM].cpu) * result.count / 1e6 * 100
        ratio = result.ratio(STREAM, FLOOR)
        beside = "" if ratio is None else f": {ratio:.1f} times the C program that only reads the same files"
        found.append(
            f"one stream a second of these {result.count:,} containers takes {_number(share)} % of one core{beside}"
        )
    for each in result.series.values():
        ratio = result.ratio(each.name, STREAM)
        if ratio is not None and not each.name.startswith(OURS):
            found.append(f"a reading by {each.name} costs {ratio:.1f} times one by the agent")
    idle = result.sample("without clients")
    if idle is not None:
        found.append(f"while there are no clients the agent takes {_number(idle)} % of one core")
    resident = result.sample("resident at the end", max)
    if resident is not None:
        found.append(f"the agent holds at most {_number(resident)} MB of memory")
    return found


def whole(results: Results, notes: Sequence[str], *, as_markdown: bool, with_targets: bool = False) -> str:
    """What was measured and what it means; ``with_targets``: also the verdict on each target of the project."""
    table = markdown if as_markdown else plain
    parts = [", ".join(f"{name} {value}" for name, value in facts().items())]
    parts += notes
    for result in results.sets:
        title = f"{result.count:,} {result.work} {result.kind}"
        parts += [f"**{title}**" if as_markdown else f"== {title}", *remarks(result)]
        parts += [table(cost(result)), table(values(result))]
        parts.append("\n".join(f"- {each}" for each in meaning(result)))
    if not with_targets:
        return "\n\n".join(filter(None, parts))
    parts.append(table(targets(results)))
    missing = [what for what, _, value, _ in verdicts(results) if value is None]
    if missing:
        parts.append(f"Not measured by this run: {'; '.join(missing)}.")
    return "\n\n".join(filter(None, parts))


def compared(then: dict[str, Any], results: Results) -> str:
    """This run beside another's: a second machine, or this one before a change. Only the multiples of the floor, which
    each machine has of its own, can be compared between machines.
    """
    rows: Table = [("subject", "then us", "now us", "then x floor", "now x floor", "now / then")]
    for result in results.sets:
        old = then["sets"].get(result.label, {}).get("series", {})
        base = old.get(FLOOR, {}).get("cpu_us", float("nan"))
        for each in result.series.values():
            if each.name not in old:
                continue
            before, now = old[each.name]["cpu_us"], median(each.cpu)
            multiple = result.ratio(each.name, FLOOR) or float("nan")
            rows.append((f"{result.label}: {each.name}", _number(before), _number(now), f"{before / base:.2f}",
                         f"{multiple:.2f}", f"{multiple / (before / base):.2f}"))  # fmt: skip
    return f"then: {then['facts']}\nnow:  {facts()}\n\n{plain(rows)}"
