"""The webhook as part of the service: begun, told of a reload, ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from ..basics.destination import Destination
from ..config import Settings
from ..web.routes.context import CONTEXT
from ..web.routes.follow import FOLLOWER
from ..web.routes.metrics import SCRAPER
from ..web.routes.queries import QUERIES
from .outgoing import Outgoing, warn_without_tls
from .systemd import state_directory

if TYPE_CHECKING:
    from ..notify.webhook import Webhook


class Notifying(Outgoing):
    """Used in the event loop."""

    def __init__(self, app: web.Application) -> None:
        super().__init__()
        self._app = app
        self._webhook: Webhook | None = None

    async def change(self, settings: Settings) -> None:
        """Tell the webhook that the settings name, if it is another."""
        url = settings.notify_url
        if not url and self._webhook is None:
            return
        if self._webhook is None:
            self._webhook = self._make(state_directory() or settings.history_dir)
        warn_without_tls("notify_url", url, shown="what is sent", use="https:")
        await self._webhook.tell(Destination(url, settings.notify_secret_file, settings.notify_ca))

    def _make(self, directory: str) -> Webhook:
        from ..notify.webhook import Webhook  # noqa: PLC0415 - for those who have a webhook only

        app, context = self._app, self._app[CONTEXT]
        made = Webhook(context.feed, app[FOLLOWER], context.env_id, app[QUERIES].hostname.get, directory=directory)
        app[SCRAPER].notified = made.figures
        return made

    def try_now(self) -> None:
        """Wait no longer with the next attempt."""
        if self._webhook is not None:
            self._webhook.try_now()

    async def end(self) -> None:
        """Whatever waits."""
        if self._webhook is not None:
            await self._webhook.stop()
