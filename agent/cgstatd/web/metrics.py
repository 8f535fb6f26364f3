"""GET /metrics: Prometheus' text format or OpenMetrics, as the scraper asks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiohttp import web

from ..container import ReadingFailed
from ..inspect import Inspector
from ..sampler import ListingFailed
from ..scrape import Scraper
from .containers import failure
from .context import CONTEXT
from .follow import FOLLOWER
from .inspect import INSPECTOR

SCRAPER: web.AppKey[Scraper] = web.AppKey("scraper", Scraper)
METRIC_LABELS: web.AppKey[Sequence[str] | None] = web.AppKey("metric_labels")
"""Container labels that become metric labels; None: the usual ones."""


async def metrics(request: web.Request) -> web.Response:
    """Every container, and the agent itself."""
    from ..outputs.prometheus import DEFAULT_LABELS, exposition  # noqa: PLC0415 - 2 MB for who scrapes only

    try:
        surveyed, own = await request.app[SCRAPER].scrape.get()
    except (ListingFailed, ReadingFailed) as error:
        return failure(500, str(error))
    labels = request.app[METRIC_LABELS]
    # In a thread: text for hundreds of containers takes longer than other requests should wait.
    body, content_type = await asyncio.to_thread(
        exposition, surveyed, own, DEFAULT_LABELS if labels is None else labels, request.headers.get("Accept", "")
    )
    return web.Response(body=body, headers={"Content-Type": content_type})


def add_metrics(app: web.Application) -> None:
    """The route, and the scraper behind it."""
    inspector: Inspector = app[INSPECTOR]
    app[SCRAPER] = Scraper(app[CONTEXT].feed, inspector, app[FOLLOWER])
    app[METRIC_LABELS] = None
    app.router.add_get("/metrics", metrics)
