"""A server that the agent calls, or sends something to, by itself."""

from __future__ import annotations

import asyncio
import os
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from .regular_file import check_regular


@dataclass(frozen=True, slots=True)
class Destination:
    """What the settings say of it."""

    url: str = ""
    """Empty: there is none."""
    secret_file: str = ""
    """What the agent shows there: a token, or a header."""
    ca: str = ""
    """A file of authorities; empty: the system's."""

    @property
    def secure(self) -> bool:
        """Whether it is reached by TLS."""
        return self.url.startswith(("https:", "wss:"))

    async def tls(self) -> ssl.SSLContext | bool:
        """How aiohttp checks its certificate; made anew each time, since authorities are renewed. Raises OSError."""
        return not self.secure or await asyncio.to_thread(self._context)

    def _context(self) -> ssl.SSLContext:
        if self.ca:
            check_regular(self.ca, os.stat(self.ca))  # a thread that waits for a FIFO would keep the agent from its end
        return ssl.create_default_context(cafile=self.ca or None)


def origin(url: str) -> str:
    """``https://hooks.example.org``: for the log, without path and query, which may be a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
