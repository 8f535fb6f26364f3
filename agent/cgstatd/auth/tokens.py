"""A token and the file it is kept in. The file holds SHA-256 digests, with which no client gets in.

A token is 256 random bits, so a plain digest is as good as a slow one: there is nothing to guess, and each request
costs one SHA-256 and one look into a dict.

``{"tokens": [{"name": "central", "sha256": "9f86…", "env": [1], "allow": ["containers:view"], "created": "2026-…"}]}``
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

PREFIX = "cgs_"
"""So that a token in a log or a repository is recognised for what it is."""
CONTAINERS_VIEW = "containers:view"
METRICS_VIEW = "metrics:view"
ANY: Literal["any"] = "any"
"""Good for every environment: one token for all the hosts of a fleet."""
PERMISSIONS = (CONTAINERS_VIEW, METRICS_VIEW)
MAX_FILE_BYTES = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class BadTokens(Exception):
    """The tokens cannot be used; one sentence that says why."""


class Token(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the file says of one token."""

    name: str
    sha256: str
    env: tuple[int, ...] | Literal["any"]
    allow: tuple[str, ...]
    created: datetime

    def holds(self, env: int | None) -> bool:
        """Whether it is good for an environment (None: one that has no number)."""
        return self.env == ANY or (env is not None and env in self.env)

    @property
    def environments(self) -> str:
        """``1,2`` or ``any``."""
        return self.env if isinstance(self.env, str) else ",".join(map(str, self.env))


class TokensFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    tokens: tuple[Token, ...] = ()


def new_secret() -> str:
    """The value that the client sends: shown once, never stored."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """The digest that is stored and looked up."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def decode(path: str, raw: bytes) -> TokensFile:
    """A file's tokens. Raises BadTokens."""
    if len(raw) > MAX_FILE_BYTES:
        raise BadTokens(f"{path}: larger than {MAX_FILE_BYTES} bytes: this is not a tokens file")
    try:
        found = msgspec.json.decode(raw, type=TokensFile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadTokens(f"{path}: {error}") from error
    names: set[str] = set()
    digests: dict[str, str] = {}
    for number, token in enumerate(found.tokens):
        where = f"{path}: tokens[{number}]"
        check_name(token.name, where)
        check_permissions(token.allow, where)
        check_sha256(token.sha256, f"{where}: sha256")
        if token.name in names:
            raise BadTokens(f"{where}: a second token is named {token.name}")
        if token.sha256 in digests:  # revoking one of them would leave the other
            raise BadTokens(f"{where}: {token.name} has the SHA-256 of {digests[token.sha256]}: one value is one token")
        names.add(token.name)
        digests[token.sha256] = token.name
    return found


def encode(tokens: TokensFile) -> bytes:
    """The whole file, as decode() reads it."""
    return msgspec.json.format(msgspec.json.encode(tokens), indent=2) + b"\n"


def check_name(name: str, where: str = "--name") -> None:
    """Whether a name is one: names go into logs. Raises BadTokens."""
    if not _NAME.fullmatch(name):
        raise BadTokens(f"{where}: {name[:80]!r}: expected up to 64 letters, digits, '.', '_' and '-', as in central")


def check_permissions(allow: Sequence[str], where: str = "--allow") -> None:
    """Whether each of these is a permission. Raises BadTokens."""
    unknown = [each for each in allow if each not in PERMISSIONS]
    if unknown or not allow:
        raise BadTokens(f"{where}: {', '.join(unknown)[:80] or 'nothing'}: expected some of {', '.join(PERMISSIONS)}")


def check_sha256(sha256: str, where: str = "--sha256") -> None:
    """Whether a text is a digest. Raises BadTokens. The message does not repeat it: it may be the token itself, by
    mistake."""
    if not _SHA256.fullmatch(sha256):
        raise BadTokens(f"{where}: expected 64 hexadecimal digits in lower case")
