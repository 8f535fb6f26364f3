"""The webhook as part of the service: begun, told of a reload, ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..basics.destination import Destination
from ..config import Settings
from ..feed.follow.follower import Follower
from ..feed.queries import Queries
from ..feed.shared_passes import Feed
from ..outputs.own_metrics import Notified
from .outgoing import Outgoing, warn_without_tls
from .systemd import state_directory

if TYPE_CHECKING:
    from ..notify.webhook import Webhook


class Notifying(Outgoing):
    """Used in the event loop."""

    def __init__(self, feed: Feed, follower: Follower, queries: Queries, env_id: int) -> None:
        super().__init__()
        self._feed, self._follower, self._queries, self._env = feed, follower, queries, env_id
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

        return Webhook(self._feed, self._follower, self._env, self._queries.hostname.get, directory=directory)

    def figures(self) -> Notified | None:
        """For /metrics; None: it is off. Any thread may ask."""
        return None if self._webhook is None else self._webhook.figures()

    def try_now(self) -> None:
        """Wait no longer with the next attempt."""
        if self._webhook is not None:
            self._webhook.try_now()

    async def end(self) -> None:
        """Whatever waits."""
        if self._webhook is not None:
            await self._webhook.stop()
