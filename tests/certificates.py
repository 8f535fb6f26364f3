"""Certificates for tests, made with the openssl program."""

from __future__ import annotations

import functools
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    cert: str
    key: str


@functools.cache
def _missing() -> str:
    found = shutil.which("openssl")
    if not found:
        return "needs the openssl program"
    version = subprocess.run([found, "version"], capture_output=True, text=True, check=False).stdout
    return "" if version >= "OpenSSL 3" else f"needs OpenSSL 3 to sign in one step, this is {version.strip()}"


def require_openssl() -> None:
    """Skip, with the reason, where certificates cannot be made."""
    if _missing():
        pytest.skip(_missing())


def _make(folder: Path, name: str, *more: str) -> Pair:
    require_openssl()
    pair = Pair(f"{folder}/{name}.crt", f"{folder}/{name}.key")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-keyout", pair.key, "-out", pair.cert, "-utf8", "-subj", f"/CN={name}", *more],
        check=True, capture_output=True,
    )  # fmt: skip
    return pair


def authority(folder: Path, name: str) -> Pair:
    """A certificate authority."""
    return _make(folder, name, "-addext", "keyUsage=critical,keyCertSign,cRLSign")


def issue(folder: Path, name: str, by: Pair, alternative: str = "") -> Pair:
    """A certificate by an authority, with subject alternative names (``DNS:a,IP:127.0.0.1``) or without."""
    names = ("-addext", f"subjectAltName={alternative}") if alternative else ()
    return _make(
        folder, name, "-CA", by.cert, "-CAkey", by.key, "-addext", "basicConstraints=critical,CA:FALSE", *names
    )
