#!/usr/bin/env python3
"""Changes one thing of the program at a time and sees whether a test notices: what survives, no test holds.

    python3 tools/mutants.py --most 200                  some of all changes; --seed 2 others, --only rates,guard those
    python3 tools/mutants.py --faults                    the faults of tools/ten_faults.py instead
    python3 tools/mutants.py --tree DIRECTORY            another checkout, with its own tests

A change is of an operator, a constant, a comparison, a returned value or a condition. The changed module exists in
the memory of the process that tests it: the checkout stays as it is, and an agent that a test starts as a program of
its own is the unchanged one. The same seed and the same code are the same changes, whatever else there is. For each
change those tests of the room run that run its statement, up to the first that fails; one that never ends was noticed.
(mutmut changes functions alone. Half of what is changed here are tables: fields, families, bounds.)
"""

from __future__ import annotations

import argparse
import ast
import atexit
import contextlib
import hashlib
import importlib
import importlib.abc
import importlib.util
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple

from make.room_coverage import quick
from ten_faults import FAULTS, Fault

PROJECT = Path(__file__).resolve().parents[1]
CPU_SECONDS = 120
HUNG_SECONDS = 600
"""A process that is at one change for that long hangs, on however busy a machine."""
PYTEST = "-q -x --no-header --no-summary --assert=plain -p no:cacheprovider --hypothesis-seed=0".split()


class Room(NamedTuple):
    """What is changed together: modules, and the tests that should notice, the quickest first."""

    name: str
    modules: tuple[str, ...]
    tests: tuple[str, ...]


_WEB = "tests/cgstatd/web"
ROOMS = (
    Room("formats", ("cgroups/cgroupfs/formats.py",), ("tests/cgroupfs",)),
    Room("counters", ("cgroups/cgroupfs/counters.py", "cgroups/cgroupfs/fields.py"), ("tests/cgroupfs",)),
    Room("controllers", ("cgroups/cgroupfs/controllers/*.py",), ("tests/cgroupfs",)),
    Room("rates", ("agent/cgstatd/sampling/rates.py",),
         ("tests/cgstatd/sampling/test_rates.py", "tests/cgstatd/sampling/test_container.py",
          "tests/cgstatd/sampling/test_sampler.py")),
    Room("outputs", ("agent/cgstatd/outputs/stats_json.py", "agent/cgstatd/outputs/identity_json.py",
                     "agent/cgstatd/outputs/metric_families.py", "agent/cgstatd/outputs/prometheus.py",
                     "agent/cgstatd/outputs/stream_slots.py", "agent/cgstatd/outputs/engine/stats.py"),
         ("tests/cgstatd/outputs", f"{_WEB}/routes/test_stats_of_one.py", f"{_WEB}/routes/test_many_labels.py",
          f"{_WEB}/routes/test_queries.py", f"{_WEB}/routes/test_metrics.py", f"{_WEB}/routes/test_engine.py",
          f"{_WEB}/routes/test_stream.py", "tests/golden")),
    Room("guard", ("agent/cgstatd/web/guard.py", "agent/cgstatd/web/security/*.py"),
         (f"{_WEB}/security", f"{_WEB}/test_errors.py", f"{_WEB}/server/test_limits.py",
          f"{_WEB}/server/test_account.py", f"{_WEB}/routes/test_login.py")),
)  # fmt: skip


class Change(NamedTuple):
    """One change of one module. ``number``: its place in :func:`_walk`; ``key``: the same in another state of the
    module, where this part of it is the same."""

    room: Room
    path: str
    number: int
    line: int
    statement: tuple[int, int] | None
    """Its first and last line; None: it runs when the module is imported, and so for every test."""
    what: str
    key: str

    @property
    def title(self) -> str:
        """Where, and what."""
        return f"{self.path}:{self.line}: {self.what}"


# What can be changed

_COMPARED: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_CALCULATED: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip


class Spot(NamedTuple):
    """What is shown of a place that can be changed, and the attribute that takes another value."""

    shown: ast.AST
    node: ast.AST
    field: str
    value: Any

    def swap(self) -> Spot:
        """Put the value there; what undoes that."""
        before = getattr(self.node, self.field)
        setattr(self.node, self.field, self.value)
        return self._replace(value=before)


