"""The token that Dockhand made for this host."""

from __future__ import annotations

from ..basics.regular_file import read_regular

_MOST_TOKEN_BYTES = 512


class BadToken(Exception):
    """The token's file cannot be used; one sentence."""


def read_token(path: str) -> str:
    """Raises BadToken."""
    try:
        text = read_regular(path, _MOST_TOKEN_BYTES + 1).decode("ascii", "replace").strip()
    except OSError as error:
        raise BadToken(f"{path}: {error.strerror}") from error
    if not text or len(text) > _MOST_TOKEN_BYTES or not all("\x21" <= each <= "\x7e" for each in text):
        raise BadToken(f"{path}: expected one token, up to {_MOST_TOKEN_BYTES} visible characters")
    return text
