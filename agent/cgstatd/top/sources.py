"""Where the figures come from: this host, read by the very follower that the agent has; or an agent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

import msgspec

from ..basics.text import printable
from ..feed.follow.follower import Follower
from ..feed.follow.interval_grid import GRID_SECONDS
from ..feed.history.short_lines import TABLE_FIGURES
from ..feed.process_lists import ProcessLists
from ..feed.queries import Queries
from ..feed.shared_passes import Feed
from ..host.identity import Identity
from ..outputs.detail_types import ContainerDetail
from ..outputs.history_types import HistoryLines
from ..outputs.host_json import HostAnswer
from ..outputs.processes_json import SORTS, ContainerProcesses, container_processes, no_processes
from ..outputs.stats_json import Failure
from ..sampling.lookup import Ambiguous, NotFound
from ..sampling.reading_failed import ReadingFailed
from ..sampling.registry import ListingFailed
from ..sampling.sampler import Sampler

if TYPE_CHECKING:
    import aiohttp

T = TypeVar("T")
SHOWN_PROCESSES = 10
_SILENCE_SECONDS = 12.0
"""The agent says something every 5 s."""
_MAX_BYTES = 64 << 20


class Unavailable(Exception):
    """There are no figures now; the text says why."""


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What this host cannot say is unavailable."""
    try:
        yield
    except NotFound:
        raise Unavailable("the container is gone") from None
    except (Ambiguous, ListingFailed, ReadingFailed) as error:
        raise Unavailable(str(error)) from error


class Local:
    """This host. Used in the event loop."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self._feed = Feed(sampler, freshness_seconds=0.1, baseline_seconds=0.0)
        self._follower = Follower(self._feed, 1)
        self._queries = Queries(self._feed, self._follower, 1)
        self._lists = ProcessLists(self._feed)
        self._feed.start()

    async def stream(self, steps: int, last_id: str) -> AsyncIterator[bytes]:
        """The events, encoded as an agent would send them."""
        client = self._follower.subscribe(steps, last_id)
        try:
            async for data in client.batches():
                yield data if isinstance(data, bytes) else b"".join(data.parts)
        finally:
            self._follower.leave(client)

    async def host(self) -> HostAnswer:
        """The host."""
        with _told():
            return await self._queries.host.get()

    async def detail(self, container_id: str) -> ContainerDetail:
        """One container."""
        with _told():
            return await self._queries.detail(container_id)

    async def processes(self, container_id: str) -> ContainerProcesses:
        """Of one container."""
        with _told():
            found = await self._lists.get(container_id)
        if isinstance(found, Identity):
            return no_processes(found, 0, SORTS[0])
        return container_processes(found, SORTS[0], SHOWN_PROCESSES)

    async def lines(self, since_ms: int) -> HistoryLines | None:
        """There is none: what is shown begins now."""
        return None

    async def close(self) -> None:
        """Stop reading."""
        self._follower.stop()
        self._feed.stop()


class Remote:
    """An agent."""

    def __init__(self, url: str, token: str) -> None:
        import aiohttp  # noqa: PLC0415 - for who asks an agent only

        self._url = url
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        timeout = aiohttp.ClientTimeout(total=None, connect=5.0, sock_read=_SILENCE_SECONDS)
        self._session = aiohttp.ClientSession(headers=headers, timeout=timeout)
        self._errors = (aiohttp.ClientError, TimeoutError, OSError, ValueError)

    async def stream(self, steps: int, last_id: str) -> AsyncIterator[bytes]:
        """``follow``."""
        path = f"/api/containers/stats/follow?interval={steps * GRID_SECONDS:g}"
        headers = {"Last-Event-ID": last_id} if last_id else {}
        try:
            async with self._session.get(self._url + path, headers=headers, allow_redirects=False) as response:
                await _check(response)
                async for data in response.content.iter_any():
                    yield data
        except self._errors as error:
            raise Unavailable(_why(error)) from error
        raise Unavailable("the stream ended")

    async def _get(self, path: str, kind: type[T]) -> T:
        try:
            async with asyncio.timeout(10), self._session.get(self._url + path, allow_redirects=False) as response:
                await _check(response)
                return msgspec.json.decode(await response.content.read(_MAX_BYTES), type=kind)
        except (*self._errors, msgspec.DecodeError, RecursionError) as error:
            raise Unavailable(_why(error)) from error

    async def host(self) -> HostAnswer:
        """GET /api/host"""
        return await self._get("/api/host", HostAnswer)

    async def detail(self, container_id: str) -> ContainerDetail:
        """GET /api/containers/{id}/detail"""
        return await self._get(f"/api/containers/{quote(container_id, safe='')}/detail", ContainerDetail)

    async def processes(self, container_id: str) -> ContainerProcesses:
        """GET /api/containers/{id}/processes"""
        path = f"/api/containers/{quote(container_id, safe='')}/processes?limit={SHOWN_PROCESSES}"
        return await self._get(path, ContainerProcesses)

    async def lines(self, since_ms: int) -> HistoryLines | None:
        """GET /api/containers/history"""
        path = f"/api/containers/history?step=1&since={since_ms}&figures={','.join(TABLE_FIGURES)}"
        return await self._get(path, HistoryLines)

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


Source = Local | Remote
"""What the screen asks. Every method raises Unavailable."""


def _why(error: BaseException) -> str:
    cause = getattr(error, "os_error", error)  # aiohttp's own words bury it
    words = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(error)
    return printable(words, 100) or type(error).__name__


async def _check(response: aiohttp.ClientResponse) -> None:
    if response.status == 200:
        return
    words = f"answered {response.status}"
    with contextlib.suppress(msgspec.DecodeError, RecursionError):
        failure = msgspec.json.decode(await response.content.read(4096), type=Failure)
        words = ": ".join(part for part in (failure.error, failure.message) if isinstance(part, str) and part)
    raise Unavailable(printable(words, 200))
