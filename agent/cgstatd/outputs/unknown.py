"""What is not known stays so: None in, None out."""

from __future__ import annotations

from ..basics.text import printable
from ..sampling.rates import round_half_up


def rounded(value: float | None) -> float | None:
    """Two decimals, half up."""
    return None if value is None else round_half_up(value)


def shown(text: str | None) -> str | None:
    """A text from outside as it may be shown; an empty one says nothing."""
    return printable(text) if text else None