def _spots(node: ast.AST) -> Iterator[Spot]:
    """What can be changed at a node itself."""
    match node:
        case ast.Compare(ops=[op, *others]) if type(op) in _COMPARED:
            yield Spot(node, node, "ops", [_COMPARED[type(op)](), *others])
        case ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in _CALCULATED:
            yield Spot(node, node, "op", _CALCULATED[type(op)]())
        case ast.BoolOp(op=op):
            yield Spot(node, node, "op", ast.And() if isinstance(op, ast.Or) else ast.Or())
        case ast.UnaryOp(op=ast.USub()):
            yield Spot(node, node, "op", ast.UAdd())
        case ast.Constant(value=bool(value)):
            yield Spot(node, node, "value", not value)
        case ast.Constant(value=int(value) | float(value)):
            yield Spot(node, node, "value", value + 1)
        case ast.Constant(value=str(value)) if value:
            yield Spot(node, node, "value", f"XX{value}")
        case ast.Constant(value=bytes(value)) if value:
            yield Spot(node, node, "value", b"XX" + value)
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield Spot(node, node, "value", ast.Constant(None))
        case ast.If() | ast.IfExp() | ast.While():
            yield Spot(node.test, node, "test", ast.UnaryOp(ast.Not(), node.test))
        case ast.comprehension(ifs=[first, *others]):
            yield Spot(first, node, "ifs", [ast.UnaryOp(ast.Not(), first), *others])


def _said_only(node: ast.AST) -> bool:
    """What no test need hold: annotations, docstrings, words of errors and of the log, what a module exports."""
    match node:
        case ast.Expr(value=ast.Constant(value=str())) | ast.Raise() | ast.Import() | ast.ImportFrom():
            return True
        case ast.Call(func=ast.Attribute(value=ast.Name(id="log"))):
            return True
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name in ("__all__", "__slots__")
    return False


def _walk(
    node: ast.AST, scope: str = "", statement: tuple[int, int] | None = None, runs: bool = False
) -> Iterator[tuple[Spot, str, tuple[int, int] | None]]:
    """All places of a module, with the function and the lines of the statement. ``runs``: within a function."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        scope, statement = f"{scope}.{node.name}", None
    elif isinstance(node, ast.stmt) and runs:
        body = getattr(node, "body", None)
        statement = node.lineno, max(body[0].lineno - 1 if body else node.end_lineno or 0, node.lineno)
    for spot in _spots(node):
        yield spot, scope, statement
    for name, value in ast.iter_fields(node):
        within = runs or (name == "body" and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, ast.AST) and name not in ("annotation", "returns") and not _said_only(each):
                yield from _walk(each, scope, statement, within)


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 90 else f"{text[:87]}..."


def changes(tree: Path, room: Room, path: str, seed: int) -> list[Change]:
    """All changes of a module."""
    found: list[Change] = []
    seen = Counter[str]()
    for number, (spot, scope, statement) in enumerate(list(_walk(ast.parse((tree / path).read_bytes())))):
        before, plain = _short(spot.shown), f"{path}{scope}: {ast.dump(spot.shown)}"
        undo = spot.swap()
        after = _short(spot.shown)
        undo.swap()
        if spot.field in ("test", "ifs"):
            after = f"not ({before})"
        seen[plain] += 1
        key = hashlib.sha256(f"{seed}:{plain}:{spot.field}:{seen[plain]}".encode()).hexdigest()
        line: int = getattr(spot.shown, "lineno", 0)
        found.append(Change(room, path, number, line, statement, f"{scope[1:]}: {before}  ->  {after}", key))
    return found


def code_of(tree: Path, change: Change | Fault) -> CodeType:
    """The changed module."""
    text = (tree / change.path).read_text()
    if isinstance(change, Fault):
        if text.count(change.old) != 1:
            raise SystemExit(f"{change.title}: {change.path} does not have that text once; mend tools/ten_faults.py")
        return compile(text.replace(change.old, change.new), str(tree / change.path), "exec")
    module = ast.parse(text)
    next(spot for number, (spot, _, _) in enumerate(_walk(module)) if number == change.number).swap()
    return compile(ast.fix_missing_locations(module), str(tree / change.path), "exec")


# The tests, each time in a process that is forked from one that has imported what they need


class Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the changed module in place of the file."""

    def __init__(self, tree: Path, path: str, code: CodeType) -> None:
        self.name = ".".join(Path(path).with_suffix("").parts[1:]).removesuffix(".__init__")
        self.path, self.code = tree / path, code

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> Any:
        """For that module alone."""
        return importlib.util.spec_from_file_location(name, self.path, loader=self) if name == self.name else None

    def exec_module(self, module: ModuleType) -> None:
        """Run it."""
        exec(self.code, module.__dict__)


class Watcher:
    """The pytest plugin: runs the wanted tests alone, notes what failed, tells whose turn it is."""

    def __init__(self, wanted: set[str] | None, turn: Callable[[str], object]) -> None:
        self.wanted, self.turn = wanted, turn
        self.failed: list[str] = []
        self.ran: list[str] = []

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Leave out what is not wanted."""
        if self.wanted is not None:
            items[:] = [item for item in items if item.nodeid in self.wanted]

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A test begins."""
        self.ran.append(nodeid)
        self.turn(nodeid)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """A part of a test has run."""
        if report.failed:
            self.failed.append(report.nodeid)

    def pytest_collectreport(self, report: Any) -> None:
        """A file was imported, or not."""
        if report.failed:
            self.failed.append(report.nodeid)


