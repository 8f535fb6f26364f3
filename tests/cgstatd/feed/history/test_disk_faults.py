"""Whatever happens to the disk and to what is on it: memory goes on, and no figure is wrong."""

from __future__ import annotations

import ctypes
import functools
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cgstatd.feed.history import gaps
from cgstatd.feed.history.disk_model import DiskFailed, Moved
from cgstatd.feed.history.gaps import WORDS, Gap
from cgstatd.feed.history.own_files import OwnFiles
from cgstatd.feed.history.schema import BLOCK, VERSION
from helpers import PROJECT
from storedhistory import Agent, Running, everything, seconds

FLIPS = int(os.environ.get("CGSTATD_FLIPS", "100"))
_ROOTS = 13
_CLONE_NEWNS = 0x20000  # sched.h
KILLS = int(os.environ.get("CGSTATD_KILLS", "20"))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    found = tmp_path / "history"
    found.mkdir(mode=0o700)
    return found


@functools.cache
def own_mounts() -> bool:
    """Whether this thread, and those that it starts from now on, have mounts of their own: no test mounts anything for
    the rest of the machine."""
    if os.geteuid() != 0 or ctypes.CDLL(None).unshare(_CLONE_NEWNS):
        return False
    return not subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True, check=False).returncode


@contextmanager
def tmpfs(path: Path, size: str) -> Iterator[None]:
    """A small disk."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "cgstatd-test", str(path)]
    if not own_mounts() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


def free(path: Path) -> int:
    """Bytes."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


# -- the disk


async def test_a_full_disk_costs_nothing_but_the_rounds_on_it(directory: Path) -> None:
    with tmpfs(directory, "3m"):
        async with Running(Agent(directory, 1000, "00000001", containers=30)) as agent:
            agent.minutes(3)
            (directory / "ballast").write_bytes(b"x" * free(directory))  # what others write
            for _ in range(57):
                for _ in range(6):
                    agent.round()
                await agent.disk.store()
            assert "no space left" in agent.disk.state.trouble and agent.disk.failures > 5
            assert seconds((await everything(agent))[0]) == list(range(1000, 4600, 10))  # memory has the hour
            (directory / "ballast").unlink()
            await agent.disk.store()
            assert agent.disk.state.trouble == ""
        async with Running(Agent(directory, 6000, "00000002")) as later:
            found = seconds((await everything(later))[0])
            assert found == list(range(found[0], 4600, 10)) and len(found) > 100


