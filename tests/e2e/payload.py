"""What a guest is given: the project's wheel, the unit file, the Debian package and the tests."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

from packages import certificate, packages
from wheels import HERE, PROJECT, CannotBuild


def payload(target: Path, arguments: Mapping[str, str], *, bench: bool = False) -> None:
    """Write the tar. ``arguments`` become the environment of the guest's ``main``. Raises CannotBuild."""
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


if __name__ == "__main__":
    payload(Path(sys.argv[1]).resolve(), {})