def _tests(
    tree: Path, arguments: list[str], directory: str, watcher: Watcher, more: tuple[str, ...] = ()
) -> dict[str, Any]:
    import pytest

    options = [*PYTEST, "-m", quick(tree), f"--basetemp={directory}/tmp", *more]
    code = pytest.main([*options, *arguments], plugins=[watcher])
    return {"failed": watcher.failed, "ran": watcher.ran, "code": int(code)}


def baseline(tree: Path, tests: tuple[str, ...], paths: list[str], directory: str) -> dict[str, Any]:
    """All tests on the modules as they are: which fail, and which tests run which line."""
    import coverage

    measured = coverage.Coverage(data_file=None, config_file=False, include=[str(tree / path) for path in paths])
    measured.start()
    watcher = Watcher(None, measured.switch_context)
    found = _tests(tree, existing(tree, tests), directory, watcher, ("--maxfail=1000",))
    measured.stop()
    data = measured.get_data()
    return found | {"lines": {path: data.contexts_by_lineno(str(tree / path)) for path in paths}}


def on_change(tree: Path, change: Change | Fault, wanted: set[str] | None, directory: str) -> dict[str, Any]:
    """The wanted tests on a changed module, up to the first that fails."""
    sys.meta_path.insert(0, Changed(tree, change.path, code_of(tree, change)))
    places = existing(tree, change.tests if isinstance(change, Fault) else change.room.tests)
    if wanted == set():
        return {"failed": [], "ran": [], "code": 0}
    if wanted is not None:
        files = {nodeid.partition("::")[0] for nodeid in wanted}
        order = {file: next((i for i, place in enumerate(places) if file.startswith(place)), 99) for file in files}
        places = sorted(files, key=lambda file: (order[file], file))
    return _tests(tree, places, directory, Watcher(wanted, lambda _: None))


def modules(tree: Path, room: Room) -> list[str]:
    """The modules of a room that this tree has."""
    return sorted({str(path.relative_to(tree)) for each in room.modules for path in tree.glob(each)})


def existing(tree: Path, tests: tuple[str, ...]) -> list[str]:
    """The tests that this tree has."""
    return [path for path in tests if (tree / path.partition("::")[0]).exists()]


class Process:
    """One forked process that runs tests and leaves its answer in a file."""

    def __init__(self, work: Callable[[str], dict[str, Any]]) -> None:
        self.directory = tempfile.mkdtemp(prefix="cgstatd-mutants-")
        self.began = time.monotonic()
        sys.stdout.flush()
        self.pid = os.fork()
        if not self.pid:
            self._run(work)

    def _run(self, work: Callable[[str], dict[str, Any]]) -> None:
        os.setsid()
        nowhere = os.open(f"{self.directory}/said", os.O_WRONLY | os.O_CREAT)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_DATA, (4 << 30, 4 << 30))
        try:
            answer = work(self.directory)
        except BaseException:  # of this program: what a test raises, pytest has noted
            answer = {"broken": traceback.format_exc()}
        Path(self.directory, "answer").write_text(json.dumps(answer))
        os._exit(0)

    def ended(self) -> dict[str, Any] | None:
        """The answer, if the process has ended; an empty one where it was killed for what it took."""
        if not os.waitpid(self.pid, os.WNOHANG)[0]:
            if time.monotonic() - self.began < HUNG_SECONDS:
                return None
            os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # what its tests left behind
        answer = Path(self.directory, "answer")
        found: dict[str, Any] = json.loads(answer.read_text()) if answer.exists() else {}
        shutil.rmtree(self.directory, ignore_errors=True)
        if "broken" in found:
            raise SystemExit(found["broken"])
        return found