@pytest.mark.parametrize("told", [True, False])
async def test_a_disk_with_less_room_than_may_be_taken_keeps_the_newest(
    directory: Path, monkeypatch: pytest.MonkeyPatch, told: bool
) -> None:
    """``told``: the disk says how much room it has; a quota of the agent's user does not."""
    with tmpfs(directory, "1m"):
        if not told:
            monkeypatch.setattr(OwnFiles, "allowed", lambda _, most: most // 640)
        async with Running(Agent(directory, 1000, "00000001", containers=60, most=512 << 20, rounds=18)) as agent:
            for _ in range(150):
                for _ in range(6):
                    agent.round()
                await agent.disk.store()
                assert agent.disk.state.trouble == ""
                assert not told or free(directory) >= 1 << 16
        async with Running(Agent(directory, 20_000, "00000002")) as later:
            found, lost = await everything(later)
            said = seconds(found)
            assert not lost and said == list(range(said[0], 10_000, 10)) and len(said) > 20
            assert not list(directory.glob("*.set-aside"))


async def test_others_that_need_the_disk_get_what_is_old_and_not_what_is_written(directory: Path) -> None:
    with tmpfs(directory, "1m"):
        async with Running(Agent(directory, 1000, "00000001", containers=60, rounds=18)) as agent:
            agent.minutes(40)
            before = len((await everything(agent))[0])
            for _ in range(10):
                with open(directory / "ballast", "ab") as ballast:
                    ballast.write(b"x" * min(50_000, free(directory)))
                agent.minutes(1)
            found, _ = await everything(agent)
            assert 6 <= len(found) < before and seconds(found)[-1] == agent.second - 10
            assert free(directory) >= 1 << 16


async def test_a_disk_that_becomes_read_only_is_still_read(directory: Path) -> None:
    with tmpfs(directory, "1m"):
        async with Running(Agent(directory, 1000, "00000001", rounds=18)) as agent:
            agent.minutes(10)
            agent.store._close_files()  # else it is busy
            subprocess.run(["mount", "-o", "remount,ro", str(directory)], check=True)
            for _ in range(2):
                agent.round()
                await agent.disk.store()
            assert "read-only" in agent.disk.state.trouble
            assert seconds((await everything(agent))[0]) == list(range(1000, 1620, 10))
        async with Running(Agent(directory, 3000, "00000002")) as later:
            later.round()
            await later.disk.store()
            assert "read-only" in later.disk.state.trouble
            found, lost = await everything(later, "00000001-10")
            assert not lost and seconds(found) == [*range(1110, 1600, 10), 3000]
            assert found[-1]["gap"] == WORDS[Gap.KILLED]


@pytest.mark.parametrize("gone", ["removed", "moved", "a file"])
async def test_while_the_directory_is_gone_memory_is_read_and_afterwards_all_of_it_is_stored(
    directory: Path, gone: str
) -> None:
    async with Running(Agent(directory, 200, "00000001", rounds=18)) as earlier:
        earlier.minutes(3)
    async with Running(Agent(directory, 1000, "00000002", rounds=18)) as agent:
        agent.minutes(5)
        if gone == "removed":
            shutil.rmtree(directory)
        elif gone == "moved":
            directory.rename(f"{directory}.old")
        else:
            (directory / agent.store._files.paths()[0]).unlink()
        agent.store._close_files()
        found, _ = await everything(agent)  # was "the disk cannot be read", 503
        assert seconds(found)[-18:] == list(range(1120, 1300, 10))
        for _ in range(3):
            agent.round()
            await agent.disk.store()
        assert agent.disk.state.trouble == "" and agent.disk.state.files
        found, _ = await everything(agent)
        assert seconds(found)[-20:] == list(range(1130, 1330, 10))
        assert (await everything(agent, "00000001-3"))[1] and not (await everything(agent, "00000002-29"))[1]


async def test_a_directory_that_was_removed_is_made_again(directory: Path) -> None:
    async with Running(Agent(directory, 1000, "00000001")) as agent:
        agent.minutes(2)
        shutil.rmtree(directory)
        for _ in range(3):
            agent.round()
            await agent.disk.store()
        assert agent.disk.state.trouble == "" and directory.is_dir()
        assert seconds((await everything(agent))[0]) == list(range(1000, 1150, 10))


# -- what is on it


def written(directory: Path) -> list[int]:
    """Three files of one run; the seconds of its rounds."""
    agent = Agent(directory, 1000, "00000001", containers=3, keep=3600)
    agent.minutes(30)
    agent.store.end()
    assert len(list(directory.glob("*.db"))) == 3
    return list(range(1000, 2800, 10))


async def read_back(directory: Path, truth: list[int]) -> int:
    """Read everything that a damaged directory has; how many rounds."""
    async with Running(Agent(directory, 9000, "00000002", containers=3)) as agent:
        agent.minutes(1)
        found, lost = await everything(agent, "00000001-0")
        said = seconds(found)
        assert said == sorted(set(said)) and said[-6:] == list(range(9000, 9060, 10))
        assert set(said[:-6]) <= set(truth)
        assert lost or said[:-6] == truth[1:], "rounds are missing, and nothing says so"
        assert seconds((await everything(agent))[0])[-6:] == said[-6:]
        return len(said) - 6


async def test_a_bit_that_flips_is_never_a_figure(directory: Path, tmp_path: Path) -> None:
    truth = written(directory)
    chance, copy, known = random.Random(FLIPS), tmp_path / "copy", []
    for _ in range(FLIPS):
        shutil.copytree(directory, copy)
        path = chance.choice(sorted(copy.glob("*.db")))
        data = bytearray(path.read_bytes())
        for _ in range(chance.choice((1, 1, 1, 2, 50))):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        known.append(await read_back(copy, truth))
        shutil.rmtree(copy)
    assert min(known) < len(truth) - 1 and max(known) > len(truth) // 3


async def test_a_bit_that_flips_costs_its_page_and_not_a_day(directory: Path, tmp_path: Path) -> None:
    agent = Agent(directory, 1000, "00000001", containers=3)
    agent.minutes(120)
    agent.store.end()
    [path] = directory.glob("*.db")
    whole, copy, chance = path.read_bytes(), tmp_path / "copy", random.Random(FLIPS)
    pages = len(whole) // 4096
    assert pages > 30
    first = _ROOTS * 4096  # the header and the roots of the tables lead to all of it: one bit there costs the file
    flips = [(page * 4096, 3) for page in range(_ROOTS, pages, 6)]  # what kind of page it is
    flips += [(chance.randrange(first, len(whole)), chance.randrange(8)) for _ in range(FLIPS // 5)]
    costs = []
    for place, bit in flips:
        data = bytearray(whole)
        data[place] ^= 1 << bit
        copy.mkdir(mode=0o700)
        (copy / path.name).write_bytes(data)
        async with Running(Agent(copy, 90_000, "00000002", containers=3)) as later:
            for _ in range(6):
                later.round()
            await later.disk.store()
            found, lost = await everything(later, "00000001-0")
            said = seconds(found)
            assert said == sorted(set(said)) and (lost or len(said) == 720 - 1 + 6)
            incomplete = [each for each in found if len(each["containers"]) < 3]
            assert all(not each["complete"] for each in incomplete)
            said_lost = [each for each in found if each["gap"] in (WORDS[Gap.LOST], gaps.NO_LONGER)]
            assert bool(said_lost) == lost
            costs.append(720 - 1 + 6 - len(said) + len(incomplete))
        shutil.rmtree(copy)
    assert sum(costs) / len(costs) < 2 * BLOCK and sum(cost <= 2 * BLOCK for cost in costs) > 0.9 * len(costs)


async def test_a_file_that_was_cut_short_is_never_a_figure(directory: Path, tmp_path: Path) -> None:
    truth = written(directory)
    chance, copy = random.Random(2), tmp_path / "copy"
    for number in range(40):
        shutil.copytree(directory, copy)
        path = chance.choice(sorted(copy.glob("*.db")))
        size = path.stat().st_size
        os.truncate(path, 4096 * (number % 8) if number < 16 else chance.randrange(size))
        await read_back(copy, truth)
        shutil.rmtree(copy)


async def test_a_log_of_nonsense_is_never_a_figure(directory: Path) -> None:
    truth = written(directory)
    (directory / "history-00000003.db-wal").write_bytes(random.Random(3).randbytes(9000))
    await read_back(directory, truth)


async def test_a_power_cut_in_the_middle_of_the_log_costs_what_is_behind_it(directory: Path, tmp_path: Path) -> None:
    agent = Agent(directory, 1000, "00000001", containers=3)
    agent.minutes(8)  # all of it is in the log still
    whole, chance = (directory / "history-00000001.db-wal").read_bytes(), random.Random(KILLS)
    kept = set[int]()
    for _ in range(20):
        copy = tmp_path / "copy"
        shutil.copytree(directory, copy, ignore=shutil.ignore_patterns("*-shm"))
        log = bytearray(whole[: chance.randrange(len(whole))])
        log[-512:] = chance.randbytes(len(log[-512:]))  # a sector that was not written whole
        (copy / "history-00000001.db-wal").write_bytes(log)
        async with Running(Agent(copy, 9000, "00000002", containers=3)) as later:
            later.round()
            found, _ = await everything(later)
            said = seconds(found)[:-1]
            assert said == list(range(1000, 1000 + 60 * (len(said) // 6), 10)) and later.store.state.set_aside == 0
            kept.add(len(said))
        shutil.rmtree(copy)
    assert len(kept) > 3
    agent.kill()


async def test_a_file_is_read_by_others_while_it_is_written(directory: Path) -> None:
    agent = Agent(directory, 1000, "00000001", containers=3)
    agent.minutes(2)
    other = sqlite3.connect(f"file:{directory}/history-00000001.db?mode=ro", uri=True)
    query = "SELECT name, count(*) FROM figures GROUP BY name"
    reading = other.execute(query)
    assert reading.fetchone() == ("name-0", 12)
    agent.minutes(1)
    assert len(reading.fetchall()) == 2 and other.execute(query).fetchone() == ("name-0", 18)
    other.close()
    agent.kill()


@pytest.mark.parametrize("what", ["text", "sqlite", "version", "earlier", "schema", "directory", "fifo", "other rows"])
async def test_what_is_of_another_program_or_version_is_set_aside(
    directory: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    truth = written(directory)
    path = directory / "history-00000003.db"
    if what == "text":
        path.write_text("a text\n" * 1000)
    elif what in ("directory", "fifo"):
        path.unlink()
        path.mkdir() if what == "directory" else os.mkfifo(path)
    else:
        connection = sqlite3.connect(path)
        statements = {
            "sqlite": "PRAGMA application_id=1",
            "version": f"PRAGMA user_version={VERSION + 1}",
            "earlier": f"PRAGMA user_version={VERSION - 1}",
            "schema": "CREATE TRIGGER more AFTER INSERT ON rounds BEGIN DELETE FROM rounds; END",
            "other rows": "INSERT INTO rounds(round, run) SELECT max(round) + 1, run FROM rounds",
        }
        connection.execute(statements[what])
        connection.commit()
        connection.close()
    await read_back(directory, truth)
    said = [each.getMessage() for each in caplog.records if "is not used" in each.getMessage()]
    assert len(said) == 1 and "history-00000003.db.set-aside" in said[0]
    assert os.path.lexists(directory / "history-00000003.db.set-aside")


async def test_a_file_that_breaks_while_it_is_written_is_written_anew_from_memory(directory: Path) -> None:
    async with Running(Agent(directory, 1000, "00000001")) as agent:
        agent.minutes(5)
        agent.store._close_files()  # its pages are read anew
        path = directory / "history-00000001.db"
        data = bytearray(path.read_bytes())
        for page in range(1, len(data) // 4096):
            data[page * 4096 : page * 4096 + 8] = b"nonsense"
        path.write_bytes(data)
        agent.store._close_files()  # its pages are read anew
        agent.round()
        await agent.disk.store()
        assert agent.disk.state.trouble == "" and agent.store.state.set_aside == 1
    async with Running(Agent(directory, 3000, "00000002")) as later:
        assert seconds((await everything(later))[0]) == list(range(1000, 1310, 10))


async def test_figures_that_break_later_are_found_when_they_are_read(directory: Path) -> None:
    truth = written(directory)
    async with Running(Agent(directory, 9000, "00000002")) as agent:
        agent.minutes(1)
        path = directory / "history-00000002.db"
        connection = sqlite3.connect(path)
        connection.execute("UPDATE samples SET pids = pids + 4 WHERE round = (SELECT max(round) - 9 FROM rounds)")
        connection.commit()
        connection.close()
        found, lost = await everything(agent, "00000001-0")
        assert not lost and agent.store.state.set_aside == 1
        assert seconds(found)[:-6] == truth[1:]
        assert [len(each["containers"]) for each in found if not each["complete"]] == [0] * 30


def test_a_broken_file_is_not_read_again_where_it_cannot_be_renamed(directory: Path) -> None:
    written(directory)
    with tmpfs(directory, "1m"):
        agent = Agent(directory, 1000, "00000001")
        agent.minutes(2)
        agent.kill()
        (directory / "history-00000001.db").write_bytes(b"nonsense" * 100)
        subprocess.run(["mount", "-o", "remount,ro", str(directory)], check=True)
        later = Agent(directory, 2000, "00000002")
        later.round()
        for _ in range(2):
            with pytest.raises((DiskFailed, Moved)):
                later.write()
        assert later.store.state.set_aside == 1 and later.store.state.files == ()
        later.kill()


# -- kill -9

_CHILD = """
import sys
from pathlib import Path
from storedhistory import Agent
agent = Agent(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], containers=20)
while True:
    agent.minutes(1)
    print(agent.second, flush=True)
"""


async def test_a_kill_while_it_is_written_costs_no_round_that_was_stored(directory: Path) -> None:
    chance, cursor, stored, second = random.Random(KILLS), "", list[int](), 1000
    environment = dict(
        os.environ, PYTHONPATH=os.pathsep.join(f"{PROJECT}/{name}" for name in ("agent", "cgroups", "tests"))
    )
    for kill in range(KILLS):
        command = [sys.executable, "-c", _CHILD, str(directory), str(second), f"{kill:08x}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as child:
            assert child.stdout is not None
            for _ in range(chance.randrange(1, 12)):
                end = int(child.stdout.readline())
            for _ in range(chance.randrange(20_000)):
                pass
            child.send_signal(signal.SIGKILL)
        stored += range(second, end, 10)
        async with Running(Agent(directory, end + 5000, f"f{kill:07x}")) as reader:
            assert reader.store.state.set_aside == 0
            found, lost = await everything(reader, cursor)
            assert not lost
            more = seconds(found)
            assert more[: (end - second) // 10] == list(range(second, end, 10))
            assert more == list(range(second, more[-1] + 10, 10))  # a minute more may have been stored
            cursor, second = found[-1]["cursor"], end + 9000
