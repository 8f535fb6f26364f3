"""The secret that a webhook wants to see."""

from __future__ import annotations

import re

from ..basics.private_directory import NotPrivate
from ..basics.private_file import read_private

_MOST_BYTES = 1024
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_HEADER = re.compile(r"([A-Za-z0-9-]+):[ \t]*([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)")
_NOT_OURS = frozenset("host content-type content-length content-encoding transfer-encoding connection".split())


class BadSecret(Exception):
    """The file cannot be used; one sentence, without its content."""


def read_secret(path: str) -> dict[str, str]:
    """The header in a file: one line, a token (``Authorization: Bearer …``) or a whole header. Raises BadSecret."""
    try:
        text = read_private(path, _MOST_BYTES).decode("ascii", "replace").strip()
    except NotPrivate as error:
        raise BadSecret(str(error)) from error
    except OSError as error:
        raise BadSecret(f"{path}: {error.strerror}") from error
    if len(text) <= _MOST_BYTES:
        if _VISIBLE.fullmatch(text):
            return {"Authorization": f"Bearer {text}"}
        found = _HEADER.fullmatch(text)
        if found and found[1].lower() not in _NOT_OURS:
            return {found[1]: found[2]}
    raise BadSecret(f"{path}: expected one line: a token, or a header as in X-Key: abc")
