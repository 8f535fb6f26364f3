"""Keeps the connection: reads the token, connects, says hello, and tries again, each time after a longer while."""

from __future__ import annotations

import asyncio
import logging

import aiohttp

from ..basics.destination import Destination
from ..basics.once_in_a_while import OnceInAWhile
from ..basics.timing import Backoff, Time
from ..feed.host_totals import HostTotals
from ..outputs.own_metrics import Called
from ..sampling.reading_failed import ReadingFailed
from ..sampling.registry import ListingFailed
from ..web.parts import EngineParts
from . import messages
from .link import Refused, connect, why_failed
from .messages import NotTheProtocol
from .outbox import Outbox
from .session import Ended, Session
from .token_file import BadToken, read_token

log = logging.getLogger(__name__)


class Connector:
    """One per agent; it may have no server to call. Used in the event loop."""

    def __init__(
        self, parts: EngineParts, totals: HostTotals, time: Time | None = None, backoff: Backoff | None = None
    ) -> None:
        self._parts, self._totals = parts, totals
        self._time = time or Time()
        self._backoff = backoff or Backoff()
        self._destination = Destination()
        self._task: asyncio.Task[None] | None = None
        self._waiting: asyncio.Task[None] | None = None
        self._once = OnceInAWhile()
        self._said = ""
        self._outbox: Outbox | None = None
        self.connected = False
        self._outcomes = {"connected": 0, "refused": 0, "failed": 0}

    def figures(self) -> Called | None:
        """For /metrics; None: there is no server to call. Any thread may ask."""
        if not self._destination.url:
            return None
        outbox = self._outbox
        return Called(self.connected, 0 if outbox is None else outbox.waiting, dict(self._outcomes))

    async def tell(self, destination: Destination) -> None:
        """Call this server from now on, and no other; nothing happens where it is the same."""
        if destination != self._destination:
            await self.stop()
            self._destination = destination
            if destination.url:
                self._task = asyncio.get_running_loop().create_task(self._run(destination))

    def try_now(self) -> None:
        """Wait no longer where there is no connection: the token may be another now."""
        if self._waiting is not None:
            self._waiting.cancel()

    async def stop(self) -> None:
        """Hang up."""
        task, self._task, self._destination = self._task, None, Destination()
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    # -- one server

    async def _run(self, destination: Destination) -> None:
        outbox = Outbox(self._parts.engine.events, self._time)
        outbox.start()
        self._outbox = outbox
        try:
            while True:
                asked = await self._once_connected(destination, outbox)
                wait = self._backoff.seconds(asked)
                log.debug("dockhand: again in %.0f s", wait)
                self._waiting = asyncio.ensure_future(self._time.sleep(wait))
                await asyncio.wait([self._waiting])
                self._waiting = None
        finally:
            if self._waiting is not None:
                self._waiting.cancel()
            outbox.stop()

    async def _once_connected(self, destination: Destination, outbox: Outbox) -> float:
        """One attempt, and the connection for as long as it lasts; for how long the server wants us to stay away."""
        began, asked, outcome = self._time.now(), 0.0, "failed"
        try:
            hello = messages.hello(await self._parts.engine.host.get(), read_token(destination.secret_file))
            async with connect(destination, hello) as link:
                began = self._time.now()
                self.connected = True
                self._outcomes["connected"] += 1
                self._said = ""
                log.info("dockhand connected url=%s", destination.url)
                try:
                    await Session(link.socket, self._parts, outbox, self._totals, self._time, self._once).run()
                finally:
                    outbox.disconnected(acknowledged=link.acknowledged())
        except Refused as error:
            outcome = "refused"
            self._say(destination, f"refused: {error}")
            self._backoff.refused()
            asked = error.retry_after
        except (BadToken, Ended, NotTheProtocol, ReadingFailed, ListingFailed) as error:
            self._say(destination, str(error))
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            self._say(destination, why_failed(error))
        except Exception:
            log.exception("dockhand url=%s", destination.url)
        finally:
            if not self.connected:
                self._outcomes[outcome] += 1
            else:
                self._backoff.held(self._time.now() - began)
            self.connected = False
        return asked

    def _say(self, destination: Destination, sentence: str) -> None:
        """Once, until it is another or there was a connection."""
        if self._once.due("again") or sentence != self._said:
            log.warning("dockhand not connected url=%s: %s", destination.url, sentence)
        self._said = sentence
