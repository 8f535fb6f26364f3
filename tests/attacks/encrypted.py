"""TLS that is too old, and client certificates of somebody else."""

from __future__ import annotations

import socket
import ssl
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import certificates
from attacks.arena import REQUEST, Arena, TreeArena, arena


def _authority(folder: Path) -> tuple[certificates.Pair, certificates.Pair]:
    ca = certificates.authority(folder, "authority")
    return ca, certificates.issue(folder, "agent", ca, "IP:127.0.0.1,DNS:localhost")


@contextmanager
def tls_arena(folder: Path) -> Iterator[TreeArena]:
    """An agent that serves TLS."""
    ca, own = _authority(folder)
    good = ssl.create_default_context(cafile=ca.cert)
    with arena(folder, "--tls-cert", own.cert, "--tls-key", own.key, containers=3, tls=good) as found:
        yield found


@contextmanager
def mutual_arena(folder: Path, names: tuple[str, ...] = ()) -> Iterator[TreeArena]:
    """An agent that wants a certificate of its clients too; of these names, where there are some."""
    ca, own = _authority(folder)
    good = ssl.create_default_context(cafile=ca.cert)
    pair = certificates.issue(folder, "good", ca)
    good.load_cert_chain(pair.cert, pair.key)
    files = ["--tls-cert", own.cert, "--tls-key", own.key, "--tls-client-ca", ca.cert]
    files += [part for name in names for part in ("--tls-client-names", name)]
    with arena(folder, *files, containers=3, tls=good) as found:
        yield found


def old_tls(a: Arena) -> str:
    """TLS below 1.2: handshakes that offer 1.0 alone and 1.1 alone"""
    outcomes = []
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            context = ssl.create_default_context(cafile=f"{a.folder}/authority.crt")
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = version
        outcomes.append(_handshake(a, context))
    assert all("refused" in outcome for outcome in outcomes)
    modern = ssl.create_default_context(cafile=f"{a.folder}/authority.crt")
    modern.maximum_version = ssl.TLSVersion.TLSv1_2
    assert _handshake(a, modern) == "answered 200"
    return "; ".join(f"{name} {outcome}" for name, outcome in zip(("1.0", "1.1"), outcomes, strict=True)) + "; 1.2: 200"


def another_authority(a: Arena) -> str:
    """client certificate from another CA: a certificate of another authority, and none at all, with a good token"""
    other = certificates.authority(a.folder, "other")
    bad = certificates.issue(a.folder, "bad", other)
    outcomes = []
    for pair in (bad, None, certificates.Pair(f"{a.folder}/good.crt", f"{a.folder}/good.key")):
        context = ssl.create_default_context(cafile=f"{a.folder}/authority.crt")
        if pair is not None:
            context.load_cert_chain(pair.cert, pair.key)
        outcomes.append(_handshake(a, context))
    assert "refused" in outcomes[0] and "refused" in outcomes[1] and outcomes[2] == "answered 200"
    return f"{outcomes[0]}; without one {outcomes[1]}; with the right one {outcomes[2]}"


def another_spelling(a: Arena) -> str:
    """certificate name in another spelling: U+212A (KELVIN SIGN) for the k of an admitted name, with a good token"""
    ca = certificates.Pair(f"{a.folder}/authority.crt", f"{a.folder}/authority.key")
    outcomes = {}
    for name in ("Kube", "\u212aube", "\u212aUBE"):
        pair = certificates.issue(a.folder, name, ca)
        context = ssl.create_default_context(cafile=ca.cert)
        context.load_cert_chain(pair.cert, pair.key)
        outcomes[name] = _handshake(a, context)
    assert list(outcomes.values()) == ["answered 200", "answered 403", "answered 403"], outcomes
    return "403; Kube in ASCII: 200"


def _handshake(a: Arena, context: ssl.SSLContext) -> str:
    try:
        with (
            socket.create_connection(("127.0.0.1", a.port), timeout=60) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as sock,
        ):
            sock.sendall(REQUEST + f"Authorization: Bearer {a.secret}\r\n\r\n".encode())
            answer = sock.recv(15)
            return f"answered {answer.split()[1].decode()}" if answer else "refused"
    except ssl.SSLError as error:
        return f"refused ({error.reason.lower().replace('_', ' ')})" if error.reason else "refused (cut)"
    except OSError:
        return "refused (cut)"
