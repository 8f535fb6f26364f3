"""Answers that are compressed for clients that ask for it: those of JSON and of metrics.

Streams, errors, the page and the Engine API's answers are sent as they are.
"""

from __future__ import annotations

from aiohttp import hdrs, web

from ...feed.answer_bodies import Bodies, Body
from ...outputs.content_codings import AS_IT_IS, Accepted, accepted
from ..server.one_body import NoRoom, answer


def _accepted(request: web.Request) -> Accepted:
    lines = request.headers.getall(hdrs.ACCEPT_ENCODING, ())
    return accepted(",".join(lines)) if lines else AS_IT_IS


async def negotiated(bodies: Bodies, request: web.Request, body: Body, content_type: str, *varies: str) -> web.Response:
    """The answer as its client prefers it; ``varies``: other headers of the request that it depends on.

    All clients of one body share its compressed form too. Where there is no room for that they get the body as it is.
    Raises NoRoom where a client does not take that.
    """
    vary = ", ".join((*varies, hdrs.ACCEPT_ENCODING))
    takes = _accepted(request)
    if takes.compressed(body.size):
        smaller = await bodies.compressed(body)
        if smaller is not None:
            return answer(smaller, content_type, Vary=vary, Content_Encoding="gzip")
        if not takes.identity:
            raise NoRoom
    return answer(body, content_type, Vary=vary)
