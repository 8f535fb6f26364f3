"""The outgoing connection as part of the service: begun, told of a reload, ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aiohttp import web

from ..basics.destination import Destination
from ..config import Settings
from ..feed.shared_passes import Feed
from ..outputs.own_metrics import Called
from ..web.app import make_engine_app
from ..web.guard import Guard
from ..web.parts import EngineParts
from ..web.server.limits import Limits
from .outgoing import Outgoing, warn_without_tls

if TYPE_CHECKING:
    from ..dockhand.connector import Connector

STREAMS = 64
"""Streams that the server may have open at a time."""


class Calling(Outgoing):
    """Used in the event loop."""

    def __init__(self, feed: Feed, parts: EngineParts, env_id: int) -> None:
        super().__init__()
        self._feed, self._parts, self._env = feed, parts, env_id
        self._runner: web.AppRunner | None = None
        self._connector: Connector | None = None

    async def change(self, settings: Settings) -> None:
        """Call the server that the settings name, if it is another."""
        url = settings.dockhand_url
        if not url and self._connector is None:
            return
        if self._connector is None:
            self._connector = await self._make()
        warn_without_tls("dockhand_url", url, shown="the token", use="wss:")
        await self._connector.call(Destination(url, settings.dockhand_token_file, settings.dockhand_ca))

    async def _make(self) -> Connector:
        """Its requests have the routes of the Engine API and no others."""
        from ..dockhand.connector import Connector  # noqa: PLC0415 - for those who call a server only
        from ..feed.host_totals import HostTotals  # noqa: PLC0415 - the same

        guard = Guard(self._env, limits=Limits(streams=2 * STREAMS, streams_per_client=STREAMS))
        self._runner = web.AppRunner(make_engine_app(self._parts, guard), access_log=None)
        await self._runner.setup()
        server = cast(web.Server, self._runner.server)
        return Connector(server, self._parts.engine, HostTotals(self._feed))

    def figures(self) -> Called | None:
        """For /metrics; None: there is no server to call. Any thread may ask."""
        return None if self._connector is None else self._connector.figures()

    def try_now(self) -> None:
        """Wait no longer where there is no connection."""
        if self._connector is not None:
            self._connector.try_now()

    async def end(self) -> None:
        """Hang up."""
        if self._connector is not None:
            await self._connector.stop()
        if self._runner is not None:
            await self._runner.cleanup()
