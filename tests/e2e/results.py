"""RESULTS.md: the matrix of engines and modes, as the newest run of each mode left it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parent / "RESULTS.md"
MODES = ("v2", "v1", "hybrid")
UNITS = {"memory": "B", "limit": "B", "network": "B", "block": "B", "cpu": "points"}
Cells = Mapping[str, Mapping[str, Any]]
"""Engine -> shape -> differences by figure, or the reason there are none."""

_HEAD = """# Results

Written by `python3 tests/e2e/run.py --update` from the runs themselves: each row and mode as its newest run left it.
The README beside it says how figures are compared.

Each cell has the largest difference between the agent's figure and the engine's own, taken right before and right
after it, over all containers of that engine. Memory, limit, network, block: bytes. CPU: percentage points.
`podman stats` shows anonymous memory alone, so there memory is the kernel's files, read by the tests;
engines without statistics (containerd's `ctr`, runc, crun, LXC, systemd-nspawn, services) are compared with the
kernel's files altogether.
"""


def keep(run: Path, kept: Path) -> None:
    """Put a run's cells beside those of earlier runs, of which it may have repeated some engines alone."""
    newest, older = _load(run / "matrix.json"), _load(kept)
    cells = {engine: {**older[0].get(engine, {}), **found} for engine, found in newest[0].items()}
    notes = {**older[1], **newest[1]}
    kept.write_text(json.dumps({"cells": {**older[0], **cells}, "notes": notes}, indent=1))


def write(directory: Path) -> None:
    """Write the file from ``<directory>/<mode>.json``."""
    found = {mode: _load(directory / f"{mode}.json") for mode in MODES}
    engines = sorted({engine for cells, _ in found.values() for engine in cells}, key=str.lower)
    reasons: list[str] = []
    lines = [_HEAD, _row("", MODES), _row("---", ["---"] * len(MODES))]
    lines += [_row(engine, [_cell(found[mode][0].get(engine), reasons) for mode in MODES]) for engine in engines]
    lines += ["", "## By shape", "", "The largest difference of any figure but CPU, in bytes; then CPU, in points.", ""]
    for mode in MODES:
        cells = found[mode][0]
        shapes = list(dict.fromkeys(shape for engine in cells.values() for shape in engine))
        running = [engine for engine in engines if any(isinstance(c, dict) for c in cells.get(engine, {}).values())]
        if running:
            lines += [f"### {mode}", "", _row("", shapes), _row("---", ["---"] * len(shapes))]
            lines += [_row(each, [_shape(cells[each].get(s), reasons) for s in shapes]) for each in running] + [""]
    lines += ["## Empty cells", "", *(f"{number}. {reason}" for number, reason in enumerate(reasons, 1))]
    lines += ["", "## Coming and going", ""]
    lines += [f"- {mode}: {name}: {note}" for mode in MODES for name, note in found[mode][1].items()]
    FILE.write_text("\n".join(lines) + "\n")


def _load(path: Path) -> tuple[Cells, Mapping[str, str]]:
    if not path.exists():
        return {}, {}
    data = json.loads(path.read_text())
    return data["cells"], data["notes"]


def _row(head: str, cells: Any) -> str:
    return f"| {head} | {' | '.join(cells)} |"


def _reference(reason: str, reasons: list[str]) -> str:
    if reason not in reasons:
        reasons.append(reason)
    return f"[{reasons.index(reason) + 1}](#empty-cells)"


def _cell(shapes: Mapping[str, Any] | None, reasons: list[str]) -> str:
    """One engine in one mode."""
    if shapes is None:
        return _reference("not run", reasons)
    if "failed" in shapes.values():
        return "**failed**: " + ", ".join(shape for shape, each in shapes.items() if each == "failed")
    measured = [each for each in shapes.values() if isinstance(each, dict)]
    if not measured:
        return _reference(next(iter(shapes.values())), reasons)
    return ", ".join(_worst(measured)) + f" ({len(measured)} shapes)"


def _worst(measured: Sequence[Mapping[str, float]]) -> Iterator[str]:
    for figure in UNITS:
        values = [each[figure] for each in measured if figure in each]
        if values:
            yield f"{figure} {max(values):g}"


def _shape(cell: Any, reasons: list[str]) -> str:
    """One engine and one shape in one mode."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return _reference(cell, reasons)
    if not cell:
        return "zeros or 404"
    return f"{max(value for figure, value in cell.items() if figure != 'cpu'):g}; {cell.get('cpu', 0):g}"
