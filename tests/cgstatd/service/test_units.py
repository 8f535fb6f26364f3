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
BOTH = ("cgstatd.service", "cgstatd-forward.service")


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """systemd-analyze, where it is new enough to look at files."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    ran = subprocess.run(["systemd-analyze", *arguments, "--no-pager"], capture_output=True, text=True, check=False)
    if "unrecognized option" in ran.stderr or "unknown command" in ran.stderr.lower():
        pytest.skip("this systemd-analyze is too old")
    return ran


def red(unit: str) -> dict[str, str]:
    """setting -> its line in red."""
    ran = analyze("security", "--offline=yes", str(UNITS / unit))
    found = re.findall(r"^✗ (\S+) +(.*)$", ran.stdout, re.MULTILINE)
    assert found, ran.stderr
    return dict(found)


@pytest.mark.parametrize("unit", BOTH)
def test_the_exposure_is_at_most_1_5(unit: str) -> None:
    ran = analyze("security", "--offline=yes", "--threshold=15", str(UNITS / unit))
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize("unit", BOTH)
def test_every_line_in_red_is_explained_in_the_unit(unit: str) -> None:
    text = (UNITS / unit).read_text()
    explained = text[text.index("# What `systemd-analyze security`") :]
    for name in red(unit):
        setting = name.split("=")[0].split("/")[0]
        assert setting in explained, name


def test_verify_has_nothing_to_say(tmp_path: Path) -> None:
    units = ("cgstatd.service", "cgstatd.socket", "cgstatd-forward.service")
    for name in units:
        text = (UNITS / name).read_text().replace("/usr/bin/cgstatd", "/bin/true")
        (tmp_path / name).write_text(text.replace("/usr/bin/vmagent", "/bin/true"))
    for drop_in in ("rootless.conf", "credentials.conf"):
        directory = tmp_path / "cgstatd.service.d"
        directory.mkdir(exist_ok=True)
        (directory / drop_in).write_text((UNITS / drop_in).read_text())
    ran = analyze("verify", "--man=no", *(str(tmp_path / name) for name in units))
    ours = [line for line in ran.stderr.splitlines() if "cgstatd" in line]
    assert (ran.returncode, ours) == (0, [])


def test_proc_stays_readable_and_the_watchdog_is_on() -> None:
    settings = dict(re.findall(r"^(\w+)=(.*)$", SERVICE, re.MULTILINE))
    assert settings["Type"] == "notify" and int(settings["WatchdogSec"]) >= 30
    assert settings["CapabilityBoundingSet"] == settings["AmbientCapabilities"] == "CAP_DAC_READ_SEARCH"
    assert "ProtectProc" not in settings and "ProcSubset" not in settings
