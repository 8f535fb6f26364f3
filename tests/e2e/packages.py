"""What a guest installs the way an operator does: the wheel, the Debian package in two revisions, and a certificate.

They are built here and not in the guest, once for each state of the sources and of this file, in whatever directory.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from wheels import GUEST_PYTHON, PROJECT, CannotBuild, cache_directory, own_wheel, say

ADDRESS = "10.99.0.1"
"""Where the agent is asked from the guest's second network namespace."""


def _run(*command: str | Path, cwd: Path | None = None, **environment: str) -> str:
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd=cwd,
        env=os.environ | environment,
    )
    if done.returncode:
        raise CannotBuild(f"{Path(command[0]).name} failed:\n{done.stdout[-3000:]}")
    return done.stdout


def _sources() -> Iterator[Path]:
    for top in ("agent", "cgroups", "systemd"):
        yield from sorted(p for p in (PROJECT / top).rglob("*") if p.is_file() and p.suffix != ".pyc")
    yield PROJECT / "pyproject.toml"
    yield Path(__file__).resolve()


def packages() -> list[Path]:
    """The wheel, and the package's revisions 1 and 2. Raises CannotBuild. A second run that is started meanwhile waits
    for them."""
    cache_directory().mkdir(parents=True, exist_ok=True)
    with open(cache_directory() / "building", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _packages()


def _packages() -> list[Path]:
    key = hashlib.sha256()
    for path in _sources():
        key.update(f"{path.relative_to(PROJECT)}\n".encode() + path.read_bytes())
    directory = cache_directory() / f"packages-{key.hexdigest()[:12]}"
    if not (directory / "complete").exists():
        say("building the wheel and the Debian package")
        for old in cache_directory().glob("packages-*"):
            shutil.rmtree(old)
        directory.mkdir(parents=True)
        built = _run(PROJECT / "systemd/debian/build", REVISION="1").split()[-1]
        first = Path(shutil.move(PROJECT / built, directory))
        _next_revision(first)
        _compile(own_wheel(directory))
        (directory / "complete").touch()
    return sorted(path for path in directory.iterdir() if path.suffix in (".deb", ".whl", ".tar"))


def _next_revision(first: Path) -> None:
    """The same again under the next number: an upgrade needs no second build."""
    tree = first.parent / "tree"
    _run("dpkg-deb", "-R", first, tree)
    control = tree / "DEBIAN/control"
    control.write_text(control.read_text().replace("-1\n", "-2\n", 1))
    _run("dpkg-deb", "--root-owner-group", "-Zgzip", "-b", tree, first.with_name(first.name.replace("-1_", "-2_")))
    shutil.rmtree(tree)


def _compile(wheel: Path) -> None:
    """The wheel's modules with their compiled ones, where this machine's Python is the guest's: 400 of them take an
    emulated processor half a minute."""
    python = "/usr/bin/python3"
    if not _run(python, "--version").startswith(f"Python {GUEST_PYTHON}."):
        return
    tree = wheel.parent / "tree"
    _run(python, "-m", "zipfile", "-e", wheel, tree)
    _run(python, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", tree)
    _run("tar", "-C", tree, "-cf", wheel.with_name("compiled.tar"), ".")
    shutil.rmtree(tree)


def certificate(directory: Path) -> list[Path]:
    """A certificate for ADDRESS that vouches for itself, and its key. Raises CannotBuild."""
    cert, key = directory / "tls.crt", directory / "tls.key"
    options = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj /CN=cgstatd".split()
    _run("openssl", "req", *options, "-addext", f"subjectAltName=IP:{ADDRESS}", "-keyout", key, "-out", cert)
    return [cert, key]
