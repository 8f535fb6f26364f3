"""A link that is cut, an agent that is restarted and killed meanwhile: every round once, every scrape in the store."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from helpers import PROJECT

NEEDED = ("ip", "nsenter", "unshare", "vmagent", "victoria-metrics")


def test_nothing_is_lost_over_a_link_that_was_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The short form of the tool, which prints the figures."""
    missing = [each for each in NEEDED if not shutil.which(each)]
    if missing or os.geteuid() != 0:
        pytest.skip(f"needs root and {', '.join(missing) or 'nothing else'}")
    monkeypatch.syspath_prepend(f"{PROJECT}/tools/history")
    import link_down

    tmp_path.chmod(0o700)
    try:
        right = link_down.play(0.3, tmp_path)
    finally:
        sys.modules.pop("link_down", None)
    said = capsys.readouterr().out
    assert right, said
    assert "the client got 0 rounds" in said
