"""What the handlers of routes ask; the composition (``service/composition.py``) makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..feed.answer_bodies import Bodies
from ..feed.engine import Engine
from ..feed.follow.follower import Follower
from ..feed.health import Health
from ..feed.process_lists import ProcessLists
from ..feed.queries import Queries
from ..feed.scrape import Scraper
from ..feed.shared_passes import Feed
from ..outputs.container_labels import WrittenLabels
from ..outputs.negotiation import Format
from .security.callers import Callers
from .server.one_body import OneBody

if TYPE_CHECKING:
    from ..feed.history.reading import History


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineParts:
    """What the handlers of the Engine API ask."""

    env_id: int
    bodies: Bodies
    health: Health
    engine: Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts(EngineParts):
    """What all of them ask."""

    callers: Callers
    feed: Feed
    follower: Follower
    queries: Queries
    processes: ProcessLists
    scraper: Scraper
    history: History | None
    """None: it is off."""
    listing_body: OneBody
    host_body: OneBody
    metric_bodies: Mapping[Format, OneBody]
    written_labels: WrittenLabels
