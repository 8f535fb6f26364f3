"""The wheels that the project depends on, for the guest's Python, and pip to fetch and make them with.

The guest has no network: they go into its image, and the project's own wheel into each payload.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tomllib
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
GUEST_PYTHON = "3.13"
_PLATFORMS = ("manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux_2_28_x86_64")


class CannotBuild(Exception):
    """One sentence that says what is missing."""


def cache_directory() -> Path:
    """Where images, wheels and running machines live."""
    return Path(os.environ.get("CGSTATD_E2E_DIR") or "/var/tmp/cgstatd-e2e")


def say(text: str) -> None:
    """Progress, on one line of its own, in order with the guest's output."""
    print(f"e2e: {text}", flush=True)


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


def wanted() -> list[str]:
    """The dependencies in pyproject.toml."""
    return list(tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"])


def dependencies() -> Path:
    """A directory with these wheels, downloaded when the list changes. Raises CannotBuild."""
    key = hashlib.sha256("\n".join([GUEST_PYTHON, *wanted()]).encode()).hexdigest()[:12]
    directory = cache_directory() / f"wheels-{key}"
    if not (directory / "complete").exists():
        say("downloading the wheels that the agent needs")
        for old in cache_directory().glob("wheels-*"):
            shutil.rmtree(old)
        platforms = [f"--platform={each}" for each in _PLATFORMS]
        _run_pip("download", "--dest", directory, f"--python-version={GUEST_PYTHON}", *platforms,
                 "--only-binary=:all:", *wanted())  # fmt: skip
        (directory / "complete").touch()
    return directory


def own_wheel(work: Path) -> Path:
    """The project's wheel as it is in the working tree now. Raises CannotBuild."""
    _run_pip("wheel", "--no-deps", "--wheel-dir", work, PROJECT)
    return next(work.glob("cgstatd-*.whl"))
