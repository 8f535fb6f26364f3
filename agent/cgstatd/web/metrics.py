"""GET /metrics: Prometheus' text format or OpenMetrics, as the scraper asks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from ..outputs.metrics_self import DEFAULT_LABELS
from ..outputs.negotiation import negotiate
from ..scrape import Scraper
from .context import CONTEXT
from .follow import FOLLOWER

SCRAPER: web.AppKey[Scraper] = web.AppKey("scraper", Scraper)


@dataclass(slots=True)
class MetricLabels:
    """Container labels that become metric labels; a reload may choose others."""

    names: Sequence[str] = DEFAULT_LABELS


METRIC_LABELS: web.AppKey[MetricLabels] = web.AppKey("metric_labels", MetricLabels)


async def metrics(request: web.Request) -> web.Response:
    """Every container, and the agent itself."""
    from ..outputs.prometheus import exposition  # noqa: PLC0415 - 2 MB for who scrapes only

    surveyed, own = await request.app[SCRAPER].scrape.get()
    form = negotiate(request.headers.get("Accept", ""))
    # In a thread: text for hundreds of containers takes longer than other requests should wait.
    body = await asyncio.to_thread(exposition, surveyed, own, request.app[METRIC_LABELS].names, form)
    return web.Response(body=body, headers={"Content-Type": form.content_type})


def add_metrics(app: web.Application) -> None:
    """The scraper behind the route."""
    app[SCRAPER] = Scraper(app[CONTEXT].feed, app[FOLLOWER])
    app[METRIC_LABELS] = MetricLabels()
