"""Plays every attack and prints what came of each; ``--update`` writes the table into README.md beside this file.

``python -m attacks.play [--short] [--update] [NAME…]`` (README.md has its PYTHONPATH). Exit code 1 where one failed.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import traceback
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from attacks import (
    bulk,
    called,
    credentials,
    engine,
    floods,
    forged,
    forkbomb,
    hangers_on,
    hoards,
    kernel,
    oversized,
    planted,
    sleepers,
)
from attacks.arena import Arena, Attack, Stage, arena
from attacks.bystander import Bystander

MAX_GROWTH_MIB = 48.0
MAX_PEAK_MIB = 64.0
"""Above what it had before the attack."""
README = Path(__file__).with_name("README.md")
_SOME = 100
"""Containers, where their number is not the point."""
STAGES = (
    Stage(
        "network",
        partial(called.calling_arena, containers=_SOME),
        (
            credentials.ten_thousand_wrong,
            floods.path_tricks,
            floods.header_flood,
            floods.body_flood,
            floods.pipelining,
            floods.idle_connections,
            floods.idle_from_everywhere,
            floods.slow_senders,
            engine.operations,
            engine.filters,
            engine.values_of_filters,
            engine.sleeping_streams,
            forged.forged_by_a_user,
            forged.forged_in_a_container,
            called.hostile_server,
        ),
    ),
    Stage(
        "hanging on",
        arena,
        (
            sleepers.sleeping_readers,
            sleepers.sleeping_array_readers,
            sleepers.too_many_streams,
            hangers_on.metrics_at_once,
            hangers_on.metrics_round_by_round,
            hangers_on.everything_round_by_round,
            hangers_on.dripping_reader,
            hangers_on.many_intervals,
            hangers_on.resets,
        ),
    ),
    Stage(
        "kernel",
        kernel.kernel_arena,
        (forged.kernel_user, forged.kernel_container, bulk.children, bulk.namespace, forkbomb.fork_bomb),
    ),
    Stage(
        "files",
        planted.users_arena,
        (
            bulk.digits,
            bulk.endless,
            bulk.cpu_list,
            bulk.jump,
            bulk.late,
            bulk.interfaces,
            bulk.descriptors,
            planted.links,
            planted.fifos,
            oversized.huge_config,
            oversized.crowd,
            oversized.database,
            engine.secrets,
        ),
    ),
    Stage("hoards", planted.users_arena, hoards.ATTACKS),
)


@dataclass(frozen=True)
class Played:
    """One line of the table."""

    attack: str
    outcome: str
    memory: str = ""
    others: str = ""
    failed: bool = False


def play(a: Arena, attack: Attack) -> Played:
    """One attack, with a client beside it; afterwards the agent is there, answers newcomers, and has not grown."""
    name = words(attack).partition(":")[0]
    before = a.memory()
    try:
        with Bystander(a) as beside:
            outcome = attack(a)
    finally:
        a.hang_up()
    after = a.memory()
    a.good_client()
    most = max(before, after, beside.most_memory)
    assert not beside.failures, f"{name}: {beside.failures[:3]}"
    assert after - before < MAX_GROWTH_MIB and most - before < MAX_PEAK_MIB, (
        f"{name}: {before:.0f} -> {most:.0f} -> {after:.0f} MiB"
    )
    others = f"yes: {beside.answered} of {beside.answered} answered, the slowest in {beside.slowest * 1000:.0f} ms"
    return Played(words(attack), outcome, f"{before:.0f} / {most:.0f} / {after:.0f}", others)


def words(attack: Attack) -> str:
    """``name: what is tried``"""
    return " ".join(str(attack.__doc__).split())


def table(lines: list[Played]) -> str:
    """As Markdown."""
    rows = [
        "| attack | what was tried | outcome | MiB before / most / after | others went on |",
        "|---|---|---|---|---|",
    ]
    for line in lines:
        name, _, tried = line.attack.partition(": ")
        cells = [text.replace("|", "\\|") for text in (name, tried, line.outcome, line.memory, line.others)]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def update(text: str) -> None:
    """Put the table where the last one is."""
    old = README.read_text("utf-8")
    new, count = re.subn(r"(?ms)^\| attack \|.*?(?=^$|\Z)", lambda _: text + "\n", old)
    assert count == 1, "README.md has no table"
    README.write_text(new, "utf-8")


def _stage(stage: Stage, wanted: list[str]) -> Iterator[Played]:
    """A line for each attack. What one that fails leaves behind goes with its agent: the next one finds a new one."""
    attacks = deque(each for each in stage.attacks if not wanted or each.__name__ in wanted)
    while attacks:
        with ExitStack() as stack:
            try:
                a = stack.enter_context(stage.open(Path(stack.enter_context(tempfile.TemporaryDirectory()))))
            except pytest.skip.Exception as why:
                yield from (Played(words(each), f"not played here: {why}") for each in attacks)
                return
            while attacks:
                attack = attacks.popleft()
                print(f"{words(attack).partition(':')[0]} …", file=sys.stderr)
                try:
                    yield play(a, attack)
                except pytest.skip.Exception as why:
                    yield Played(words(attack), f"not played here: {why}")
                except Exception as error:
                    traceback.print_exception(error)
                    yield Played(words(attack), f"FAILED: {type(error).__name__}: {error}"[:300], failed=True)
                    break


def main(arguments: list[str] | None = None) -> int:
    """All of them, one after the other."""
    parser = argparse.ArgumentParser(prog="attacks.play", description="Play attacks on a running agent.")
    parser.add_argument("--short", action="store_true", help="as `make test` does")
    parser.add_argument("--update", action="store_true", help="write the table into README.md")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these (names of functions)")
    given = parser.parse_args(arguments)
    if given.update and given.names:
        parser.error("--update is for the whole table")
    if not given.short:
        os.environ["NIGHTLY"] = "1"
    lines = [line for stage in STAGES for line in _stage(stage, given.names)]
    print(table(lines))
    if given.update:
        update(table(lines))
    return int(any(line.failed for line in lines))


if __name__ == "__main__":
    sys.exit(main())
