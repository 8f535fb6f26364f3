"""What systemd itself says of the units: nothing, and an exposure of at most 1.5."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from helpers import PROJECT

UNITS = Path(PROJECT, "systemd")
SERVICE = (UNITS / "cgstatd.service").read_text()


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """systemd-analyze, where it is new enough to look at files."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    ran = subprocess.run(["systemd-analyze", *arguments, "--no-pager"], capture_output=True, text=True, check=False)
    if "unrecognized option" in ran.stderr or "unknown command" in ran.stderr.lower():
        pytest.skip("this systemd-analyze is too old")
    return ran


def red() -> dict[str, str]:
    """setting -> its line in red."""
    ran = analyze("security", "--offline=yes", str(UNITS / "cgstatd.service"))
    found = re.findall(r"^✗ (\S+) +(.*)$", ran.stdout, re.MULTILINE)
    assert found, ran.stderr
    return dict(found)


def test_the_exposure_is_at_most_1_5() -> None:
    ran = analyze("security", "--offline=yes", "--threshold=15", str(UNITS / "cgstatd.service"))
    assert ran.returncode == 0, ran.stdout


def test_every_line_in_red_is_explained_in_the_unit() -> None:
    explained = SERVICE[SERVICE.index("# What `systemd-analyze security`") :]
    for name in red():
        setting = name.split("=")[0].split("/")[0]
        assert setting in explained, name


def test_verify_has_nothing_to_say(tmp_path: Path) -> None:
    for name in ("cgstatd.service", "cgstatd.socket"):
        (tmp_path / name).write_text((UNITS / name).read_text().replace("/usr/bin/cgstatd", "/bin/true"))
    for drop_in in ("rootless.conf", "credentials.conf"):
        directory = tmp_path / "cgstatd.service.d"
        directory.mkdir(exist_ok=True)
        (directory / drop_in).write_text((UNITS / drop_in).read_text())
    ran = analyze("verify", "--man=no", str(tmp_path / "cgstatd.service"), str(tmp_path / "cgstatd.socket"))
    ours = [line for line in ran.stderr.splitlines() if "cgstatd" in line]
    assert (ran.returncode, ours) == (0, [])


def test_proc_stays_readable_and_the_watchdog_is_on() -> None:
    settings = dict(re.findall(r"^(\w+)=(.*)$", SERVICE, re.MULTILINE))
    assert settings["Type"] == "notify" and int(settings["WatchdogSec"]) >= 30
    assert settings["CapabilityBoundingSet"] == settings["AmbientCapabilities"] == "CAP_DAC_READ_SEARCH"
    assert "ProtectProc" not in settings and "ProcSubset" not in settings
