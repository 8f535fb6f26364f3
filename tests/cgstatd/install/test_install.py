"""Installing below another root, with a systemctl that only remembers what it was told."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from cgstatd.install import plan
from cgstatd.install.command import install, uninstall
from cgstatd.install.plan import CannotInstall, Layout, check, source
from cgstatd.install.systemctl import Systemctl, SystemctlFailed
from helpers import PROJECT
from wire import run

CONFIG, TOKENS = "etc/cgstatd/config.toml", "etc/cgstatd/tokens.json"
UNIT, SOCKET = "etc/systemd/system/cgstatd.service", "etc/systemd/system/cgstatd.socket"
FORWARD, FORWARDED = "etc/systemd/system/cgstatd-forward.service", "etc/cgstatd/forward.yml"
LINK = "usr/local/bin/cgstatd"


class Remembering(Systemctl):
    """Says yes to what it was told before."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.enabled: set[str] = set()

    @property
    def usable(self) -> bool:
        return True

    def call(self, *arguments: str) -> None:
        self.calls.append(" ".join(arguments))
        if arguments[0] == "enable":
            self.enabled.add(arguments[-1])

    def ask(self, *arguments: str) -> bool:
        return arguments[-1] in self.enabled


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A program where the service can see it, wherever the tests' own files are."""
    monkeypatch.setattr(plan, "_HIDDEN", tuple(each for each in plan._HIDDEN if not str(tmp_path).startswith(each)))
    program = tmp_path / "opt/cgstatd/bin/cgstatd"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return Layout(str(program), root=str(tmp_path / "host"), systemctl=Remembering())


@pytest.fixture
def installed(layout: Layout) -> Layout:
    """Once, and what systemctl was told is forgotten."""
    assert install(layout, socket=False, dry_run=False) == 0
    calls(layout)
    return layout


def files(layout: Layout) -> set[str]:
    """Every file and link of the host."""
    found = Path(layout.root).rglob("*")
    return {str(path.relative_to(layout.root)) for path in found if path.is_symlink() or path.is_file()}


def calls(layout: Layout) -> list[str]:
    """What systemctl was told since the last time."""
    assert isinstance(layout.systemctl, Remembering)
    said, layout.systemctl.calls = layout.systemctl.calls, []
    return said


def test_it_writes_the_units_for_this_environment_and_starts_the_service(layout: Layout) -> None:
    assert install(layout, socket=False, dry_run=False) == 0
    assert files(layout) == {CONFIG, UNIT, SOCKET, LINK, FORWARD, FORWARDED}
    unit = Path(layout.root, UNIT).read_text()
    assert f"\nExecStart={layout.program} serve\n" in unit and "/usr/bin/cgstatd" not in unit
    assert os.readlink(f"{layout.root}/{LINK}") == layout.program
    assert Path(layout.root, CONFIG).stat().st_mode & 0o777 == 0o644
    assert calls(layout) == ["daemon-reload", "enable cgstatd.service", "restart cgstatd.service"]


def test_what_sends_to_a_server_is_there_as_shipped_and_is_not_started(layout: Layout) -> None:
    install(layout, socket=False, dry_run=False)
    for path in (FORWARD, FORWARDED):
        assert Path(layout.root, path).read_text().endswith(source(os.path.basename(path)))
    assert "ConditionPathExists=/etc/cgstatd/forward.env" in Path(layout.root, FORWARD).read_text()
    assert not [call for call in calls(layout) if "forward" in call]


def test_the_second_time_what_sends_has_its_new_unit_and_its_changed_configuration(installed: Layout) -> None:
    Path(installed.root, FORWARD).write_text("old")
    Path(installed.root, FORWARDED).write_text("changed")
    installed.systemctl.call("enable", "--now", "cgstatd-forward.service")
    install(installed, socket=False, dry_run=False)
    assert (
        "vmagent" in Path(installed.root, FORWARD).read_text()
        and Path(installed.root, FORWARDED).read_text() == "changed"
    )
    assert calls(installed)[-1] == "restart cgstatd-forward.service"


