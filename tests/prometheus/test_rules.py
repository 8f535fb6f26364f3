"""The rules and the example configuration, judged by promtool."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from helpers import PROJECT

RULES = Path(PROJECT, "agent/cgstatd/data/prometheus")
PROMTOOL = shutil.which("promtool")
pytestmark = pytest.mark.skipif(PROMTOOL is None, reason="no promtool: apt install prometheus")


def promtool(*arguments: str, folder: Path) -> str:
    """Its output; it must be content."""
    ran = subprocess.run([str(PROMTOOL), *arguments], capture_output=True, text=True, check=False, cwd=folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def test_the_rules_and_the_configuration_are_well_formed() -> None:
    output = promtool("check", "config", "--lint=all", "--lint-fatal", "prometheus.yml", folder=RULES)
    assert "8 rules found" in output and "8 rules found" in output


def test_every_alert_and_recording_rule_says_what_it_should(tmp_path: Path) -> None:
    for path in RULES.glob("*.yml"):
        shutil.copy(path, tmp_path)
    shutil.copy(Path(__file__).parent / "rules_test.yml", tmp_path)
    assert "SUCCESS" in promtool("test", "rules", "rules_test.yml", folder=tmp_path)


def test_every_alert_has_a_unit_test() -> None:
    alerts = [
        line.split(": ")[1] for line in (RULES / "cgstatd.alerts.yml").read_text().splitlines() if "- alert:" in line
    ]
    tests = (Path(__file__).parent / "rules_test.yml").read_text()
    assert [alert for alert in alerts if f"alertname: {alert}" not in tests] == []
