"""GET /metrics: Prometheus' text format or OpenMetrics, as the scraper asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from aiohttp import web

from ...config.settings import DEFAULT_LABELS
from ...feed.scrape import Scraper
from ...outputs.container_labels import WrittenLabels
from ...outputs.negotiation import OPENMETRICS, TEXT, Format, negotiate
from ..server.one_body import OneBody
from .context import CONTEXT
from .follow import FOLLOWER
from .negotiated import negotiated

SCRAPER: web.AppKey[Scraper] = web.AppKey("scraper", Scraper)


@dataclass(slots=True)
class MetricLabels:
    """Container labels that become metric labels; a reload may choose others."""

    names: Sequence[str] = DEFAULT_LABELS


METRIC_LABELS: web.AppKey[MetricLabels] = web.AppKey("metric_labels", MetricLabels)


_BODIES: web.AppKey[dict[Format, OneBody]] = web.AppKey("metric_bodies", dict)
_WRITTEN: web.AppKey[WrittenLabels] = web.AppKey("metric_written_labels", WrittenLabels)


async def metrics(request: web.Request) -> web.Response:
    """Every container, and the agent itself."""
    from ...outputs.prometheus import exposition  # noqa: PLC0415 - 2 MB for who scrapes only

    scrape = await request.app[SCRAPER].scrape.get()
    form = negotiate(request.headers.get("Accept", ""))
    labels = request.app[METRIC_LABELS].names
    # In a thread: text for hundreds of containers takes longer than other requests should wait.
    make = partial(exposition, *scrape, labels, form, request.app[_WRITTEN])
    body = await request.app[_BODIES][form].get((scrape, labels), make, threaded=True)
    return await negotiated(request, body, form.content_type, "Accept")


def add_metrics(app: web.Application) -> None:
    """The scraper behind the route."""
    app[SCRAPER] = Scraper(app[CONTEXT].feed, app[FOLLOWER])
    app[METRIC_LABELS] = MetricLabels()
    app[_WRITTEN] = WrittenLabels()
    context = app[CONTEXT]
    app[_BODIES] = {form: OneBody(context.bodies, context.feed.overloaded) for form in (TEXT, OPENMETRICS)}
