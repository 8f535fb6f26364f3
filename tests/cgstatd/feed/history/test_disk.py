"""Rounds on disk outlive the agent: each is there once, as it was, or is said to be lost."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from cgstatd.feed.history import disk as disk_module
from cgstatd.feed.history import gaps
from cgstatd.feed.history.disk import Silent
from cgstatd.feed.history.disk_model import DiskFailed, Run, State
from cgstatd.feed.history.gaps import WORDS, Gap
from cgstatd.feed.history.history_file import append, opened
from cgstatd.feed.history.in_steps import ContainerSteps
from cgstatd.feed.history.steps_reading import Asked
from cgstatd.host.identity import Identity
from cgstatd.sampling.history_model import Life
from cgstatd.sampling.round import Changes, Ended
from storedhistory import BEGAN_MS, BOOT, INTERVAL, Agent, Running, everything, judged, life, seconds

HOUR = 3600


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    found = tmp_path / "history"
    found.mkdir(mode=0o700)
    return found


def at(second: int) -> int:
    """The wall clock, in milliseconds."""
    return BEGAN_MS + second * 1000


async def host(agent: Agent, since: int, step: int = INTERVAL, until: int | None = None) -> Any:
    return await agent.history.host(Asked(at(since), None if until is None else at(until), step))


def reason(answer: Any, second: int) -> str | None:
    return next((gap.reason for gap in answer.gaps if gap.since <= at(second) <= gap.until), None)


def killed(agent: Agent) -> None:
    """Nothing more is written, and nothing is said of an end."""
    agent.kill()
    agent.store.end = lambda: None  # type: ignore[method-assign]
    agent.store.write = lambda: None  # type: ignore[method-assign]


# -- round by round


async def test_each_round_is_there_once_after_restarts_and_kills(directory: Path) -> None:
    cursor, had, second = "", list[int](), 1000
    for run in range(6):
        async with Running(Agent(directory, second, f"{run:08x}")) as agent:
            for _ in range(4):
                agent.round()
                await agent.disk.store()
                found, lost = await everything(agent, cursor, limit=3)
                assert not lost
                had += seconds(found)
                cursor = found[-1]["cursor"]
            if run % 2:
                agent.kill()
                agent.store.end = lambda: None  # type: ignore[method-assign]
            second = agent.second + 300
    assert had == sorted(set(had)) and len(had) == 24


async def test_marks_of_a_restart_are_in_their_order_on_disk(directory: Path) -> None:
    """The life that a round lists is stored before the others."""
    async with Running(Agent(directory, 1000, "00000001")) as agent:
        agent.minutes(1)
        first, later = life(0), life(0)._replace(inode=7)
        identity = Identity(first.id, "name-0", "docker", 0, None)
        now = agent.now().time_ms
        ended = Ended(identity, None, None, 1, None, None, None, False, None, None, first)
        agent.memory.hear(Changes(ended=[ended], started=[identity], begun=[later]), now)
        agent.memory.hear(Changes(ended=[ended._replace(exit_code=2, life=later)]), now)
        agent.memory.hear(Changes(started=[identity], begun=[life(5)]), now)
        agent.places = lambda: range(1, 6)
        agent.minutes(1)
        expected = [("exit", 1), ("start", None), ("exit", 2), ("start", None)]
        assert told_of((await everything(agent))[0]) == expected
    async with Running(Agent(directory, 2000, "00000002")) as agent:
        assert told_of((await everything(agent))[0]) == expected


async def test_lives_that_nobody_saw_keep_their_order_among_those_that_were_seen(directory: Path) -> None:
    """They have no cgroup that would tell them apart."""
    async with Running(Agent(directory, 1000, "00000001")) as agent:
        agent.minutes(1)
        for code, inode in ((1, 0), (2, 5), (3, 0), (4, 0)):
            happened(agent, inode, code)
        agent.minutes(1)
    expected = [each for code in (1, 2, 3, 4) for each in (("start", None), ("exit", code))]
    async with Running(Agent(directory, 2000, "00000002")) as agent:
        assert told_of((await everything(agent))[0]) == expected


async def test_marks_behind_the_last_round_are_stored_as_the_agent_ends(directory: Path) -> None:
    async with Running(Agent(directory, 1000, "00000001")) as agent:
        agent.minutes(1)
        happened(agent, 1, 7)  # behind a round that is stored
    async with Running(Agent(directory, 2000, "00000002")) as agent:
        assert told_of((await everything(agent))[0]) == [("start", None), ("exit", 7)]


def told_of(lines: list[dict[str, Any]]) -> list[tuple[str, int | None]]:
    return [(mark["event"], mark.get("exitCode")) for line in lines for mark in line["marks"]]


def happened(agent: Agent, inode: int, code: int) -> Life:
    """A life that no round sees: its start and its end."""
    which = Life(0, "docker", "f" * 64, inode)
    identity = Identity(which.id, "short", "docker", 0, None)
    now = agent.now().time_ms
    agent.memory.hear(Changes(started=[identity], begun=[which]), now)
    ended = Ended(identity, None, None, code, None, 11, None, False, None, None, which)
    agent.memory.hear(Changes(ended=[ended]), now + 500)
    return which


async def test_marks_of_lives_that_no_round_has_seen_outlive_the_agent(directory: Path) -> None:
    expected = []
    for run, second in ((1, 1000), (2, 2000)):
        async with Running(Agent(directory, second, f"{run:08x}")) as agent:
            agent.minutes(1)
            for each in range(2):
                happened(agent, 10 * run + each, 10 * run + each)
                expected += [("start", None), ("exit", 10 * run + each)]
            agent.minutes(1)
            found, _ = await everything(agent)
            assert told_of(found) == expected
    async with Running(Agent(directory, 3000, "00000003")) as agent:
        agent.round()
        fit = await agent.disk.find("short")
        assert fit is not None
        _, answer = await agent.history.steps.filled(
            Asked(at(1000), None, 10), lambda plan: ContainerSteps(plan.grid, plan.now), fit.who
        )
        assert [(each.event, each.exit_code) for each in answer.marks] == expected
        assert {each.signal for each in answer.marks if each.event == "exit"} == {11}


async def test_a_client_that_was_away_over_restarts_gets_every_round(directory: Path) -> None:
    async with Running(Agent(directory, 1000, "00000001")) as agent:
        agent.minutes(3)
        cursor = (await everything(agent))[0][4]["cursor"]
    async with Running(Agent(directory, 2000, "00000002")) as agent:
        agent.minutes(2)
    async with Running(Agent(directory, 3000, "00000003")) as agent:
        agent.round()
        found, lost = await everything(agent, cursor, limit=7)
        expected = [*range(1050, 1180, 10), *range(2000, 2120, 10), 3000]
        assert (seconds(found), lost) == (expected, False)
        assert [each["gap"] for each in found if each["gap"]] == [WORDS[Gap.STOPPED]] * 2
        assert {each["boot"] for each in found} == {agent.memory.boot}


async def test_rounds_that_were_not_stored_when_the_agent_was_killed_are_no_longer_promised(directory: Path) -> None:
    async with Running(Agent(directory, 1000, "00000001")) as agent:
        agent.minutes(1)
        agent.round()
        found, _ = await everything(agent)  # the seventh round is in memory only
        agent.kill()
        agent.store.end = lambda: None  # type: ignore[method-assign]
        agent.store.write = lambda: None  # type: ignore[method-assign]
    async with Running(Agent(directory, 1500, "00000002")) as agent:
        agent.minutes(1)
        later, lost = await everything(agent, found[-1]["cursor"])
        assert (seconds(later), lost) == ([*range(1500, 1560, 10)], False)
        assert later[0]["gap"] == WORDS[Gap.KILLED]
        assert len((await everything(agent))[0]) == 12


@pytest.mark.parametrize("earlier", [0, 2])
async def test_a_kill_before_anything_of_a_run_was_stored_sends_no_round_twice(directory: Path, earlier: int) -> None:
    if earlier:
        async with Running(Agent(directory, 1000, "00000001")) as agent:
            agent.minutes(earlier)
    for run in range(2, 5):
        async with Running(Agent(directory, run * 1000, f"{run:08x}")) as agent:
            for _ in range(4):
                agent.round()
            cursor = (await everything(agent))[0][-1]["cursor"]
            killed(agent)
    async with Running(Agent(directory, 9000, "00000009")) as agent:
        assert await everything(agent, cursor) == ([], False)
        agent.round()
        found, lost = await everything(agent, cursor)
        assert (seconds(found), lost) == ([9000], False) and found[0]["gap"] == WORDS[Gap.KILLED]
        if earlier:
            found, lost = await everything(agent, "00000001-10")
            assert seconds(found) == [1110, 9000] and found[1]["gap"] == WORDS[Gap.KILLED]
        assert reason(await host(agent, 1000), 8000) == (WORDS[Gap.KILLED] if earlier else gaps.BEFORE)


async def test_an_agent_that_is_killed_all_the_time_does_not_keep_every_run_in_mind(directory: Path) -> None:
    async with Running(Agent(directory, 1000, "00000001")) as agent:
        agent.minutes(1)
    path = str(directory / "history-00000001.db")
    file = opened(path, write=True)
    append(file, {"runs": [Run(run, f"{run:08x}", BOOT, 10.0, 30 * run) for run in range(2, 5000)]})
    file.close()
    async with Running(Agent(directory, 2000, "99999999")) as agent:
        agent.round()
        assert len(agent.store.state.runs) <= 1002 and agent.store.state.run.run == 5000
        assert seconds((await everything(agent, "4990-0000137e-4"))[0]) == [2000]
        assert seconds((await everything(agent, "00000001-4"))[0]) == [1050, 2000]


async def test_a_power_cut_says_that_rounds_are_lost(directory: Path) -> None:
    async with Running(Agent(directory, 1000, "00000001")) as agent:
        agent.minutes(1)
        agent.round()
        killed(agent)
    async with Running(Agent(directory, 50, "00000002", boot="ba9876543210", wall_ms=10**7)) as agent:
        agent.minutes(1)
        assert [each["gap"] for each in (await everything(agent))[0] if each["gap"]] == [WORDS[Gap.CUT]]


async def test_a_cursor_of_a_run_whose_file_is_lost_goes_on_behind_it(directory: Path) -> None:
    cursors = []
    for run, minutes in ((1, 10), (2, 10), (3, 10)):  # the second one is in the second file alone
        async with Running(Agent(directory, run * 10_000, f"{run:08x}", keep=3600)) as agent:
            agent.minutes(minutes)
            cursors.append((await everything(agent))[0][-7]["cursor"])
    (directory / "history-00000002.db").write_bytes(b"nonsense" * 1000)
    async with Running(Agent(directory, 90_000, "00000009")) as agent:
        agent.round()
        found, lost = await everything(agent, cursors[1])
        assert lost and seconds(found) == [*range(30_000, 30_600, 10), 90_000]
        assert found[0]["gap"] == WORDS[Gap.LOST]


async def test_a_run_that_ended_in_order_before_it_stored_anything_was_not_killed(directory: Path) -> None:
    async with Running(Agent(directory, 1000, "00000001")) as agent:
        agent.minutes(1)
    async with Running(Agent(directory, 2000, "00000002")):
        pass
    async with Running(Agent(directory, 3000, "00000003")) as agent:
        agent.round()
        assert [each["gap"] for each in (await everything(agent))[0] if each["gap"]] == [WORDS[Gap.STOPPED]]


async def test_a_cursor_whose_rounds_were_dropped_is_told_so(directory: Path) -> None:
    async with Running(Agent(directory, 1000, "00000001", keep=1200, rounds=18)) as agent:
        agent.minutes(1)
        cursor = (await everything(agent))[0][0]["cursor"]
        agent.minutes(40)
        assert 20 <= len((await everything(agent))[0]) / 6 <= 23.5
        found, lost = await everything(agent, cursor)
        assert lost and seconds(found) == list(range(seconds(found)[0], agent.second, 10))
        assert [each["gap"] for each in found if each["gap"]] == [gaps.NO_LONGER]
        assert not (await everything(agent, found[0]["cursor"]))[1]


async def test_a_cursor_of_another_host_is_told_so(directory: Path) -> None:
    async with Running(Agent(directory, 1000, "00000001")) as agent:
        agent.minutes(1)
        for cursor in ("abcdef01-3", "00000001-99", "00000001-" + "9" * 12):
            found, lost = await everything(agent, cursor)
            assert lost and len(found) == 6


async def test_rounds_that_the_disk_could_not_take_in_time_are_said_to_be_lost(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Running(Agent(directory, 1000, "00000001", rounds=18)) as agent:
        agent.minutes(1)
        cursor = (await everything(agent))[0][2]["cursor"]
        for _ in range(30):
            agent.round()
        agent.minutes(1)
        found, lost = await everything(agent, cursor)
        assert lost and seconds(found)[:4] == [1030, 1040, 1050, seconds(found)[3]]
        assert found[3]["gap"] == WORDS[Gap.LOST]
        agent.minutes(10)
        found, lost = await everything(agent, cursor)  # from the file alone
        assert lost and [each["gap"] for each in found if each["gap"]] == [WORDS[Gap.LOST]]
        answer = await host(agent, 1000)
        assert reason(answer, 1100) == WORDS[Gap.LOST]


# -- in steps


async def test_days_in_steps_are_the_difference_of_the_counters(directory: Path) -> None:
    for run, second in enumerate((1000, 10_000, 20_000)):
        async with Running(Agent(directory, second, f"{run:08x}", rounds=18)) as agent:
            agent.minutes(20)
            end = agent.second - 10
    async with Running(Agent(directory, 30_000, "00000009")) as agent:
        agent.round()
        answer = await host(agent, 1000, 60)
        usage = dict(zip(answer.timestamps, answer.figures["cpuPercent"].mean, strict=True))
        known = [each for time, each in usage.items() if each is not None and time <= at(end)]
        assert len(known) in (60, 61, 62)
        assert set(known) == {31.0}  # 31 of 200 ticks, two cores
        assert reason(answer, 5000) == reason(answer, 25_000) == WORDS[Gap.STOPPED]
        assert reason(answer, 900) in (gaps.BEFORE, None)
        found = await agent.history.steps.filled(
            Asked(at(20_000), at(21_190), 10), _container, agent_who(2)
        )  # fmt: skip
        sink = found[1]
        steps = sink.figures.steps()
        assert {each for each in steps["cpuPercent"].mean if each is not None} == {0.79}
        assert {each for each in steps["blockReadRate"].mean if each is not None} == {512_000.0}
        assert (sink.ends[0].cpu_usage_nsec, sink.ends[1].cpu_usage_nsec) == (
            (20_000_000 + 2) * 7919, (21_190_000 + 2) * 7919
        )  # fmt: skip


def _container(plan: Any) -> Any:
    from cgstatd.feed.history.in_steps import ContainerSteps

    return ContainerSteps(plan.grid, plan.now, plan.earliest)


def agent_who(place: int) -> tuple[int, str, str]:
    return (0, "docker", f"{place:064x}")


async def test_a_short_part_of_days_is_read_without_the_rest(directory: Path) -> None:
    async with Running(Agent(directory, 1000, "00000001", rounds=18)) as agent:
        agent.minutes(200)
        fetched: list[int] = []
        fetch = agent.store.fetch

        def counting(*arguments: Any, **more: Any) -> Any:
            found = fetch(*arguments, **more)
            fetched.append(len(found.rounds))
            return found

        agent.store.fetch = counting  # type: ignore[method-assign]
        answer = await host(agent, 6000, until=6050)
        assert answer.figures["load1"].mean[-1] is not None and sum(fetched) <= 700
        assert all(each == 31.0 for each in answer.figures["cpuPercent"].mean)


async def test_the_agent_says_how_far_back_it_goes(directory: Path) -> None:
    async with Running(Agent(directory, 1000, "00000001")) as agent:
        assert agent.disk.figures().oldest_ms is None
        agent.minutes(5)
    async with Running(Agent(directory, 9000, "00000002")) as agent:
        found = agent.disk.figures()
        assert (found.oldest_ms, found.seconds, found.set_aside) == (at(1000), 8000.0, 0) and found.bytes > 4096
        agent.wall_ms = 86_400_000
        found = agent.disk.figures()
        assert (found.oldest_ms, found.seconds) == (at(1000) + 86_400_000, 8000.0)
        agent.round()
        assert agent.history.reached_seconds() == 8010.0


async def test_what_memory_has_is_not_read_from_disk(directory: Path) -> None:
    async with Running(Agent(directory, 1000, "00000001")) as agent:
        agent.minutes(5)
        agent.store.fetch = None  # type: ignore[assignment]  # a call would fail
        answer = await agent.history.host(Asked(None, None, INTERVAL))
        assert answer.figures["load1"].mean[-1] is not None


@pytest.mark.parametrize(("boot", "word"), [("ba9876543210", Gap.REBOOTED), ("", Gap.STOPPED)])
async def test_after_a_reboot_no_counter_is_compared(directory: Path, boot: str, word: Gap) -> None:
    async with Running(Agent(directory, 1000, "00000001", boot=boot and "0123456789ab")) as agent:
        agent.minutes(2)
    # The same second since boot, so that all counters are larger than before the boot; the clock is right.
    async with Running(Agent(directory, 5000, "00000002", boot=boot, wall_ms=600_000)) as agent:
        agent.minutes(1)
        answer = await host(agent, 1000)
        times = {time: value for time, value in zip(answer.timestamps, answer.figures["cpuPercent"].mean, strict=True)}
        assert times[at(5600)] is None and times[at(5610)] == 31.0
        assert reason(answer, 1050) is None and reason(answer, 3000) == WORDS[word]
        lines, _ = await everything(agent)
        lives = [{each["life"] for each in line["containers"]} for line in lines]
        assert not boot or not lives[0] & lives[-1]


@pytest.mark.parametrize("set_by", [-3600, 86_400])
async def test_a_clock_that_was_set_moves_no_round_against_the_others(directory: Path, set_by: int) -> None:
    async with Running(Agent(directory, 1000, "00000001")) as agent:
        agent.minutes(2)
        agent.wall_ms = set_by * 1000
        agent.minutes(2)
    async with Running(Agent(directory, 2000, "00000002", wall_ms=set_by * 1000)) as agent:
        agent.minutes(1)
        answer = await host(agent, 1000 + set_by)
        load = dict(zip(answer.timestamps, answer.figures["load1"].mean, strict=True))
        assert all(load[at(second + set_by)] == second % 500 / 100 for second in range(1000, 1240, 10))
        lines, _ = await everything(agent)
        assert seconds(lines) == [*range(1000, 1240, 10), *range(2000, 2060, 10)]
        assert [each["timestamp"] for each in lines] == [at(second + set_by) for second in seconds(lines)]


async def test_a_clock_that_was_wrong_before_a_reboot_mixes_no_boots(directory: Path) -> None:
    async with Running(Agent(directory, 1000, "00000001", wall_ms=86_400_000)) as agent:
        agent.minutes(2)
    async with Running(Agent(directory, 5000, "00000002", boot="ba9876543210")) as agent:
        agent.minutes(1)
        answer = await host(agent, 0)
        load = [each for each in answer.figures["load1"].mean if each is not None]
        assert load == [second % 500 / 100 for second in [*range(1000, 1120, 10), *range(5000, 5060, 10)]]


async def test_an_hour_of_wrong_clock_drops_nothing(directory: Path) -> None:
    async with Running(Agent(directory, 1000, "00000001", keep=HOUR)) as agent:
        agent.minutes(30)
    async with Running(Agent(directory, 3000, "00000002", keep=HOUR, boot="", wall_ms=10**12)) as agent:
        agent.minutes(5)
        assert len((await everything(agent))[0]) == 35 * 6


# -- a disk that fails


async def test_a_trouble_is_told_once_and_what_was_missed_is_stored_afterwards(
    directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    agent = Agent(directory / "gone" / "deeper", 1000, "00000001")
    async with Running(agent):
        for _ in range(4):
            agent.round()
            await agent.disk.store()
        assert "No such file" in agent.disk.state.trouble and agent.disk.failures >= 4
        assert len((await everything(agent))[0]) == 4
        (directory / "gone").mkdir(mode=0o700)
        await agent.disk.store()
        assert agent.disk.state.trouble == "" and agent.store.state.last
    own = [each for each in caplog.records if each.name == disk_module.__name__]
    said = [each.getMessage() for each in own if each.levelno >= logging.WARNING]
    assert len(said) == 1 and said[0].startswith("the history is not stored on disk")
    async with Running(Agent(directory / "gone" / "deeper", 2000, "00000002")) as later:
        await later.disk.ready()
        assert len((await everything(later))[0]) == 4


class Hung:
    """A disk that does not answer."""

    def __init__(self) -> None:
        self.state = State()
        self.free = threading.Event()
        self.calls = 0

    def _hang(self, *_: object) -> Any:
        self.calls += 1
        self.free.wait()

    open = write = end = seek = find = fetch = _hang


async def test_nothing_waits_for_a_disk_that_hangs(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PATIENCE_SECONDS", "_WRITE_SECONDS", "_END_SECONDS"):
        monkeypatch.setattr(disk_module, name, 0.05)
    hung = Hung()
    agent = Agent(directory, 1000, "00000001")
    agent.keep_on(hung)
    async with Running(agent):
        agent.round()
        await agent.disk.store()
        assert agent.disk.state.trouble == disk_module.SILENT
        for _ in range(5):
            await agent.disk.store()
            assert seconds((await everything(agent))[0]) == [1000]
            with pytest.raises(Silent):
                agent.history.after("abcdef01-3")
        assert hung.calls == 1
        hung.free.set()
        while agent.disk._late:
            await asyncio.sleep(0.001)
        await agent.disk.store()
        assert agent.disk.state.trouble == "" and hung.calls > 1


async def test_a_disk_that_hangs_while_it_is_read_is_a_gap_and_no_lost_round(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Running(Agent(directory, 1000, "00000001", rounds=18)) as agent:
        agent.minutes(10)
        monkeypatch.setattr(disk_module, "PATIENCE_SECONDS", 0.05)
        free = threading.Event()
        fetch = agent.store.fetch
        agent.store.fetch = lambda *a: (free.wait(), fetch(*a))[1]  # type: ignore[method-assign]
        with pytest.raises(Silent):
            await everything(agent, "00000001-3")
        assert seconds((await everything(agent, f"00000001-{agent.memory.last - 2}"))[0]) == [1580, 1590]
        answer = await host(agent, 1000)
        assert reason(answer, 1100) == gaps.SILENT and answer.figures["load1"].mean[-1] is not None
        free.set()
        while agent.disk._late:
            await asyncio.sleep(0.001)
        assert (await everything(agent, "00000001-3"))[1] is False


async def test_two_agents_do_not_share_a_directory(directory: Path) -> None:
    first, second = (Agent(directory, 1000, f"0000000{number}") for number in (1, 2))
    first.minutes(1)
    second.round()
    with pytest.raises(DiskFailed, match="in use by another agent"):
        second.write()
    first.kill()
    second.write()
    second.kill()


# -- whose directory it is


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777])
def test_a_directory_that_others_may_write_is_not_used(directory: Path, mode: int) -> None:
    directory.chmod(mode)
    agent = Agent(directory, 1000, "00000001")
    agent.round()
    with pytest.raises(DiskFailed, match="other users may"):
        agent.write()
    assert list(directory.iterdir()) == []


def test_a_directory_below_one_that_others_may_write_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    agent = Agent(tmp_path / "open" / "history", 1000, "00000001")
    agent.round()
    with pytest.raises(DiskFailed, match="other users may replace"):
        agent.write()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_directory_or_a_symlink_of_another_user_is_not_used(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(directory)
    agent = Agent(tmp_path / "link", 1000, "00000001")
    agent.minutes(1)  # one of one's own is what systemd makes
    agent.kill()
    os.lchown(tmp_path / "link", 4711, 4711)
    agent = Agent(tmp_path / "link", 2000, "00000002")
    agent.round()
    with pytest.raises(DiskFailed, match="symlink of uid 4711"):
        agent.write()
    os.chown(directory, 4711, 4711)
    agent = Agent(directory, 2000, "00000003")
    agent.round()
    with pytest.raises(DiskFailed, match="belongs to uid 4711"):
        agent.write()


def test_a_symlink_in_the_place_of_a_file_is_set_aside_and_not_followed(directory: Path, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_bytes(b"precious")
    (directory / "history-00000001.db").symlink_to(target)
    agent = Agent(directory, 1000, "00000001")
    agent.minutes(1)
    assert target.read_bytes() == b"precious" and agent.store.state.set_aside == 1
    assert (directory / "history-00000001.db.set-aside").is_symlink()
    agent.kill()


# -- how much there is


async def test_the_bytes_are_kept_and_the_oldest_goes_first(directory: Path) -> None:
    most = 4 << 20
    async with Running(Agent(directory, 1000, "00000001", containers=60, most=most, rounds=18)) as agent:
        (directory / "someone-elses").write_bytes(b"x" * 100)
        sizes = []
        for _ in range(150):
            agent.minutes(1)
            sizes.append(sum(each.stat().st_size for each in directory.glob("history-*")))
            assert sizes[-1] <= most
        journals = {each.name.removesuffix("-journal") for each in directory.glob("*-journal")}
        assert journals <= {each.name for each in directory.glob("*.db")}, "a file goes with its journal"
        assert max(sizes) > most * 0.7 and (directory / "someone-elses").exists()
        found, lost = await everything(agent)
        assert not lost and seconds(found) == list(range(seconds(found)[0], agent.second, 10))
        assert len(found) > 100


async def test_a_user_that_starts_containers_without_pause_does_not_push_out_the_others(directory: Path) -> None:
    most = 2 << 20
    async with Running(Agent(directory, 1000, "00000001", most=most, rounds=18, keep=86_400)) as agent:
        fresh = iter(range(1000, 10**9))
        agent.owner = lambda place: 1000 if place >= 1000 else 0
        agent.places = lambda: [*range(5), *(next(fresh) for _ in range(50))]
        agent.minutes(60)
        found, _ = await everything(agent)
        roots = [each for each in found if sum(one["ownerUid"] == 0 for one in each["containers"]) == 5]
        assert len(roots) == len(found) == 360
        assert not found[-30]["complete"] and sum(each.stat().st_size for each in directory.iterdir()) < most / 2


async def test_root_alone_has_all_of_it(directory: Path) -> None:
    async with Running(Agent(directory, 1000, "00000001", containers=60, most=1 << 20, rounds=18)) as agent:
        agent.minutes(60)
        found, _ = await everything(agent)
        assert all(each["complete"] and len(each["containers"]) == 60 for each in found)
        assert judged(found[-1]) == agent.second - 10
