"""systemctl: the only program that the agent ever runs, and only to install itself."""

from __future__ import annotations

import os
import subprocess

_SECONDS = 120.0


class SystemctlFailed(Exception):
    """systemctl refused; its own words."""


class Systemctl:
    """Runs it on this host."""

    @property
    def usable(self) -> bool:
        """Whether systemd is this host's init (sd_booted(3))."""
        return os.path.isdir("/run/systemd/system")

    def call(self, *arguments: str) -> None:
        """Raises SystemctlFailed."""
        done = self._run(*arguments)
        if done.returncode:
            said = (done.stderr or done.stdout).strip() or f"exit status {done.returncode}"
            raise SystemctlFailed(f"systemctl {' '.join(arguments)}: {said}")

    def ask(self, *arguments: str) -> bool:
        """Whether systemctl answers yes; no where there is no systemctl."""
        try:
            return self._run(*arguments).returncode == 0
        except SystemctlFailed:
            return False

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["systemctl", "--no-ask-password", *arguments]
        try:
            return subprocess.run(  # noqa: S603 - a fixed program with our own words
                command, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SystemctlFailed(f"systemctl: {error}") from error
