"""Changes the tokens file: one writer at a time, and readers see the old file or the new one, never half of one."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Literal

import msgspec

from ..basics.file_look import FileLook, look
from .tokens import (
    MAX_FILE_BYTES,
    BadTokens,
    Token,
    TokensFile,
    check_name,
    check_permissions,
    check_sha256,
    decode,
    digest,
    encode,
)
from .tokens import new_secret as make_secret

DEFAULT_TOKENS = "/etc/cgstatd/tokens.json"
_MODE = 0o600
Env = Sequence[int] | Literal["any"]
Change = Callable[[TokensFile], TokensFile]
Show = Callable[[str], None]
"""Shows a new secret before the change is made: if it cannot be shown, the old one stays good."""


def _unseen(_secret: str) -> None:
    """Shows nothing: the caller does."""


def read(path: str, now_ns: Callable[[], int] = time.time_ns) -> tuple[TokensFile, FileLook]:
    """The tokens, and the look at the file before it was read. Raises OSError, BadTokens."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        found = os.fstat(fd)
        seen = look(found, now_ns())
        if not stat.S_ISREG(found.st_mode):
            raise BadTokens(f"{path}: not a regular file")
        if found.st_uid not in (0, os.geteuid()) or found.st_mode & 0o022:
            raise BadTokens(
                f"{path}: others than root could write themselves a token (owner {found.st_uid}, mode "
                f"{stat.S_IMODE(found.st_mode):04o}); chown root and chmod 600 it"
            )
        with open(fd, "rb", closefd=False) as file:
            return decode(path, file.read(MAX_FILE_BYTES + 1)), seen
    finally:
        os.close(fd)


def add(path: str, name: str, env: Env, allow: Sequence[str], show: Show = _unseen) -> str:
    """Make a token; the secret, which is kept nowhere. Raises OSError, BadTokens, and what ``show`` raises."""
    secret = make_secret()
    token = _token(name, digest(secret), env, allow)

    def change(old: TokensFile) -> TokensFile:
        if any(each.name == name for each in old.tokens):
            raise BadTokens(f"there is a token {name} already; `cgstatd token rotate {name}` gives it a new value")
        return TokensFile((*old.tokens, token))

    _change(path, change, partial(show, secret), make=True)
    return secret


def make_known(path: str, name: str, sha256: str, env: Env, allow: Sequence[str], replace: bool = False) -> bool:
    """A token of another host, by its digest; whether that is a change. Raises OSError, BadTokens."""
    token = _token(name, sha256, env, allow)

    def change(old: TokensFile) -> TokensFile:
        of_name = next((each for each in old.tokens if each.name == name), None)
        if of_name is None:
            return TokensFile((*old.tokens, token))
        if msgspec.structs.replace(token, created=of_name.created) == of_name:
            return old
        if not replace:
            raise BadTokens(f"there is another token {name} already; with --replace this one takes its place")
        return TokensFile(tuple(token if each.name == name else each for each in old.tokens))

    return _change(path, change, make=True)


def revoke(path: str, name: str) -> None:
    """Forget a token. Raises OSError, BadTokens."""

    def change(old: TokensFile) -> TokensFile:
        _find(old, name)
        return TokensFile(tuple(each for each in old.tokens if each.name != name))

    _change(path, change)


def rotate(path: str, name: str, show: Show = _unseen) -> str:
    """A new secret with the same rights; the old one is worth nothing from now on. Raises what `add` raises."""
    secret = make_secret()

    def change(old: TokensFile) -> TokensFile:
        new = msgspec.structs.replace(_find(old, name), sha256=digest(secret), created=_now())
        return TokensFile(tuple(new if each.name == name else each for each in old.tokens))

    _change(path, change, partial(show, secret))
    return secret


def _token(name: str, sha256: str, env: Env, allow: Sequence[str]) -> Token:
    check_name(name)
    check_permissions(allow)
    check_sha256(sha256)
    where = env if isinstance(env, str) else tuple(sorted(set(env)))
    return Token(name=name, sha256=sha256, env=where, allow=tuple(sorted(set(allow))), created=_now())


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _find(tokens: TokensFile, name: str) -> Token:
    for each in tokens.tokens:
        if each.name == name:
            return each
    known = ", ".join(each.name for each in tokens.tokens) or "none"
    raise BadTokens(f"there is no token {name} (there are: {known})")


def _change(path: str, change: Change, show: Callable[[], None] | None = None, *, make: bool = False) -> bool:
    """Whether there was anything to change. ``show``: called when the new file is on disk but not in its place yet;
    ``make``: the file, and its directory, may be made; else what is to be changed has to be there."""
    path = os.path.realpath(path)  # a link to where secrets are kept stays a link
    directory = os.path.dirname(path)
    if make:
        os.makedirs(directory, mode=0o755, exist_ok=True)
    elif not os.path.exists(path):
        raise BadTokens(f"{path}: no such file: no token has been made")
    with _locked(directory):
        try:
            old, _ = read(path)
            owner: os.stat_result | None = os.stat(path)
        except FileNotFoundError:
            old, owner = TokensFile(), None
        new = change(old)
        if new is old:
            return False
        data = encode(new)
        decode(path, data)  # a file that no reader would accept is not written
        _replace(path, data, owner, show)
    return True


@contextmanager
def _locked(directory: str) -> Iterator[None]:
    """The directory itself is the lock: no file is left behind."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
        os.fsync(fd)
    finally:
        os.close(fd)


def _replace(path: str, data: bytes, owner: os.stat_result | None, show: Callable[[], None] | None) -> None:
    """Owner, group and read rights stay: the file may have been given to the service's own group."""
    fd, temporary = tempfile.mkstemp(prefix=".tokens-", dir=os.path.dirname(path))
    try:
        with open(fd, "wb") as file:
            file.write(data)
            if owner is not None:
                os.fchown(fd, owner.st_uid, owner.st_gid)
            os.fchmod(fd, _MODE if owner is None else stat.S_IMODE(owner.st_mode) & 0o644)
            file.flush()
            os.fsync(fd)
        if show is not None:
            show()
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
