"""TLS 1.2 or newer, certificates read again when they change, client certificates instead of tokens or with them."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import ssl
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography.hazmat.primitives import serialization

from certificates import Pair, authority, issue
from cgstatd.auth import keyring as keyring_module
from cgstatd.cli.main import main
from cgstatd.config import Settings
from cgstatd.service.who_may_ask import renew_guard
from cgstatd.web import guard as guard_module
from cgstatd.web.server import tls as tls_module
from cgstatd.web.server.limits import Limits, Streams
from cgstatd.web.server.tls import BadCertificate, Certificates, load
from documented import conforms
from fakehost import FakeHost
from patience import until
from secured import Tokens, bearer, guard
from wire import ALL, Answer, Connection, Server, agent, serving


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def ca(folder: Path) -> Pair:
    return authority(folder, "authority")


@pytest.fixture(scope="module")
def other_ca(folder: Path) -> Pair:
    return authority(folder, "other-authority")


@pytest.fixture(scope="module")
def own(folder: Path, ca: Pair) -> Pair:
    return issue(folder, "agent", ca, "localhost", "127.0.0.1")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls_module, "CHECK_SECONDS", 0.0)
    monkeypatch.setattr(guard_module, "CHECK_SECONDS", 0.05)
    monkeypatch.setattr(keyring_module, "CHECK_SECONDS", 0.0)


def client(ca: Pair, show: Pair | None = None, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    """A client that believes an authority and shows a certificate."""
    context = ssl.create_default_context(cafile=ca.cert)
    context.maximum_version = newest
    if show is not None:
        context.load_cert_chain(show.cert, show.key)
    return context


@asynccontextmanager
async def connected(server: Server, context: ssl.SSLContext) -> AsyncIterator[Connection]:
    connection = Connection(*await asyncio.open_connection("127.0.0.1", server.port, ssl=context))
    try:
        yield connection
    finally:
        connection.writer.transport.abort()


async def ask(server: Server, context: ssl.SSLContext, *headers: str, target: str = ALL) -> Answer:
    async with connected(server, context) as connection:
        connection.send(target, *headers)
        return await connection.answer()


async def fails(server: Server, context: ssl.SSLContext) -> None:
    """TLS 1.3 tells a client of its certificate only when it asks something."""
    with pytest.raises((OSError, asyncio.IncompleteReadError)):
        await ask(server, context)


# -- the connection


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_tls_1_2_and_newer_is_answered_and_nothing_else(host: FakeHost, ca: Pair, own: Pair) -> None:
    async with serving(host.sampler(), tls=Certificates(own.cert, own.key)) as server:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            async with connected(server, client(ca, newest=version)) as connection:
                connection.send(ALL)
                assert (await connection.answer()).status == 200
                spoken = connection.writer.get_extra_info("ssl_object").version()
                assert spoken == version.name.replace("v1_", "v1.")
        for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            context = client(ca)
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = version
            await fails(server, context)
        async with server.connection() as plain:
            plain.send(ALL)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await plain.answer()
        await until(lambda: server.gate.open == 0)
        assert (await ask(server, client(ca))).status == 200


async def test_a_handshake_that_never_comes_counts_and_is_cut(host: FakeHost, ca: Pair, own: Pair) -> None:
    certificates, files = client(ca), Certificates(own.cert, own.key)
    for seconds in (60, 0.3):
        limits = Limits(request_seconds=seconds, connections=3)
        async with serving(host.sampler(), tls=files, limits=limits) as server, AsyncExitStack() as stack:
            three = [await stack.enter_async_context(server.connection()) for _ in range(3)]
            if seconds == 60:
                await until(lambda: server.gate.open == 3)
                assert (await ask(server, certificates)).status == 503
                await stack.aclose()
            else:
                assert all([await connection.closed() for connection in three])
            await until(lambda: (server.gate.open, server.gate.refusing) == (0, 0))
            assert (await ask(server, certificates)).status == 200


# -- reading the files again


async def test_a_new_certificate_is_shown_without_a_restart(
    host: FakeHost, folder: Path, ca: Pair, other_ca: Pair, own: Pair, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pair = Pair(f"{tmp_path}/s.crt", f"{tmp_path}/s.key")
    new = issue(folder, "renewed", other_ca, "127.0.0.1")

    def show(cert: str, key: str) -> None:
        put(Path(pair.cert), cert)
        put(Path(pair.key), key)

    show(own.cert, own.key)
    async with serving(host.sampler(), tls=Certificates(pair.cert, pair.key)) as server:
        async with connected(server, client(ca)) as kept:
            show(new.cert, new.key)
            assert (await ask(server, client(other_ca))).status == 200
            await fails(server, client(ca))
            kept.send(ALL)
            assert (await kept.answer()).status == 200  # what is open stays open
        show(own.cert, new.key)
        with caplog.at_level(logging.ERROR):
            for _ in range(3):
                assert (await ask(server, client(other_ca))).status == 200
        [record] = [each for each in caplog.records if each.levelno >= logging.ERROR]
        assert "the certificate stays the old one" in record.getMessage()
        assert "the key does not belong to the certificate" in record.getMessage()
        show(own.cert, own.key)
        assert (await ask(server, client(ca))).status == 200


def test_what_is_wrong_with_the_files_is_told(own: Pair, ca: Pair, tmp_path: Path) -> None:
    empty, fifo, locked = (str(tmp_path / name) for name in ("empty", "fifo", "locked.key"))
    Path(empty).touch()
    os.mkfifo(fifo)
    key = serialization.load_pem_private_key(Path(own.key).read_bytes(), None)
    encrypted = serialization.BestAvailableEncryption(b"x")
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    Path(locked).write_bytes(key.private_bytes(pem, form, encrypted))
    for files, words in (
        ((f"{tmp_path}/none.crt", own.key), r"none\.crt: No such file"),
        ((own.cert, ca.key), "the key does not belong to the certificate"),
        ((empty, own.key), "no PEM certificate in it"), ((own.cert, own.key, empty), "empty: "),
        ((own.cert, fifo), "fifo: not a regular file"), ((own.cert, locked), "passphrase"),
    ):  # fmt: skip
        with pytest.raises(BadCertificate, match=words):
            load(*files)


# -- client certificates


@asynccontextmanager
async def mutual(
    host: FakeHost, own: Pair, ca: Pair, *names: str, tokens: Tokens | None = None
) -> AsyncIterator[Server]:
    checks = guard(tokens, required=True, certificates=True, names=names)
    async with serving(host.sampler(), guard=checks, tls=Certificates(own.cert, own.key, ca.cert)) as server:
        yield server


async def test_a_client_certificate_stands_in_for_a_token_and_only_the_named_are_admitted(
    host: FakeHost, folder: Path, ca: Pair, other_ca: Pair, own: Pair
) -> None:
    name = "central.example.org"
    async with mutual(host, own, ca) as server:
        assert (await ask(server, client(ca, issue(folder, "central-1", ca, "Central.Example.org")))).status == 200
        await fails(server, client(ca))
        await fails(server, client(ca, issue(folder, "central-2", other_ca, name)))  # of another authority
        await until(lambda: server.gate.open == 0)
    async with mutual(host, own, ca, "Central.example.org", "192.0.2.7") as server:
        for common_name, others in (("x", ("other", name)), (name, ()), ("y", ("192.0.2.7",))):
            assert (await ask(server, client(ca, issue(folder, common_name, ca, *others)))).status == 200
        only_beside_others = issue(folder, "central.example.ORG", ca, "evil.example.org")
        answer = await ask(server, client(ca, only_beside_others))
        assert (answer.status, answer.json["error"]) == (403, "Permission denied")


async def test_a_reload_that_admits_other_names_cuts_streams_and_refuses(
    host: FakeHost, folder: Path, ca: Pair, own: Pair
) -> None:
    central = issue(folder, "central-9", ca, "central.example.org")
    checks = guard(required=True, certificates=True, names=("central.example.org",))
    async with (
        serving(host.sampler(), guard=checks, tls=Certificates(own.cert, own.key, ca.cert)) as server,
        connected(server, client(ca, central)) as stream,
    ):
        stream.send("/api/containers/stats/follow?interval=0.25")
        await stream.chunk(await stream.head())
        renew_guard(checks, Settings(tls_client_names=("central.example.org",), max_streams=9))
        await asyncio.sleep(0.1)
        assert len(checks.streams) == 1 and checks.streams.limits.streams == 9
        renew_guard(checks, Settings(tls_client_names=("other.example.org",)))
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            while True:
                await stream.chunk(Answer(200, "", {}))
        assert (await ask(server, client(ca, central))).status == 403


def put(target: Path, *sources: str) -> None:
    """The file has these contents from now on."""
    new = target.with_suffix(".new")
    new.write_text("".join(Path(each).read_text() for each in sources))
    new.replace(target)


class Opened(NamedTuple):
    """What was opened under the authorities that there were, and the file that names them."""

    server: Server
    streams: Streams
    stream: Connection
    head: Answer
    kept: Connection
    authorities: Path
    central: Pair
    """The client of all this."""
    other: Pair
    """A client of another authority."""


@pytest.fixture
async def opened(
    host: FakeHost, folder: Path, ca: Pair, other_ca: Pair, own: Pair, tmp_path: Path
) -> AsyncIterator[Opened]:
    """A `follow` and a connection that has asked before."""
    central, other = issue(folder, "central-10", ca), issue(folder, "central-11", other_ca)
    authorities = tmp_path / "authorities.crt"
    put(authorities, ca.cert)
    checks = guard(required=True, certificates=True)
    async with (
        serving(host.sampler(), guard=checks, tls=Certificates(own.cert, own.key, str(authorities))) as server,
        connected(server, client(ca, central)) as stream,
        connected(server, client(ca, central)) as kept,
    ):
        stream.send("/api/containers/stats/follow?interval=0.25")
        head = await stream.head()
        await stream.chunk(head)
        kept.send(ALL)
        assert (await kept.answer()).status == 200
        yield Opened(server, checks.streams, stream, head, kept, authorities, central, other)


async def test_what_was_opened_under_an_authority_that_is_gone_ends(ca: Pair, other_ca: Pair, opened: Opened) -> None:
    put(opened.authorities, other_ca.cert)
    with pytest.raises((OSError, asyncio.IncompleteReadError)):
        while True:
            await opened.stream.chunk(opened.head)
    opened.kept.send(ALL)
    answer = await opened.kept.answer()
    assert (answer.status, answer.json["error"]) == (503, "Authorities have changed")
    conforms(answer, ALL)
    assert await opened.kept.closed()
    await fails(opened.server, client(ca, opened.central))
    assert (await ask(opened.server, client(ca, opened.other))).status == 200


async def test_one_more_authority_or_the_same_again_or_a_broken_file_ends_nothing(
    ca: Pair, other_ca: Pair, own: Pair, opened: Opened
) -> None:
    for sources in ((ca.cert,), (own.key,), (other_ca.cert, ca.cert)):
        put(opened.authorities, *sources)
        opened.kept.send(ALL)
        assert (await opened.kept.answer()).status == 200
        assert opened.streams.ended() == []
        await opened.stream.chunk(opened.head)
    assert (await ask(opened.server, client(ca, opened.other))).status == 200


async def test_where_there_are_tokens_too_both_are_demanded(
    host: FakeHost, folder: Path, ca: Pair, own: Pair, tokens: Tokens
) -> None:
    secret, elsewhere = tokens.new(), tokens.new("elsewhere", env=[2])
    central = issue(folder, "central-3", ca)
    async with mutual(host, own, ca, tokens=tokens) as server:
        assert (await ask(server, client(ca, central))).status == 401
        assert (await ask(server, client(ca, central), bearer(secret))).status == 200
        assert (await ask(server, client(ca, central), bearer(elsewhere))).status == 403
        await fails(server, client(ca))


# -- the program


def test_the_program_serves_tls_to_the_network_with_client_certificates(
    host: FakeHost, folder: Path, ca: Pair, own: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    central, files = issue(folder, "central-4", ca), ["--tls-cert", own.cert, "--tls-key", own.key]
    options = ["--host-root", str(host.path), "--listen", "0.0.0.0:0", *files]
    with agent(*options, "--tls-client-ca", ca.cert) as started:
        assert "serving https://0.0.0.0:" in started.serving
        url = f"https://localhost:{started.port}{ALL}"
        with urllib.request.urlopen(url, context=client(ca, central)) as answer:
            assert len(json.loads(answer.read())) == 3
    assert main(["serve", *options[:-1], ca.key]) == 2
    assert "the key does not belong to the certificate" in capsys.readouterr().err


async def test_a_handshake_is_charged_to_its_client(
    host: FakeHost, own: Pair, ca: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu = [0.0]
    done = ssl.SSLObject.do_handshake

    def dear(connection: ssl.SSLObject) -> None:
        cpu[0] += 0.25 * (connection.server_side is True)
        done(connection)

    monkeypatch.setattr(ssl.SSLObject, "do_handshake", dear)
    monkeypatch.setattr(time, "thread_time", lambda: cpu[0])
    async with serving(host.sampler(), tls=Certificates(own.cert, own.key)) as server:
        server.gate.account._clock, server.gate.account._computed = lambda: 100.0, lambda: 0.0
        async with connected(server, client(ca)):
            await until(lambda: "127.0.0.1" in server.gate.account._clients)
            await until(lambda: server.gate.account._clients["127.0.0.1"].used >= 0.25)
