"""The agent's certificate and the authorities whose clients it admits, read again when the files change."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import ssl
import time
from collections.abc import Callable
from weakref import WeakSet

from ...basics.charging import charge
from ...basics.file_look import FileLook, is_same, look
from ...basics.regular_file import read_regular

log = logging.getLogger(__name__)
CHECK_SECONDS = 1.0
_MAX_PEM_BYTES = 16 << 20
_pem = re.compile(rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----(.*?)-----END", re.DOTALL).findall


class _Charged(ssl.SSLObject):
    """A connection whose handshake is charged to its client: it is the dearest part of a short one."""

    def do_handshake(self) -> None:
        """As ssl.SSLObject.do_handshake; called again and again until it is over."""
        began = time.thread_time()
        try:
            super().do_handshake()
        finally:
            charge.get()(time.thread_time() - began)


class BadCertificate(Exception):
    """Certificate, key or authorities cannot be used; one sentence that says why. ``key``: the setting it is about."""

    def __init__(self, key: str, sentence: str) -> None:
        super().__init__(sentence)
        self.key = key


class Certificates:
    """Gives each new connection the context of that moment. A broken new pair is reported, and the old one stays."""

    def __init__(
        self,
        cert: str,
        key: str,
        client_ca: str = "",
        clock: Callable[[], float] = time.monotonic,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._cert, self._key, self._client_ca = cert, key, client_ca
        self._clock, self._wall_ns = clock, wall_ns
        self._checked = clock()
        self._seen = self._look()
        self._digests = self._read()
        self._authorities = _authorities(client_ca)
        self._context = load(cert, key, client_ca)
        self._admitting = WeakSet([self._context])

    def context(self) -> ssl.SSLContext:
        """The context of a connection that comes now."""
        if self._clock() - self._checked >= CHECK_SECONDS:
            self.refresh()
        return self._context

    def admits(self, context: ssl.SSLContext) -> bool:
        """Whether all authorities that a connection's context had are authorities still."""
        self.context()
        return context in self._admitting

    def refresh(self) -> None:
        """Read the files again if they changed."""
        self._checked = self._clock()
        seen = self._look()
        if all(map(is_same, self._seen, seen)):
            return
        self._seen, before, self._digests = seen, self._digests, self._read()
        if self._digests == before:
            return
        # Before they are loaded: an authority that goes in between is found to be gone at the next look.
        authorities = _authorities(self._client_ca)
        try:
            self._context = load(self._cert, self._key, self._client_ca)
        except BadCertificate as error:
            log.error("the certificate stays the old one: %s", error)
        else:
            log.info("certificate=%s read again", self._cert)
            if self._authorities - authorities:
                log.info("tls_client_ca=%s has lost authorities: older connections end", self._client_ca)
                self._admitting.clear()
            self._authorities = authorities
            self._admitting.add(self._context)

    def _look(self) -> list[FileLook | None]:
        return [self._look_at(path) for path in self._paths()]

    def _paths(self) -> list[str]:
        return [path for path in (self._cert, self._key, self._client_ca) if path]

    def _read(self) -> list[bytes]:
        return [_digest(path) for path in self._paths()]

    def _look_at(self, path: str) -> FileLook | None:
        try:
            return look(os.stat(path), self._wall_ns())
        except OSError:
            return None


def _authorities(path: str) -> frozenset[bytes]:
    """The certificates in a file, without their line ends."""
    if not path:
        return frozenset()
    try:
        return frozenset(b"".join(block.split()) for block in _pem(read_regular(path, _MAX_PEM_BYTES)))
    except OSError:  # load() says so
        return frozenset()


def _digest(path: str) -> bytes:
    """Of the content; of none where it cannot be read, of which load() says more."""
    try:
        return hashlib.sha256(read_regular(path, _MAX_PEM_BYTES)).digest()
    except OSError:
        return b""


def load(cert: str, key: str, client_ca: str = "") -> ssl.SSLContext:
    """TLS 1.2 or newer; with ``client_ca``, only for clients with a certificate of theirs. Raises BadCertificate."""
    _check("tls_cert", cert, b"CERTIFICATE-----", "certificate")  # ssl's own errors do not say which file
    _check("tls_key", key, b"PRIVATE KEY-----", "private key")
    if client_ca:
        _check("tls_client_ca", client_ca, b"CERTIFICATE-----", "certificate")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslobject_class = _Charged
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])

    def passphrase() -> str:  # else openssl asks on the terminal, and a service hangs
        raise BadCertificate("tls_key", f"{key}: the key has a passphrase; store it without")

    try:
        context.load_cert_chain(cert, key, password=passphrase)
    except (ssl.SSLError, ValueError) as error:
        raise BadCertificate("tls_cert", f"{cert}, {key}: {_words(error)}") from error
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(client_ca)
        except (ssl.SSLError, ValueError) as error:
            raise BadCertificate("tls_client_ca", f"{client_ca}: {_words(error)}") from error
    return context


def _check(setting: str, path: str, mark: bytes, what: str) -> None:
    """Whether a file can be read and is of its kind at all."""
    try:
        content = read_regular(path, _MAX_PEM_BYTES)
    except OSError as error:
        raise BadCertificate(setting, f"{path}: {error.strerror}") from error
    if mark not in content:
        raise BadCertificate(setting, f"{path}: no PEM {what} in it")


_REASONS = {
    "KEY_VALUES_MISMATCH": "the key does not belong to the certificate",
    "NO_START_LINE": "no PEM certificate or key in it",
}


def _words(error: Exception) -> str:
    reason = getattr(error, "reason", None) or str(error)
    if "PEM lib" in reason:  # no PEM block at all gives no reason of its own
        reason = "NO_START_LINE"
    return _REASONS.get(reason, reason.replace("_", " ").lower())
