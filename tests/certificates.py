"""Certificates for tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    cert: str
    key: str


def _written(folder: Path, name: str, cert: trustme.Blob, key: trustme.Blob) -> Pair:
    pair = Pair(f"{folder}/{name}.crt", f"{folder}/{name}.key")
    cert.write_to_path(pair.cert)
    key.write_to_path(pair.key)
    return pair


def authority(folder: Path, name: str) -> Pair:
    """A certificate authority."""
    made = trustme.CA(organization_name=name)
    return _written(folder, name, made.cert_pem, made.private_key_pem)


def issue(folder: Path, name: str, by: Pair, *alternatives: str) -> Pair:
    """A certificate by an authority for a common name, with other names (hosts or addresses) or without."""
    ca = trustme.CA.from_pem(Path(by.cert).read_bytes(), Path(by.key).read_bytes())
    made = ca.issue_cert(*alternatives, common_name=name)
    return _written(folder, name, made.cert_chain_pems[0], made.private_key_pem)
