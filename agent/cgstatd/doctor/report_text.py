"""The report as text."""

from __future__ import annotations

import textwrap

from ..basics.text import printable
from .findings import Finding, Report

_WIDTH = 100
_MARKS = {"ok": "  ok    ", "note": "  note  ", "costs": "  COSTS ", "fails": "  FAILS "}
_INDENT = " " * 8


def render(report: Report) -> str:
    """One screen."""
    lines = [f"cgstatd {report.version} on {report.host}"]
    for section in report.sections:
        if section.findings:
            lines += ["", section.title]
            for finding in section.findings:
                lines += _finding(finding)
    return "\n".join([*lines, "", *textwrap.wrap(report.verdict, _WIDTH)])


def _finding(finding: Finding) -> list[str]:
    lines = _wrapped(_MARKS[finding.level], finding.what)
    if finding.costs:
        lines += _wrapped(f"{_INDENT}lost: ", finding.costs)
    if finding.todo:
        lines += _wrapped(f"{_INDENT}do:   ", finding.todo)
    return lines


def _wrapped(first: str, text: str) -> list[str]:
    """Names and paths are input."""
    return textwrap.wrap(printable(text, 2000), _WIDTH, initial_indent=first, subsequent_indent=" " * len(first),
                         break_on_hyphens=False)  # fmt: skip
