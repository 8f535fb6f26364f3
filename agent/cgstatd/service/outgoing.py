"""What the service sends by itself, as far as its settings are concerned: one change after the other."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from urllib.parse import urlsplit

from ..config import Settings
from ..config.address import is_private

log = logging.getLogger(__name__)


class Outgoing(ABC):
    """Used in the event loop. As long as no server is configured there is nothing behind it."""

    def __init__(self) -> None:
        self._changing: asyncio.Task[None] | None = None

    def take_over(self, settings: Settings) -> None:
        """Go on with the server that the settings name, once an earlier change is done."""
        self._changing = asyncio.get_running_loop().create_task(self._change_after(self._changing, settings))

    async def _change_after(self, earlier: asyncio.Task[None] | None, settings: Settings) -> None:
        if earlier is not None:
            await asyncio.wait([earlier])
        await self.change(settings)

    @abstractmethod
    async def change(self, settings: Settings) -> None:
        """The same, at once."""

    @abstractmethod
    def try_now(self) -> None:
        """Wait no longer with the next attempt."""

    async def stop(self) -> None:
        """End, whatever waits."""
        if self._changing is not None:
            await asyncio.wait([self._changing])
        await self.end()

    @abstractmethod
    async def end(self) -> None:
        """The same, once no change is under way."""


def warn_without_tls(setting: str, url: str, *, shown: str, use: str) -> None:
    """Say so where ``shown`` goes through foreign networks for everyone to read; ``use``: the scheme to take."""
    if url.startswith(("http:", "ws:")) and not is_private(f"{urlsplit(url).hostname}:0"):
        log.warning("%s without TLS: %s can be read on the way; use %s", setting, shown, use)
