"""The program of a container whose runtime does not keep it is the name of its first process."""

from __future__ import annotations

from pathlib import Path

from cgstatd.sampling.first_programs import SETTLED_SECONDS, FirstPrograms
from fakehost import FakeHost
from helpers import write_files


def becomes(host: FakeHost, pid: str, name: str) -> None:
    """The first process is another program now."""
    stat = f"{pid} ({name}) S 1 1 1 0 -1 0 0 0 0 0 250 50 0 0 20 0 1 0 500 0"
    write_files(str(host.path), {f"proc/{pid}/stat": stat, f"proc/{pid}/status": f"Name:\t{name}\nNSpid:\t{pid}\t1\n"})


def test_it_is_looked_at_until_it_has_settled_and_not_again(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.add("a")
    [container] = host.sampler().containers()
    (pid,) = (host.scope("a") / "cgroup.procs").read_text().split()
    now = 100.0
    programs = FirstPrograms(host.sampler().root, lambda: now)
    assert programs.of(container) is None
    assert programs.runs(container) is None
    becomes(host, pid, "runc:[2:INIT]")
    assert programs.of(container) is None and programs.runs(container) is False
    becomes(host, pid, "web (1) \x1b[31m")
    assert programs.of(container) == "web (1) \ufffd[31m" and programs.runs(container)
    now += SETTLED_SECONDS
    becomes(host, pid, "other")
    assert programs.of(container) == "web (1) \ufffd[31m"
    programs.keep([])
    assert programs.of(container) == "other"
