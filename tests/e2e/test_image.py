"""The guest's image is made from an apt configuration of its own: nothing of this machine's packages runs in it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from e2e import image

HOOKS = """\
APT::Update::Post-Invoke-Success { "if /usr/bin/test -w /var/cache/swcatalog; then appstreamcli refresh-cache; fi"; };
DPkg::Post-Invoke { "echo of-this-machine"; };
DPkg::Pre-Install-Pkgs { "/usr/sbin/dpkg-preconfigure --apt || true"; };
APT::Sandbox::Verify "of-this-machine";
"""
NETWORK = """\
Acquire::http::Proxy "http://127.0.0.1:9/";
Acquire::https::Verify-Peer "true";
Acquire::Retries "3";
"""
pytestmark = pytest.mark.skipif(not shutil.which("apt-config"), reason="this machine has no apt")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with the hooks of a desktop's packages in its apt.conf.d, and a proxy; a directory to work in."""
    parts = tmp_path / "apt.conf.d"
    parts.mkdir()
    (parts / "50appstream").write_text(HOOKS)
    (parts / "20proxy").write_text(NETWORK)
    (tmp_path / "apt.conf").write_text(f'Dir::Etc::parts "{parts}";\n')
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    work = tmp_path / "work"
    work.mkdir()
    return work


def test_the_hooks_of_this_machines_packages_are_not_taken_over(machine: Path) -> None:
    assert "appstreamcli" in subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
    shown = image.apt_run(machine, "apt-config", "dump")
    assert "appstreamcli" not in shown and "of-this-machine" not in shown and "dpkg-preconfigure" not in shown


def test_how_this_machine_reaches_its_archive_is(machine: Path) -> None:
    shown = image.apt_run(machine, "apt-config", "dump").splitlines()
    assert [line for line in NETWORK.splitlines() if line not in shown] == []


def test_mmdebstrap_is_told_of_the_network_alone(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[tuple[str, ...]] = []

    def run(*command: Any, **_: Any) -> str:
        commands.append(tuple(map(str, command)))
        return original(*command) if command[0] == "apt-config" else ""

    original = image._run
    monkeypatch.setattr(image, "_run", run)
    (machine / "sources").mkdir()
    image._bootstrap(machine / "root", machine / "sources", machine)
    [mmdebstrap] = [command for command in commands if command[0] == "mmdebstrap"]
    options = [each.removeprefix("--aptopt=") for each in mmdebstrap if each.startswith("--aptopt=")]
    said = "\n".join(Path(each).read_text() if each.startswith("/") else each for each in options)
    assert "Invoke" not in said and "Sandbox" not in said and "Install-Pkgs" not in said
    assert 'Acquire::http::Proxy "http://127.0.0.1:9/";' in said