def all_of(
    works: list[tuple[Any, Callable[[str], dict[str, Any]]]], at_once: int
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The answers of all works, as they come."""
    waiting, running = deque(works), list[tuple[Any, Process]]()
    while waiting or running:
        while waiting and len(running) < at_once:
            what, work = waiting.popleft()
            running.append((what, Process(work)))
        time.sleep(0.05)
        for each in running[:]:
            if (answer := each[1].ended()) is not None:
                running.remove(each)
                yield each[0], answer


VERDICTS = NOTICED, ENDLESS, SURVIVED, UNTESTED = "noticed", "never ended", "survived", "run by no test"


def verdict(answer: dict[str, Any]) -> str:
    """What became of a change."""
    if not answer:
        return ENDLESS
    if answer["failed"] or answer["code"] not in (0, 5):  # 5: no test was chosen
        return NOTICED
    return SURVIVED if answer["ran"] else UNTESTED


# What is asked for


def prepare(tree: Path) -> None:
    """What every test process needs is imported once; what they compile and unpack is kept outside the checkout."""
    os.chdir(tree)
    made = tempfile.mkdtemp(prefix="cgstatd-mutants-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    sys.pycache_prefix = made
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = f"{made}/hypothesis"
    os.environ["PYTHONPATH"] = f"{tree}/agent:{tree}/cgroups:{tree}/tests"
    for (
        name
    ) in "pytest hypothesis aiohttp aiohttp_sse msgspec prometheus_client psutil pytest_asyncio pyfakefs".split():
        importlib.import_module(name)


def mutants(tree: Path, rooms: list[Room], most: int, seed: int, at_once: int) -> int:
    """Some changes, and those that survive."""
    every = [change for room in rooms for path in modules(tree, room) for change in changes(tree, room, path, seed)]
    some = sorted(sorted(every, key=lambda change: change.key)[:most], key=lambda change: (change.path, change.line))
    paths: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for room in rooms:
        paths[room.tests] += modules(tree, room)
    works: list[Any] = [(tests, partial(baseline, tree, tests, found)) for tests, found in paths.items()]
    known: dict[tuple[str, ...], dict[str, Any]] = {}
    for tests, answer in all_of(works, at_once):
        if not answer:
            raise SystemExit(f"{' '.join(tests)}: they do not end on the modules as they are")
        known[tests] = answer
        print(
            f"{' '.join(tests)}: {len(answer['ran'])} tests",
            *(f"\n  fails unchanged, left out: {test}" for test in answer["failed"]),
            flush=True,
        )
    works = [(change, partial(on_change, tree, change, wanted(change, known[change.room.tests]))) for change in some]
    became: dict[str, Counter[str]] = defaultdict(Counter)
    for change, answer in all_of(works, at_once):
        how = verdict(answer)
        became[change.room.name][how] += 1
        if how != NOTICED:
            print(f"{how}: {change.title}", flush=True)
    print(f"\n| room | possible | changed | {' | '.join(VERDICTS)} |\n|---|--:|--:|{'--:|' * len(VERDICTS)}")
    for room in rooms:
        possible = sum(change.room == room for change in every)
        counted = [became[room.name][each] for each in VERDICTS]
        print(f"| {room.name} | {possible} | {sum(counted)} | {' | '.join(map(str, counted))} |")
    return 0


def wanted(change: Change, known: dict[str, Any]) -> set[str] | None:
    """The tests that run the statement; None: all."""
    failed = set(known["failed"])
    if change.statement is None:
        return None if not failed else set(known["ran"]) - failed
    first, last = change.statement
    lines = known["lines"][change.path]
    found = {test for line in range(first, last + 1) for test in lines.get(str(line), ())}
    return (set(known["ran"]) if "" in found else found) - failed


def faults(tree: Path, at_once: int) -> int:
    """Each fault, and the test that notices it; 1 if one is not noticed."""
    answers = dict(all_of([(fault, partial(on_change, tree, fault, None)) for fault in FAULTS], at_once))
    print("| fault | where | noticed by |\n|---|---|---|")
    for fault in FAULTS:
        found = answers[fault]
        print(f"| {fault.title} | {fault.path} | {found['failed'][0] if found.get('failed') else verdict(found)} |")
    return 0 if all(verdict(answer) == NOTICED for answer in answers.values()) else 1


def main() -> int:
    """The survivors, and a table; or the faults."""
    parser = argparse.ArgumentParser(description="Change the program and see whether a test notices.")
    names = [room.name for room in ROOMS]
    parser.add_argument("--only", default=",".join(names), metavar="ROOM[,ROOM]", help=f"of {', '.join(names)}")
    parser.add_argument("--most", type=int, default=200, help="how many changes (200)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1, help="how many processes (one a core)")
    parser.add_argument("--tree", type=Path, default=PROJECT, metavar="DIRECTORY")
    parser.add_argument("--faults", action="store_true", help="the faults of tools/ten_faults.py")
    given = parser.parse_args()
    chosen = given.only.split(",")
    if unknown := sorted(set(chosen) - set(names)):
        parser.error(f"--only: no room is called {unknown[0]}")
    tree = given.tree.resolve()
    prepare(tree)
    if given.faults:
        return faults(tree, given.at_once)
    return mutants(tree, [room for room in ROOMS if room.name in chosen], given.most, given.seed, given.at_once)


if __name__ == "__main__":
    sys.exit(main())
