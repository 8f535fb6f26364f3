"""The token that Dockhand made for this host."""

from __future__ import annotations

import os
import stat

_MOST_TOKEN_BYTES = 512


class BadToken(Exception):
    """The token's file cannot be used; one sentence."""


def read_token(path: str) -> str:
    """Raises BadToken."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise BadToken(f"{path}: not a regular file")
            text = file.read(_MOST_TOKEN_BYTES + 1).decode("ascii", "replace").strip()
    except OSError as error:
        raise BadToken(f"{path}: {error.strerror}") from error
    if not text or len(text) > _MOST_TOKEN_BYTES or not all("\x21" <= each <= "\x7e" for each in text):
        raise BadToken(f"{path}: expected one token, up to {_MOST_TOKEN_BYTES} visible characters")
    return text