def test_the_second_time_it_starts_what_may_be_newer(installed: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert install(installed, socket=False, dry_run=False) == 0
    assert capsys.readouterr().out.splitlines()[:2] == ["systemctl daemon-reload", "systemctl restart cgstatd.service"]


def test_a_dry_run_says_everything_and_does_nothing(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    assert install(layout, socket=True, dry_run=True) == 0
    said = capsys.readouterr().out.splitlines()
    assert not os.path.exists(layout.root) and calls(layout) == []
    assert all(line.startswith("would ") for line in said)
    assert f"would write {layout.root}/{UNIT}" in said and "would systemctl enable --now cgstatd.socket" in said


def test_a_configuration_that_is_there_stays(layout: Layout) -> None:
    path = Path(layout.root, CONFIG)
    path.parent.mkdir(parents=True)
    path.write_text("env_id = 7\n")
    install(layout, socket=False, dry_run=False)
    assert path.read_text() == "env_id = 7\n"


def test_an_older_unit_is_replaced_and_drop_ins_stay(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    drop_in = Path(layout.root, f"{UNIT}.d/local.conf")
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text("[Service]\nMemoryMax=1G\n")
    Path(layout.root, UNIT).write_text("old")
    install(layout, socket=False, dry_run=False)
    assert f"replace {layout.root}/{UNIT}" in capsys.readouterr().out
    assert "Type=notify" in Path(layout.root, UNIT).read_text() and drop_in.exists()


def test_with_a_socket_the_service_gives_up_its_own_first(layout: Layout) -> None:
    install(layout, socket=True, dry_run=False)
    assert calls(layout) == [
        "daemon-reload", "stop cgstatd.service", "enable --now cgstatd.socket", "enable cgstatd.service",
        "restart cgstatd.service",
    ]  # fmt: skip


def test_uninstalling_leaves_configuration_and_tokens(installed: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    Path(installed.root, TOKENS).write_text("{}")
    calls(installed)
    assert uninstall(installed, purge=False, dry_run=False) == 0
    assert files(installed) == {CONFIG, TOKENS, FORWARDED}
    assert calls(installed) == ["disable --now cgstatd.service cgstatd.socket cgstatd-forward.service", "daemon-reload"]
    out = capsys.readouterr().out
    assert f"kept: {installed.root}/etc/cgstatd" in out and "rm -r " in out
    assert uninstall(installed, purge=False, dry_run=False) == 0 and calls(installed) == []


def test_purging_leaves_nothing(installed: Layout) -> None:
    Path(installed.root, TOKENS).write_text("{}")
    drop_in = Path(installed.root, f"{UNIT}.d/rootless.conf")
    drop_in.parent.mkdir()
    drop_in.write_text("")
    assert uninstall(installed, purge=True, dry_run=True) == 0
    assert files(installed) == {CONFIG, TOKENS, UNIT, SOCKET, FORWARD, FORWARDED, LINK, f"{UNIT}.d/rootless.conf"}
    uninstall(installed, purge=True, dry_run=False)
    assert files(installed) == set() and not os.path.exists(installed.config)


def test_purging_leaves_what_others_put_and_says_so(installed: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    Path(installed.root, "etc/cgstatd/tls.key").write_text("precious")
    uninstall(installed, purge=True, dry_run=False)
    assert files(installed) == {"etc/cgstatd/tls.key"}
    assert "holds files that are not cgstatd's" in capsys.readouterr().out


def test_what_is_not_ours_at_the_links_place_stays(layout: Layout) -> None:
    other = Path(layout.root, LINK)
    other.parent.mkdir(parents=True)
    other.write_text("somebody's")
    install(layout, socket=False, dry_run=False)
    uninstall(layout, purge=True, dry_run=False)
    assert other.read_text() == "somebody's"


# -- refusals


def test_beside_the_debian_package_it_refuses(layout: Layout) -> None:
    packaged = Path(layout.root, "usr/lib/systemd/system/cgstatd.service")
    packaged.parent.mkdir(parents=True)
    packaged.write_text("")
    with pytest.raises(CannotInstall, match="apt remove cgstatd"):
        install(layout, socket=False, dry_run=True)
    with pytest.raises(CannotInstall, match="apt remove cgstatd"):
        uninstall(layout, purge=True, dry_run=True)


@pytest.mark.parametrize("place", ["program", "interpreter"])
def test_what_the_service_could_not_see_is_refused_with_where_it_can(
    layout: Layout, tmp_path: Path, place: str
) -> None:
    hidden = "/root/.local/bin/python"
    program = hidden if place == "program" else layout.program
    with pytest.raises(CannotInstall, match=r"no such file|/usr/bin/python3 -m venv /opt/cgstatd"):
        check(Layout(program, hidden))


def test_a_program_that_others_may_not_run_is_refused(layout: Layout) -> None:
    os.chmod(layout.program, 0o700)
    with pytest.raises(CannotInstall, match=r"chmod -R go\+rX"):
        check(Layout(layout.program, root="/nowhere"))


def test_a_host_without_systemd_is_refused_with_what_to_do(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Remembering, "usable", False)
    with pytest.raises(CannotInstall, match="systemd does not run this host"):
        install(layout, socket=False, dry_run=False)


def test_systemctls_own_words_are_passed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "systemctl"
    tool.write_text("#!/bin/sh\necho 'Unit x not found.' >&2\nexit 5\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        SystemctlFailed, match=r"systemctl --no-ask-password start x|systemctl start x: Unit x not found"
    ):
        Systemctl().call("start", "x")
    assert not Systemctl().ask("is-active", "x")
    monkeypatch.setenv("PATH", "/nowhere")
    assert not Systemctl().ask("is-active", "x")
    with pytest.raises(SystemctlFailed, match="No such file"):
        Systemctl().call("start", "x")


def test_the_command_is_a_sentence_where_it_cannot_install() -> None:
    ran = run("install", "--dry-run")
    assert ran.returncode == 2 and ran.stderr.startswith("cgstatd: ") and len(ran.stderr.splitlines()) == 1


# -- the units


@pytest.mark.parametrize("name", ["cgstatd.service", "cgstatd.socket", "cgstatd-forward.service", "forward.yml"])
def test_the_units_are_the_ones_in_the_tree(name: str) -> None:
    assert source(name) == Path(PROJECT, "systemd", name).read_text()


def test_a_unit_that_was_not_shipped_is_a_sentence() -> None:
    with pytest.raises(CannotInstall, match="was not installed from its wheel"):
        source("nothing.service")


def test_after_installing_the_page_comes_first_then_the_terminal_then_curl(
    layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    assert install(layout, socket=False, dry_run=False) == 0
    said = capsys.readouterr().out.partition("The page ")[2].splitlines()
    assert said[0].strip() == "http://127.0.0.1:9713/"
    assert said[1].split()[-2:] == ["cgstatd", "top"] and "curl http://127.0.0.1:9713/api" in said[2]


@pytest.mark.parametrize(
    ("configured", "url"),
    [
        ('listen = ["unix:/run/x.sock", "127.0.0.1:8000"]', "http://127.0.0.1:8000/"),
        ('listen = ["0.0.0.0:9713"]\ntls_cert = "a"\ntls_key = "b"', "https://127.0.0.1:9713/"),
        ('listen = ["[::]:80"]', "http://[::1]:80/"),
        ("listen = 5", "http://127.0.0.1:9713/"),
    ],
)
def test_the_page_is_where_it_is_configured(
    layout: Layout, capsys: pytest.CaptureFixture[str], configured: str, url: str
) -> None:
    config = Path(layout.root, CONFIG)
    config.parent.mkdir(parents=True)
    config.write_text(configured)
    install(layout, socket=False, dry_run=False)
    assert f"The page           {url}\n" in capsys.readouterr().out


def test_what_it_advises_exists(layout: Layout) -> None:
    """No index has cgstatd: it comes from where pip got this one."""
    with pytest.raises(CannotInstall) as refused:
        check(Layout(layout.program, "/root/.local/bin/python"))
    [source_tree] = re.findall(r"pip install '(.*?)\[top\]' && ", str(refused.value))
    assert source_tree == "SOURCE-TREE" or os.path.exists(f"{source_tree}/pyproject.toml")
