"""Answers that are kept as text, one file each: compared with what was found, or written anew with ``--update``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

SCANDIR, LISTDIR = os.scandir, os.listdir


def same_as_kept(folder: Path, found: Mapping[str, str], *, update: bool) -> None:
    """``found``: name of the file, without its ending -> text."""
    if update:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.txt"):
            old.unlink()
        for file, text in found.items():
            (folder / f"{file}.txt").write_text(text, "utf-8")
    kept = {path.stem: path.read_text("utf-8") for path in folder.glob("*.txt")}
    assert found.keys() == kept.keys()
    for file, text in found.items():
        assert text.splitlines() == kept[file].splitlines(), f"{folder.name}/{file}"


class Listing:
    """A directory in the order of its names: every file system has its own."""

    def __init__(self, path: str | int) -> None:
        with SCANDIR(path) as found:
            self._found = iter(sorted(found, key=lambda each: str(each.name)))

    def __enter__(self) -> Iterator[os.DirEntry[str]]:
        return self._found

    def __exit__(self, *_: object) -> None:
        """Closed already."""

    def __iter__(self) -> Iterator[os.DirEntry[str]]:
        return self._found

    def __next__(self) -> os.DirEntry[str]:
        return next(self._found)

    def close(self) -> None:
        """Closed already."""


def in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every directory is listed in the order of its names."""
    monkeypatch.setattr(os, "scandir", Listing)
    monkeypatch.setattr(os, "listdir", lambda path: sorted(LISTDIR(path)))
