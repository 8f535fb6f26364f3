"""What the service sends by itself: a webhook's notifications, and the connection to a Dockhand server.

Each is begun once the settings name a server, told of a reload, one change after the other, and ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar
from urllib.parse import urlsplit

from ..basics.destination import Destination
from ..config import Settings
from ..config.address import is_private
from ..feed.follow.follower import Follower
from ..feed.queries import Queries
from ..feed.shared_passes import Feed
from ..outputs.own_metrics import Called, Notified
from ..web.parts import EngineParts
from .systemd import state_directory

log = logging.getLogger(__name__)
F = TypeVar("F")
F_co = TypeVar("F_co", covariant=True)


class Sender(Protocol[F_co]):
    """What speaks to the server."""

    async def tell(self, destination: Destination) -> None:
        """Speak to this server from now on; nothing happens where it is the same."""

    def try_now(self) -> None:
        """Wait no longer with the next attempt."""

    async def stop(self) -> None:
        """End, whatever waits."""

    def figures(self) -> F_co | None:
        """For /metrics; None: there is no server. Any thread may ask."""


class Outgoing(Generic[F]):
    """Used in the event loop. As long as no server is configured there is nothing behind it."""

    def __init__(
        self,
        setting: str,
        destination: Callable[[Settings], Destination],
        make: Callable[[Settings], Sender[F]],
        *,
        shown: str,
        use: str,
    ) -> None:
        """``setting``: of the server's URL. Without TLS ``shown`` goes through foreign networks for everyone to read;
        ``use``: the scheme to take."""
        self._setting, self._destination, self._make = setting, destination, make
        self._shown, self._use = shown, use
        self._sender: Sender[F] | None = None
        self._changing: asyncio.Task[None] | None = None

    async def change(self, settings: Settings) -> None:
        """Speak to the server that the settings name, if it is another."""
        destination = self._destination(settings)
        if self._sender is None:
            if not destination.url:
                return
            self._sender = self._make(settings)
        url = destination.url
        if url.startswith(("http:", "ws:")) and not is_private(f"{urlsplit(url).hostname}:0"):
            log.warning("%s without TLS: %s can be read on the way; use %s", self._setting, self._shown, self._use)
        await self._sender.tell(destination)

    def take_over(self, settings: Settings) -> None:
        """The same, once an earlier change is done."""
        self._changing = asyncio.get_running_loop().create_task(self._change_after(self._changing, settings))

    async def _change_after(self, earlier: asyncio.Task[None] | None, settings: Settings) -> None:
        if earlier is not None:
            await asyncio.wait([earlier])
        await self.change(settings)

    def try_now(self) -> None:
        """Wait no longer with the next attempt."""
        if self._sender is not None:
            self._sender.try_now()

    def figures(self) -> F | None:
        """For /metrics; None: it is off. Any thread may ask."""
        return None if self._sender is None else self._sender.figures()

    async def stop(self) -> None:
        """End, whatever waits."""
        if self._changing is not None:
            await asyncio.wait([self._changing])
        if self._sender is not None:
            await self._sender.stop()


def notifying(feed: Feed, follower: Follower, queries: Queries, env_id: int) -> Outgoing[Notified]:
    """The webhook."""

    def make(settings: Settings) -> Sender[Notified]:
        from ..notify.webhook import Webhook  # noqa: PLC0415 - for those who have a webhook only

        directory = state_directory() or settings.history_dir
        return Webhook(feed, follower, env_id, queries.hostname.get, directory=directory)

    def destination(settings: Settings) -> Destination:
        return Destination(settings.notify_url, settings.notify_secret_file, settings.notify_ca)

    return Outgoing("notify_url", destination, make, shown="what is sent", use="https:")


def calling(feed: Feed, parts: EngineParts) -> Outgoing[Called]:
    """The connection to a Dockhand server, which has the Engine API and nothing else."""

    def make(_settings: Settings) -> Sender[Called]:
        from ..dockhand.connector import Connector  # noqa: PLC0415 - for those who call a server only
        from ..feed.host_totals import HostTotals  # noqa: PLC0415 - the same

        return Connector(parts, HostTotals(feed))

    def destination(settings: Settings) -> Destination:
        return Destination(settings.dockhand_url, settings.dockhand_token_file, settings.dockhand_ca)

    return Outgoing("dockhand_url", destination, make, shown="the token", use="wss:")
