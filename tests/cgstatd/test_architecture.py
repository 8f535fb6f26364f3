"""The plan of the rooms is the one that docs/architecture.md shows. Who may use whom is held by `lint-imports`."""

from __future__ import annotations

from pathlib import Path

from helpers import PROJECT

AGENT = Path(PROJECT, "agent/cgstatd")
PAGE = Path(PROJECT, "docs/architecture.md").read_text("utf-8")


def _folders(top: Path) -> set[str]:
    return {path.relative_to(top).as_posix() for path in top.rglob("*") if path.is_dir() and path.name != "__pycache__"}


def test_every_room_has_its_line_in_the_plan() -> None:
    rooms = {name for name in _folders(AGENT) if "/" not in name}
    assert rooms and {name for name in rooms if f"\n| `agent/cgstatd/{name}/` |" not in PAGE} == set()


def test_no_module_lies_outside_a_room() -> None:
    assert {path.name for path in AGENT.glob("*.py")} == {"__init__.py", "__main__.py"}


def test_the_tests_lie_as_the_code_does() -> None:
    assert _folders(Path(PROJECT, "tests/cgstatd")) <= _folders(AGENT)
