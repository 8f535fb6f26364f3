"""The ``filters`` of a request: ``{"label": ["app=web"]}``, or as most clients have it ``{"label": {"app": true}}``.

Values are sets, so that what a container is compared with does not grow with what a request has written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet

import msgspec

MOST_BYTES = 16 << 10
MOST_VALUES = 256
"""Of all filters of a request together."""
Filters = Mapping[str, AbstractSet[str]]
_decode = msgspec.json.Decoder(dict[str, list[str] | dict[str, bool]]).decode


class BadFilter(ValueError):
    """The text is what Docker says of it."""


class Unanswerable(BadFilter):
    """Nothing that the agent knows would answer it: an empty list would be taken for the truth."""


def parse_filters(text: str | None, known: frozenset[str]) -> Filters:
    """Raises BadFilter."""
    if not text:
        return {}
    if len(text) > MOST_BYTES:
        raise BadFilter("invalid filter")
    try:
        found = _decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        raise BadFilter("invalid filter") from None
    for name in found:
        if name not in known:
            raise BadFilter(f"invalid filter {name[:80]!r}")
    number = sum(map(len, found.values()))
    if number > MOST_VALUES:
        raise BadFilter(f"invalid filter: a request has {MOST_VALUES} values at most, this one has {number}")
    return {name: _wanted(values) for name, values in found.items()}


def _wanted(values: list[str] | dict[str, bool]) -> frozenset[str]:
    return frozenset(values if isinstance(values, list) else (key for key, wanted in values.items() if wanted))


def begins_with(values: Iterable[str], shortest: int = 0) -> Callable[[str], bool]:
    """Whether a text begins with one of these; those of less than ``shortest`` letters do not count."""
    several = frozenset(each for each in values if len(each) >= shortest)
    lengths = sorted({len(each) for each in several})
    return lambda text: any(text[:length] in several for length in lengths)


def has_labels(wanted: Iterable[str]) -> Callable[[Mapping[str, str]], bool]:
    """Whether every one of these labels is there: ``key`` or ``key=value``."""
    several = [each.partition("=") for each in wanted]

    def fits(labels: Mapping[str, str]) -> bool:
        found = dict(labels.items())
        return all(key in found and (not equals or found[key] == value) for key, equals, value in several)

    return fits
