"""POST /api/auth/login and /api/auth/logout."""

from __future__ import annotations

import msgspec


class Login(msgspec.Struct, frozen=True):
    """What a client sends; ``password``: a token. Further keys (``provider``, ``mfaToken``) mean nothing here."""

    username: str
    password: str


class User(msgspec.Struct, frozen=True, rename="camel"):
    """``username``: the token's name; where no token is demanded, the one that was given."""

    username: str
    is_admin: bool = False


class LoggedIn(msgspec.Struct, frozen=True):
    """The cookie is in Set-Cookie."""

    user: User
    success: bool = True


class LoggedOut(msgspec.Struct, frozen=True):
    """Also where there was no session."""

    success: bool = True
