"""GET /metrics: Prometheus' text format or OpenMetrics, as the scraper asks."""

from __future__ import annotations

from functools import partial

from aiohttp import web

from ...outputs.negotiation import negotiate
from ..parts import Parts
from .negotiated import negotiated


async def metrics(parts: Parts, request: web.Request) -> web.Response:
    """Every container, and the agent itself."""
    from ...outputs.prometheus import exposition  # noqa: PLC0415 - 2 MB for who scrapes only

    scrape = await parts.scraper.scrape.get()
    form = negotiate(request.headers.get("Accept", ""))
    labels = parts.scraper.labels
    # In a thread: text for hundreds of containers takes longer than other requests should wait.
    make = partial(exposition, *scrape, labels, form, parts.written_labels)
    body = await parts.metric_bodies[form].get((scrape, labels), make, threaded=True)
    return await negotiated(parts.bodies, request, body, form.content_type, "Accept")
