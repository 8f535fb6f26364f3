"""While more is asked than the agent can answer, nobody waits for a reading who can have the one before."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from cgstatd.feed import coalesced, shared_passes
from cgstatd.web.server import one_body
from fakehost import FakeHost, Hang, container_id, no_thread_left
from wire import ALL, STREAM, serving

LIST, METRICS = "/api/containers", "/metrics"


async def test_every_kind_of_answer_goes_on_while_a_listing_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in (
        (coalesced, "OVERLOADED_SECONDS"),
        (shared_passes, "OVERLOADED_SECONDS"),
        (one_body, "_OVERLOADED_SECONDS"),
    ):
        monkeypatch.setattr(module, name, 3600.0)
    host = FakeHost(tmp_path)
    for name in ("a", "b"):
        host.add(name)
    one = f"/api/containers/{container_id('a')}/stats"
    with no_thread_left():
        hang = Hang(monkeypatch)
        async with serving(host.sampler(), freshness=0.0) as server:
            before = {target: await server.ask(target) for target in (one, LIST, METRICS, ALL, STREAM)}
            server.feed._load = SimpleNamespace(overloaded=True)
            hang.listing = True
            for _ in range(3):
                for target, answer in before.items():
                    again = await server.ask(target)
                    assert again.status == answer.status == 200, target
                    if target == one:  # from the pass
                        assert again.json["memoryRaw"] == answer.json["memoryRaw"] == 3 << 20
                    else:
                        assert again.stats == answer.stats if target == STREAM else again.body == answer.body, target
            assert len(before[ALL].json) == 2 and len(before[STREAM].stats) == 2
            hang.release()
