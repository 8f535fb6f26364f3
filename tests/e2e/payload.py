"""What a guest is given: the project's wheel with the wheels it depends on, the unit file, and the tests.

The guest has no network, so pip downloads here what fits the guest's Python and installs there from the folder.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
from collections.abc import Mapping
from pathlib import Path

from image import CannotBuild, cache_directory, say
from packages import certificate, packages

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
GUEST_PYTHON = "3.13"
_PLATFORMS = ("manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux_2_28_x86_64")


def payload(target: Path, arguments: Mapping[str, str], *, bench: bool = False) -> None:
    """Write the tar. ``arguments`` become the environment of the guest's ``main``. Raises CannotBuild."""
    wheels = [*_dependencies(), _own_wheel(target.parent)]
    environment = target.with_suffix(".env")
    environment.write_text("".join(f"{name}={_quoted(value)}\n" for name, value in arguments.items()))
    with tarfile.open(target, "w") as archive:
        for path in sorted((HERE / "guest").iterdir()):
            if path.suffix in (".py", ".conf", ""):
                archive.add(path, path.name, recursive=False)
        archive.add(environment, "environment")
        archive.add(PROJECT / "tests/clientformulas.py", "clientformulas.py")
        for name in ("recreate.py", "ends.py", "endings.py"):
            archive.add(PROJECT / "tools/engines" / name, f"tools/{name}")
        for path in sorted((PROJECT / "systemd").glob("*.*")):
            archive.add(path, f"systemd/{path.name}", recursive=False)
        for path in [*packages(), *certificate(target.parent)]:
            archive.add(path, f"packages/{path.name}")
        for path in _bench(target.parent / "bench") if bench else ():
            archive.add(path, f"bench/{path.name}")
        for wheel in wheels:
            archive.add(wheel, f"wheels/{wheel.name}")


def _bench(work: Path) -> list[Path]:
    """The bench, with its C programs as static ones: the guest has no compiler."""
    work.mkdir()
    source = PROJECT / "tools/bench"
    done = subprocess.run([sys.executable, source / "programs.py", work], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotBuild(f"the bench's C programs (apt install gcc libc6-dev):\n{done.stderr[-3000:]}")
    return [
        *(path for path in sorted(source.glob("*.py")) if not path.name.startswith("test_")),
        *sorted(work.iterdir()),
    ]


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"


def _pip() -> Path:
    """A pip of our own: Debian's refuses to work outside a virtual environment, or is not there."""
    tools = cache_directory() / "tools"
    if not (tools / "bin/pip").exists():
        tools.parent.mkdir(parents=True, exist_ok=True)
        venv.create(tools, with_pip=True, clear=True)
    return tools / "bin/pip"


def _run_pip(*arguments: str | Path) -> None:
    done = subprocess.run(
        [_pip(), *arguments, "--quiet", "--disable-pip-version-check"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CannotBuild(f"pip {arguments[0]} failed:\n{done.stdout[-3000:]}")


def _dependencies() -> list[Path]:
    """The wheels the project depends on, for the guest's Python; downloaded when the list in pyproject.toml changes."""
    wanted = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]
    key = hashlib.sha256("\n".join([GUEST_PYTHON, *wanted]).encode()).hexdigest()[:12]
    directory = cache_directory() / f"wheels-{key}"
    if not (directory / "complete").exists():
        say("downloading the wheels that the agent needs")
        for old in cache_directory().glob("wheels-*"):
            shutil.rmtree(old)
        platforms = [f"--platform={each}" for each in _PLATFORMS]
        _run_pip("download", "--dest", directory, f"--python-version={GUEST_PYTHON}", *platforms,
                 "--only-binary=:all:", *wanted)  # fmt: skip
        (directory / "complete").touch()
    return sorted(directory.glob("*.whl"))


def _own_wheel(work: Path) -> Path:
    """The project's wheel as it is in the working tree now."""
    _run_pip("wheel", "--no-deps", "--wheel-dir", work, PROJECT)
    return next(work.glob("cgstatd-*.whl"))


if __name__ == "__main__":
    payload(Path(sys.argv[1]).resolve(), {})
