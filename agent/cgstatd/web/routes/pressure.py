"""What waits, and why, behind the routes that tell of it: follow, /metrics, /api/host."""

from __future__ import annotations

from aiohttp import web

from ...feed.pressure.watch import PressureWatch
from .context import CONTEXT
from .follow import FOLLOWER
from .metrics import SCRAPER
from .queries import QUERIES

PRESSURE: web.AppKey[PressureWatch] = web.AppKey("pressure", PressureWatch)


def add_pressure(app: web.Application) -> None:
    """The watch; it sleeps until it is wanted."""
    watch = app[PRESSURE] = PressureWatch(app[CONTEXT].feed, app[FOLLOWER].pressure)
    app[QUERIES].pressure = watch.facts
    app[SCRAPER].pressure = watch.figures

    async def stopping(_app: web.Application) -> None:
        watch.stop()

    app.on_shutdown.append(stopping)
