"""Which format a scraper is answered in: what its Accept header prefers (RFC 9110, 12.5.1) of the two that are written.

Nothing of the header's own text comes back: the answer's Content-Type is one of two constants.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..basics.text import lower


@dataclass(frozen=True, slots=True)
class Format:
    """A format that the agent writes."""

    media: str
    version: str

    @property
    def content_type(self) -> str:
        """The header of an answer in it."""
        return f"{self.media}; version={self.version}; charset=utf-8"


TEXT = Format("text/plain", "0.0.4")
OPENMETRICS = Format("application/openmetrics-text", "1.0.0")
_QUOTED = r'"(?:[^"\\]|\\.)*"?'
_RANGES = re.compile(rf'(?:[^,"]|{_QUOTED})+', re.DOTALL)
_PARTS = re.compile(rf'(?:[^;"]|{_QUOTED})+', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_WEIGHT = re.compile(r"[0-9](\.[0-9]{0,9})?")
_BLANKS = " \t"


def negotiate(accept: str) -> Format:
    """OpenMetrics where it is named and not less welcome than the text format; else the text format, always."""
    text, openmetrics = (0, 0.0), (0, 0.0)
    for media, version, weight in _ranges(accept):
        text = max(text, (_specificity(media, version, TEXT), weight), key=_first)
        openmetrics = max(openmetrics, (_specificity(media, version, OPENMETRICS), weight), key=_first)
    named = openmetrics[0] >= _NAMED
    return OPENMETRICS if named and openmetrics[1] and openmetrics[1] >= text[1] else TEXT


_NAMED = 3


def _specificity(media: str, version: str | None, of: Format) -> int:
    """How exactly a range means a format; 0: it does not."""
    if media == of.media:
        return {None: _NAMED, of.version: _NAMED + 1}.get(version, 0)
    return {f"{of.media.partition('/')[0]}/*": 2, "*/*": 1}.get(media, 0)


def _first(found: tuple[int, float]) -> int:
    return found[0]


def _ranges(accept: str) -> Iterator[tuple[str, str | None, float]]:
    """(media type in lower case, its version, its weight) of each range that is well-formed."""
    for each in _RANGES.findall(accept):
        media, *parts = _PARTS.findall(each) or [""]
        parameters = {}
        for part in parts:
            name, _, value = part.partition("=")
            parameters[lower(name.strip(_BLANKS))] = _unquoted(value.strip(_BLANKS))
        weight = parameters.get("q", "1")
        if _WEIGHT.fullmatch(weight):
            yield lower(media.strip(_BLANKS)), parameters.get("version"), min(float(weight), 1.0)


def _unquoted(value: str) -> str:
    return _ESCAPED.sub(r"\1", value[1:-1]) if len(value) > 1 and value[0] == value[-1] == '"' else value
