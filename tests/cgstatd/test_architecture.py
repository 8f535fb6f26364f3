"""The plan of the rooms is the one that docs/architecture.md shows. Who may use whom is held by `lint-imports`."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

from helpers import PROJECT

AGENT = Path(PROJECT, "agent/cgstatd")
REFERENCE = r":(?:mod|class|func|meth|data|attr):`~?((?:\.|cgstatd\.|cgroupfs\.)[^`]+)`"
PAGE = Path(PROJECT, "docs/architecture.md").read_text("utf-8")


def _folders(top: Path) -> set[str]:
    return {path.relative_to(top).as_posix() for path in top.rglob("*") if path.is_dir() and path.name != "__pycache__"}


def test_every_room_has_its_line_in_the_plan() -> None:
    rooms = {name for name in _folders(AGENT) if "/" not in name}
    assert rooms and {name for name in rooms if f"\n| `agent/cgstatd/{name}/` |" not in PAGE} == set()


def test_no_module_lies_outside_a_room() -> None:
    assert {path.name for path in AGENT.glob("*.py")} == {"__init__.py", "__main__.py"}


def test_the_tests_lie_as_the_code_does() -> None:
    tests = Path(PROJECT, "tests/cgstatd")
    assert {path.parent.relative_to(tests).as_posix() for path in tests.rglob("*.py")} <= {".", *_folders(AGENT)}


def test_what_docstrings_name_in_other_modules_is_there() -> None:
    missing = []
    for top in ("agent", "cgroups"):
        for path in Path(PROJECT, top).rglob("*.py"):
            package = ".".join(path.relative_to(Path(PROJECT, top)).parent.parts)
            named = re.findall(REFERENCE, path.read_text("utf-8"))
            missing += [(path.name, name) for name in named if not found(name, package)]
    assert missing == []


def found(name: str, package: str) -> bool:
    """Whether there is such a module, or such a name in one."""
    outer, _, inner = name.rpartition(".")
    try:
        import_module(name, package)
    except ModuleNotFoundError:
        return bool(outer.strip(".")) and inner in _names(outer, package)
    return True


def _names(outer: str, package: str) -> list[str]:
    """The names in a module, or in a class of one."""
    try:
        return dir(import_module(outer, package))
    except ModuleNotFoundError:
        module, _, kind = outer.rpartition(".")
        return dir(getattr(import_module(module, package), kind))
