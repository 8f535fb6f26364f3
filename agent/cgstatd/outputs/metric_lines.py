"""Pieces of Prometheus' text formats that every family needs."""

from __future__ import annotations

_UNTYPED = {"unknown": "untyped"}


def escaped(value: str) -> str:
    """A label value between its quotes, the same in both formats."""
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def family_head(name: str, kind: str, text: str, openmetrics: bool) -> tuple[str, list[str]]:
    """(name of the series, HELP and TYPE lines). ``name``: without ``_total``, which is OpenMetrics' series' alone."""
    series = name + "_total" if kind == "counter" else name
    head = name if openmetrics else series
    return series, [f"# HELP {head} {text}", f"# TYPE {head} {kind if openmetrics else _UNTYPED.get(kind, kind)}"]
