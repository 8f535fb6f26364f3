"""Text from outside: it is compared as ASCII, and shown without control characters. Imports nothing of ours.

Unicode has more spellings of a letter or a digit than protocols have:
``str.lower()`` makes a ``k`` of U+212A (KELVIN SIGN), ``str.isdigit()`` and ``\\d`` take digits of every script.
"""

from __future__ import annotations

import string

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def lower(text: str) -> str:
    """ASCII letters in lower case; every other character stays itself."""
    return text.lower() if text.isascii() else text.translate(_LOWER)


def is_number(text: str, digits: int = 18) -> bool:
    """Whether a text is 1 to ``digits`` ASCII digits."""
    return 0 < len(text) <= digits and text.isascii() and text.isdigit()


def printable(text: str, limit: int = 256) -> str:
    """A name as it may be shown anywhere: no control characters, valid Unicode, bounded."""
    if len(text) <= limit and text.isprintable():
        return text
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:limit])
    return clean.encode("utf-8", "replace").decode("utf-8")
