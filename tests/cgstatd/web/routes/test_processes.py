"""GET /api/containers/{id}/processes."""

from __future__ import annotations

from typing import Any

import pytest

from cgstatd.feed import process_lists
from cgstatd.sampling.process_list import MOST
from documented import conforms
from fakehost import FakeHost, container_id
from wire import Server

STATUS = (
    "Name:\t{name}\nState:\t{state} (x)\nPid:\t{pid}\nNSpid:\t{pid}\t{inside}\nVmRSS:\t{kib} kB\nThreads:\t{threads}\n"
)
SECRET = "hunter2-planted"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second reading comes at once."""
    monkeypatch.setattr(process_lists, "_WAIT_SECONDS", 0.0)


def url(name: str, query: str = "") -> str:
    return f"/api/containers/{name}/processes{query}"


def process(
    host: FakeHost, pid: int, name: str = "sh", *, state: str = "S", ticks: int = 0, kib: int = 0, threads: int = 1
) -> None:
    """A process as /proc shows it, with a secret in what is not to be read."""
    folder = host.path / f"proc/{pid}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stat").write_text(
        f"{pid} ({name}) {state} 1 1 1 0 -1 0 0 0 0 0 {ticks} 1 0 0 20 0 {threads} 0 500 0 0\n"
    )
    status = STATUS.format(name=name, state=state, pid=pid, inside=pid - 1000, kib=kib, threads=threads)
    (folder / "status").write_text(status)
    (folder / "cmdline").write_text(f"{name}\0--password={SECRET}\0")
    (folder / "environ").write_text(f"PASSWORD={SECRET}\0")


def members(host: FakeHost, pids: list[int], tasks: int | None = None) -> None:
    host.set("a", "cgroup.procs", "".join(f"{pid}\n" for pid in pids))
    host.set("a", "pids.current", f"{len(pids) if tasks is None else tasks}\n")


async def test_the_processes_the_largest_first_and_nothing_of_arguments_or_environment(
    server: Server, host: FakeHost
) -> None:
    process(host, 1001, "init", ticks=1, kib=8)
    process(host, 1002, "busy", state="R", ticks=900, kib=4, threads=3)
    process(host, 1003, "stuck", state="D", kib=64)
    members(host, [1001, 1002, 1003], 5)
    answer = await server.ask(url("a"))
    conforms(answer, "/api/containers/{id}/processes")
    found = answer.json
    assert (found["id"], found["name"], found["count"], found["tasks"]) == (container_id("a"), "a", 3, 5)
    assert (found["looked"], found["incomplete"], found["zombies"], found["uninterruptible"]) == (3, None, 0, 1)
    assert names(found) == ["busy", "init", "stuck"]
    busy = found["processes"][0]
    assert (busy["pid"], busy["pidInside"], busy["state"], busy["memory"], busy["threads"]) == (
        1002, 2, "running", 4096, 3
    )  # fmt: skip
    by_memory = await server.ask(url("a", "?sort=memory&limit=2"))
    assert names(by_memory.json) == ["stuck", "init"]
    assert SECRET not in answer.body.decode() + by_memory.body.decode()


def names(found: dict[str, Any]) -> list[str]:
    return [each["name"] for each in found["processes"]]


async def test_zombies_are_found_among_the_children_where_tasks_are_left_over(server: Server, host: FakeHost) -> None:
    process(host, 1001, "init")
    process(host, 1002, "gone", state="Z")
    process(host, 1003, "elsewhere")  # a child in another cgroup
    task = host.path / "proc/1001/task/1001"
    task.mkdir(parents=True)
    (task / "children").write_text("1002 1003 ")
    members(host, [1001], 2)
    found = (await server.ask(url("a"))).json
    assert (found["zombies"], found["count"], found["looked"]) == (1, 1, 1)
    assert {each["name"]: each["state"] for each in found["processes"]} == {"gone": "zombie", "init": "sleeping"}


async def test_processes_of_cgroups_below_are_among_them(server: Server, host: FakeHost) -> None:
    below = host.scope("a") / "inner"
    below.mkdir()
    (below / "cgroup.procs").write_text("1002\n")
    process(host, 1001, "engine")
    process(host, 1002, "inner")
    members(host, [1001], 2)
    assert sorted(names((await server.ask(url("a"))).json)) == ["engine", "inner"]


async def test_of_a_fork_bomb_a_part_is_looked_at_and_said(server: Server, host: FakeHost) -> None:
    pids = list(range(1001, 1001 + MOST + 88))
    for pid in pids:
        process(host, pid)
    members(host, pids)
    found = (await server.ask(url("a", f"?limit={MOST}"))).json
    assert (found["count"], found["looked"], len(found["processes"])) == (MOST + 88, MOST, MOST)
    assert found["incomplete"] == f"only {MOST} processes are looked at" and found["zombies"] is None


async def test_a_process_that_is_gone_makes_it_incomplete(server: Server, host: FakeHost) -> None:
    process(host, 1001)
    members(host, [1001, 1002])
    found = (await server.ask(url("a"))).json
    assert (found["count"], found["looked"]) == (2, 1) and "1 process ended" in found["incomplete"]


async def test_one_that_does_not_run_has_none_and_says_so(server: Server) -> None:
    answer = await server.ask(url("stopped"))
    conforms(answer, "/api/containers/{id}/processes")
    assert (answer.json["count"], answer.json["incomplete"], answer.json["processes"]) == (0, "it does not run", [])


async def test_what_is_no_limit_or_order_is_refused(server: Server) -> None:
    for query in ("limit=0", "limit=513", "limit=x", "limit=-1", "limit=", "sort=name", "sort="):
        answer = await server.ask(url("a", f"?{query}"))
        assert answer.status == 400 and query.partition("=")[0] in answer.json["error"], query


async def test_a_container_whose_reading_hangs_is_refused_and_others_answer(server: Server, host: FakeHost) -> None:
    await server.ask("/api/containers/stats")
    container = next(each for each in server.feed.sampler.containers() if each.identity.name == "a")
    container.begin()
    try:
        answer = await server.ask(url("a"))
        assert answer.status == 500 and "still hangs" in answer.json["error"]
        assert (await server.ask(url("b"))).status == 200
    finally:
        container.done()


async def test_clients_that_ask_together_share_one_reading(server: Server, host: FakeHost) -> None:
    process(host, 1001, "first")
    members(host, [1001])
    await server.ask(url("a"))
    process(host, 1001, "second")
    assert names((await server.ask(url("a", "?limit=1"))).json) == ["first"]


async def test_a_name_from_inside_is_made_printable(server: Server, host: FakeHost) -> None:
    process(host, 1001)
    status = host.path / "proc/1001/status"
    status.write_bytes(b"Name:\t\x1b[31m\xff\\n\\\\n\nState:\tS (sleeping)\n")
    members(host, [1001])
    found = (await server.ask(url("a"))).json["processes"][0]
    assert found["name"] == "\N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}\\n"
    assert found["pidInside"] is None
