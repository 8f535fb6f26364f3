"""While more is asked than the agent can answer, nobody waits for a reading who can have the one before."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from cgstatd.feed import coalesced, shared_passes
from cgstatd.web.server import one_body
from fakehost import Hang, container_id
from wire import ALL, STREAM, Server

ONE, LIST, METRICS = f"/api/containers/{container_id('a')}/stats", "/api/containers", "/metrics"


async def test_every_kind_of_answer_goes_on_while_a_listing_hangs(
    server: Server, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in (
        (coalesced, "OVERLOADED_SECONDS"),
        (shared_passes, "OVERLOADED_SECONDS"),
        (one_body, "_OVERLOADED_SECONDS"),
    ):
        monkeypatch.setattr(module, name, 3600.0)
    server.fresh_for(0.0)
    before = {target: await server.ask(target) for target in (ONE, LIST, METRICS, ALL, STREAM)}
    assert len(before[ALL].json) == 3 and len(before[STREAM].stats) == 3
    server.feed._load = SimpleNamespace(overloaded=True)
    hang.listing = True
    for target, answer in [*before.items()] * 3:
        again = await server.ask(target)
        assert again.status == answer.status == 200, target
        if target == ONE:  # from the pass
            assert again.json["memoryRaw"] == answer.json["memoryRaw"] == 3 << 20
        else:
            assert again.stats == answer.stats if target == STREAM else again.body == answer.body, target
    hang.release()
