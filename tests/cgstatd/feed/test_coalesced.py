"""One result for who asks at about the same time: made once, and forgotten once it is of no use."""

from __future__ import annotations

import asyncio
import weakref

import pytest

from cgstatd.feed import coalesced
from cgstatd.feed.coalesced import Coalesced


class Result:
    """What was there when it was made."""


class Source:
    """Makes results, by a clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.made = 0
        self.shared: Coalesced[Result] = Coalesced(self._make, 1.0, clock=lambda: self.now)

    async def _make(self) -> Result:
        self.made += 1
        await asyncio.sleep(0)
        return Result()


async def until_gone(found: weakref.ref[Result]) -> None:
    while found() is not None:
        await asyncio.sleep(0.005)


async def test_a_result_is_made_anew_when_it_is_too_old() -> None:
    source = Source()
    first, again = await asyncio.gather(source.shared.get(), source.shared.get())
    source.now += 0.9
    assert first is again is await source.shared.get() and source.made == 1
    source.now += 0.2
    assert await source.shared.get() is not first and source.made == 2


async def test_a_result_that_is_of_no_use_any_more_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coalesced, "LET_GO_SECONDS", 0.02)
    source = Source()
    found = weakref.ref(await source.shared.get())
    await asyncio.sleep(0.1)  # some looks
    assert found() is not None and await source.shared.get() is found(), "it can still be answered with"
    source.now += 1.1
    await until_gone(found)
    assert isinstance(await source.shared.get(), Result) and source.made == 2
    source.now += 1.1
    assert isinstance(await source.shared.get(), Result) and source.made == 3  # the look of the one before is off


async def test_a_result_that_is_being_made_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coalesced, "LET_GO_SECONDS", 0.02)
    source, goes_on = Source(), asyncio.Event()

    async def slowly() -> Result:
        await goes_on.wait()
        return Result()

    shared: Coalesced[Result] = Coalesced(slowly, 1.0, clock=lambda: source.now)
    goes_on.set()
    await shared.get()
    goes_on.clear()
    source.now += 1.1
    waiting = asyncio.ensure_future(shared.get())
    await asyncio.sleep(0.1)
    goes_on.set()
    assert isinstance(await waiting, Result) and await shared.get() is await waiting
