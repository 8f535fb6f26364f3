"""Whether an answer is sent compressed: what its client's Accept-Encoding prefers (RFC 9110, 12.5.3), gzip or as it is.

Nothing of the header's own text comes back.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from ..basics.text import lower

SMALLEST_BYTES = 1024
"""A smaller answer fits into one packet as it is."""
_LONGEST = 1000
"""Letters of a header. A longer one is not looked at: no client has so much to say."""
_USUAL = 64
"""Letters of a header whose meaning is remembered."""
_WEIGHT = re.compile(r"[0-9](\.[0-9]{0,9})?")
_BLANKS = " \t"
_ALIASES = {"x-gzip": "gzip"}


class Accepted(NamedTuple):
    """What a client takes of the two codings that are written."""

    gzip: bool
    """gzip is not less welcome than the answer as it is."""
    identity: bool
    """The answer as it is will do."""

    def compressed(self, size: int) -> bool:
        """Whether an answer of so many bytes is to be compressed."""
        return self.gzip and (size >= SMALLEST_BYTES or not self.identity)


AS_IT_IS = Accepted(gzip=False, identity=True)


def accepted(accept_encoding: str | None) -> Accepted:
    """``accept_encoding``: the header; None: there is none, and compressed answers are for clients that say so.

    What is not well-formed is passed over. A coding that is named twice has the smaller weight.
    """
    if accept_encoding is None or len(accept_encoding) > _LONGEST:
        return AS_IT_IS
    return _usual(accept_encoding) if len(accept_encoding) <= _USUAL else _parsed(accept_encoding)


def _parsed(accept_encoding: str) -> Accepted:
    weights: dict[str, float] = {}
    for each in accept_encoding.split(","):
        name, *parameters = (part.strip(_BLANKS) for part in each.split(";"))
        weight = _weight(parameters)
        if name and weight is not None:
            coding = lower(name)
            coding = _ALIASES.get(coding, coding)
            weights[coding] = min(weight, weights.get(coding, 1.0))
    others = weights.get("*")
    gzip = weights.get("gzip", others or 0.0)
    identity = weights.get("identity", others)  # None: not named, and welcome where nothing that is named can be had
    return Accepted(gzip > 0 and gzip >= (identity or 0.0), identity != 0)


_usual = lru_cache(32)(_parsed)
"""A client sends the same with each request."""


def _weight(parameters: list[str]) -> float | None:
    """None: it is no weight."""
    if not parameters:
        return 1.0
    name, _, value = parameters[0].partition("=")
    if len(parameters) > 1 or lower(name.rstrip(_BLANKS)) != "q" or not _WEIGHT.fullmatch(value.lstrip(_BLANKS)):
        return None
    return min(float(value), 1.0)
