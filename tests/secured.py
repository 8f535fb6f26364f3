"""What the tests of authentication, TLS and limits share: tokens on disk, and the guard that goes with them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cgstatd.auth import store
from cgstatd.auth.keyring import Keyring
from cgstatd.web.guard import Guard
from cgstatd.web.security.callers import Callers
from cgstatd.web.security.origin import Hosts, Origins
from cgstatd.web.server.limits import Limits

VIEW = "containers:view"
METRICS = "metrics:view"


class Tokens:
    """A tokens file."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "tokens.json")

    def new(self, name: str = "central", env: store.Env = (1,), allow: Sequence[str] = (VIEW,)) -> str:
        """A token."""
        return store.add(self.path, name, env, allow)

    def revoke(self, name: str = "central") -> None:
        """Forget it."""
        store.revoke(self.path, name)

    def edit(self, **parts: Any) -> None:
        """Change what the file says of the first one, as somebody with an editor does."""
        content = json.loads(Path(self.path).read_text())
        content["tokens"][0] |= parts
        Path(self.path).write_text(json.dumps(content))

    def rotate(self, name: str = "central") -> str:
        """Another value."""
        return store.rotate(self.path, name)


def guard(
    tokens: Tokens | None = None,
    *,
    required: bool = False,
    certificates: bool = False,
    names: Sequence[str] = (),
    hosts: Sequence[str] = (),
    origins: Sequence[str] = (),
    limits: Limits | None = None,
    env: int = 1,
) -> Guard:
    """A guard; with tokens, it demands one."""
    keyring = Keyring(tokens.path) if tokens else None
    callers = Callers(keyring, certificates=certificates, names=names, required=required)
    return Guard(env, callers, hosts=Hosts(hosts), origins=Origins(origins), limits=limits)


def bearer(secret: str) -> str:
    """The header."""
    return f"Authorization: Bearer {secret}"
