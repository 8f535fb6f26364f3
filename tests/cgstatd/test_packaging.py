"""What is installed: two packages and nothing else, typed, and light to import."""

from __future__ import annotations

import importlib.util
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

from helpers import PROJECT, UNIFIED
from recordedhosts import recorded_host
from wire import ENVIRONMENT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built with hatchling without a network."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed: pip install hatchling")
    directory = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)],
        cwd=PROJECT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    [path] = directory.glob("*.whl")
    return zipfile.ZipFile(path)


def python(code: str, **environment: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, env=environment, check=False, cwd="/"
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def loaded_by(statement: str) -> set[str]:
    """Top-level modules that a statement loads in a fresh interpreter."""
    paths = [f"{PROJECT}/agent", f"{PROJECT}/cgroups"]
    code = f"""
import sys
sys.path[:0] = {paths!r}
before = set(sys.modules)
{statement}
print(*sorted(name.partition('.')[0] for name in set(sys.modules) - before))
"""
    return set(python(code).split())


def test_the_wheel_installs_only_names_of_ours(wheel: zipfile.ZipFile) -> None:
    names = {name.split("/")[0] for name in wheel.namelist()}
    assert names == {"cgstatd", "cgroupfs", next(name for name in names if name.startswith("cgstatd-"))}
    assert [name for name in names if "." in name] == [name for name in names if name.endswith(".dist-info")]


def test_the_wheel_holds_every_module_and_no_test_or_fixture(wheel: zipfile.ZipFile) -> None:
    modules = {
        path.relative_to(top).as_posix()
        for top in (Path(f"{PROJECT}/agent"), Path(f"{PROJECT}/cgroups"))
        for path in top.rglob("*.py")
    }
    assert {name for name in wheel.namelist() if name.endswith(".py")} == modules
    assert [name for name in wheel.namelist() if "__pycache__" in name or "fixtures" in name] == []
    assert {"cgstatd/py.typed", "cgroupfs/py.typed"} <= set(wheel.namelist())


def test_the_wheel_holds_the_page_and_the_files_for_prometheus(wheel: zipfile.ZipFile) -> None:
    for folder in ("web/static", "data/prometheus"):
        files = {path.name for path in Path(f"{PROJECT}/agent/cgstatd/{folder}").iterdir() if path.is_file()}
        assert files and {f"cgstatd/{folder}/{name}" for name in files} <= set(wheel.namelist())


def test_the_wheel_holds_the_units_that_install_writes(wheel: zipfile.ZipFile) -> None:
    for name in (
        "cgstatd.service", "cgstatd.socket", "cgstatd-forward.service", "forward.yml", "rootless.conf",
        "credentials.conf",
    ):  # fmt: skip
        assert wheel.read(f"cgstatd/data/units/{name}") == Path(f"{PROJECT}/systemd/{name}").read_bytes()


def test_the_wheel_is_pure_python_with_its_licence_and_its_command(wheel: zipfile.ZipFile) -> None:
    [info] = {name.split("/")[0] for name in wheel.namelist() if name.endswith("/METADATA")}
    assert "Tag: py3-none-any" in wheel.read(f"{info}/WHEEL").decode()
    assert wheel.read(f"{info}/entry_points.txt").decode() == "[console_scripts]\ncgstatd = cgstatd.cli.main:main\n"
    assert f"{info}/licenses/LICENSE" in wheel.namelist()
    metadata = HeaderParser().parsestr(wheel.read(f"{info}/METADATA").decode())
    assert (metadata["Name"], metadata["Requires-Python"]) == ("cgstatd", ">=3.11")


def test_the_version_is_the_same_everywhere(wheel: zipfile.ZipFile) -> None:
    version = python(f"import sys; sys.path.insert(0, '{PROJECT}/agent'); import cgstatd; print(cgstatd.__version__)")
    assert any(name.startswith(f"cgstatd-{version.strip()}.dist-info/") for name in wheel.namelist())


def test_the_wheel_works_from_where_it_is_installed(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    path = f"sys.path[:0] = {[str(tmp_path)]!r}"
    code = f"import sys; {path}; from cgstatd.cli.main import main; sys.exit(main(sys.argv[1:]))"
    ran = subprocess.run(
        [sys.executable, "-I", "-B", "-c", code, "stats", "--host-root", recorded_host(UNIFIED)],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert ran.returncode == 0 and ran.stdout.startswith("CONTAINER ID"), ran.stderr


def test_the_debian_package_is_named_after_the_release_that_it_is_built_on(tmp_path: Path) -> None:
    """Its compiled modules are for that release's Python. The tools of Debian are played."""
    for name in ("pyproject.toml", "README.md", "SECURITY.md", "CHANGELOG.md", "LICENSE"):
        shutil.copy(f"{PROJECT}/{name}", tmp_path)
    for name in ("agent", "cgroups", "docs", "bin"):
        (tmp_path / name).mkdir()
    shutil.copytree(f"{PROJECT}/systemd", tmp_path / "systemd")
    played = "#!/bin/sh\nsed -n '1s/.*(\\(.*\\)).*/\\1/p' debian/changelog | xargs -I% touch ../cgstatd_%_any.deb\n"
    for tool in ("dpkg-buildpackage", "dh"):
        (tmp_path / "bin" / tool).write_text(played)
        (tmp_path / "bin" / tool).chmod(0o755)
    release = platform.freedesktop_os_release()
    for revision in ("", "7"):
        environment = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "REVISION": revision}
        built = subprocess.run(
            [tmp_path / "systemd/debian/build"], env=environment, capture_output=True, text=True, check=True
        )
        wanted = revision or f"1~{release['ID']}{release.get('VERSION_ID', release.get('VERSION_CODENAME'))}"
        assert re.fullmatch(rf"dist/cgstatd_[0-9.]+-{re.escape(wanted)}_any\.deb\n", built.stdout), built.stdout


def test_cgroupfs_needs_the_standard_library_alone() -> None:
    loaded = loaded_by("import cgroupfs")
    assert loaded - set(sys.stdlib_module_names) == {"cgroupfs"}
    assert not loaded & {"asyncio", "http", "socket", "ssl", "urllib"}


def test_the_command_line_loads_no_web_server_before_it_serves() -> None:
    loaded = loaded_by("import cgstatd.cli.main")
    assert not loaded & {"aiohttp", "aiohttp_sse", "asyncio", "psutil", "sqlite3"}


def test_the_table_needs_no_web_server() -> None:
    loaded = loaded_by(
        "from cgstatd.cli.main import main\n"
        "import contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        f"    assert main(['stats', '--host-root', '{recorded_host(UNIFIED)}']) == 0\n"
    )
    assert not loaded & {"aiohttp", "aiohttp_sse"}


def test_the_manual_and_the_completions_are_made_from_the_command_line(tmp_path: Path) -> None:
    for module in ("argparse_manpage", "shtab"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed: make test installs it")
    subprocess.run(
        [f"{PROJECT}/docs/make-manual", str(tmp_path)], env={**ENVIRONMENT, "PYTHON": sys.executable}, check=True
    )
    manual = (tmp_path / "cgstatd.8").read_text("utf-8").replace("\\-", "-")
    for command, flag in (("serve", "--max-cpu"), ("stats", "--watch"), ("token", "rotate"), ("doctor", "--json")):
        assert re.search(rf"cgstatd {command}\b", manual) and flag in manual
    for shell in ("bash", "zsh"):
        assert "--max-cpu" in (tmp_path / f"cgstatd.{shell}").read_text("utf-8")
    subprocess.run(["bash", "-n", tmp_path / "cgstatd.bash"], check=True)


def test_the_debian_package_brings_what_top_needs() -> None:
    """Its launcher is isolated: no pip of a user's could add it."""
    rules = Path(f"{PROJECT}/systemd/debian/rules").read_text()
    assert re.search(r"pip install .*--target \$\(DEST\)/\$\(LIB\) '\.\[top\]'$", rules, re.MULTILINE)


def test_the_debian_package_says_where_to_look_the_first_time_alone() -> None:
    script = Path(f"{PROJECT}/systemd/debian/postinst").read_text()
    for arguments, lines in ((["configure", ""], 4), (["configure", "0.1.0-1"], 0), (["abort-upgrade", ""], 0)):
        ran = subprocess.run(["sh", "-c", script, "sh", *arguments], capture_output=True, text=True, check=True)
        said = ran.stdout.splitlines()
        assert len(said) == lines
        assert not said or [line.split()[-1] for line in said[:2]] == ["http://127.0.0.1:9713/", "top"]
