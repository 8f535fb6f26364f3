"""The ``filters`` of a request: ``{"label": ["app=web"]}``, or as most clients have it ``{"label": {"app": true}}``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

MOST_BYTES = 16 << 10
Filters = Mapping[str, Sequence[str]]
_decode = msgspec.json.Decoder(dict[str, list[str] | dict[str, bool]]).decode


class BadFilter(ValueError):
    """The text is what Docker says of it."""


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
    return {
        name: list(values) if isinstance(values, list) else [key for key, wanted in values.items() if wanted]
        for name, values in found.items()
    }


def any_of(filters: Filters, name: str, fits: Callable[[str], bool]) -> bool:
    """Whether one of a filter's values fits, or there are none."""
    values = filters.get(name)
    return not values or any(map(fits, values))


def labels_fit(filters: Filters, labels: Mapping[str, str]) -> bool:
    """Whether every ``label`` is there: ``key`` or ``key=value``."""
    wanted = filters.get("label", ())
    found = dict(labels.items()) if wanted else {}
    for each in wanted:
        key, equals, value = each.partition("=")
        if key not in found or (equals and found[key] != value):
            return False
    return True
