"""TLS 1.2 or newer, certificates read again when they change, client certificates instead of tokens or with them."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography.hazmat.primitives import serialization

from certificates import Pair, authority, issue
from cgstatd.auth import keyring as keyring_module
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
from wire import ALL, Answer, Connection, Server, agent, run, serving


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


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_that_knows_the_authority_is_answered(
    host: FakeHost, ca: Pair, own: Pair, version: ssl.TLSVersion
) -> None:
    async with (
        serving(host.sampler(), tls=Certificates(own.cert, own.key)) as server,
        connected(server, client(ca, newest=version)) as connection,
    ):
        connection.send(ALL)
        assert (await connection.answer()).status == 200
        assert connection.writer.get_extra_info("ssl_object").version() == version.name.replace("v1_", "v1.")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
async def test_tls_below_1_2_is_refused(host: FakeHost, ca: Pair, own: Pair, version: ssl.TLSVersion) -> None:
    context = client(ca)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    async with serving(host.sampler(), tls=Certificates(own.cert, own.key)) as server:
        await fails(server, context)
        assert (await ask(server, client(ca))).status == 200


async def test_plain_http_on_a_tls_port_is_cut(host: FakeHost, own: Pair) -> None:
    async with serving(host.sampler(), tls=Certificates(own.cert, own.key)) as server:
        async with server.connection() as connection:
            connection.send(ALL)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await connection.answer()
        await until(lambda: server.gate.open == 0)


async def test_a_handshake_that_never_comes_is_cut(host: FakeHost, ca: Pair, own: Pair) -> None:
    limits = Limits(request_seconds=0.3, connections=3)
    async with serving(host.sampler(), tls=Certificates(own.cert, own.key), limits=limits) as server:
        async with server.connection() as one, server.connection() as two, server.connection() as three:
            for connection in (one, two, three):
                assert await connection.closed()
        await until(lambda: (server.gate.open, server.gate.refusing) == (0, 0))
        assert (await ask(server, client(ca))).status == 200


async def test_those_whose_handshake_has_not_come_count(host: FakeHost, ca: Pair, own: Pair) -> None:
    limits = Limits(request_seconds=60, connections=3)
    async with serving(host.sampler(), tls=Certificates(own.cert, own.key), limits=limits) as server:
        async with server.connection(), server.connection(), server.connection():
            await until(lambda: server.gate.open == 3)
            assert (await ask(server, client(ca))).status == 503
        await until(lambda: (server.gate.open, server.gate.refusing) == (0, 0))
        assert (await ask(server, client(ca))).status == 200


# -- reading the files again


async def test_a_new_certificate_is_shown_without_a_restart(
    host: FakeHost, folder: Path, ca: Pair, other_ca: Pair, own: Pair, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pair = Pair(f"{tmp_path}/s.crt", f"{tmp_path}/s.key")
    new = issue(folder, "renewed", other_ca, "127.0.0.1")

    def put(cert: str, key: str) -> None:
        for source, target in ((cert, pair.cert), (key, pair.key)):
            shutil.copy(source, f"{target}.new")
            os.replace(f"{target}.new", target)

    put(own.cert, own.key)
    async with serving(host.sampler(), tls=Certificates(pair.cert, pair.key)) as server:
        async with connected(server, client(ca)) as kept:
            put(new.cert, new.key)
            assert (await ask(server, client(other_ca))).status == 200
            await fails(server, client(ca))
            kept.send(ALL)
            assert (await kept.answer()).status == 200  # what is open stays open
        put(own.cert, new.key)
        with caplog.at_level(logging.ERROR):
            for _ in range(3):
                assert (await ask(server, client(other_ca))).status == 200
        [record] = [each for each in caplog.records if each.levelno >= logging.ERROR]
        assert "the certificate stays the old one" in record.getMessage()
        assert "the key does not belong to the certificate" in record.getMessage()
        put(own.cert, own.key)
        assert (await ask(server, client(ca))).status == 200


def test_what_is_wrong_with_the_files_is_told(folder: Path, own: Pair, ca: Pair, tmp_path: Path) -> None:
    with pytest.raises(BadCertificate, match=r"none\.crt: No such file"):
        load(f"{tmp_path}/none.crt", own.key)
    with pytest.raises(BadCertificate, match="the key does not belong to the certificate"):
        load(own.cert, ca.key)
    (tmp_path / "empty").touch()
    with pytest.raises(BadCertificate, match="no PEM certificate in it"):
        load(f"{tmp_path}/empty", own.key)
    with pytest.raises(BadCertificate, match="empty: "):
        load(own.cert, own.key, f"{tmp_path}/empty")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(BadCertificate, match="fifo: not a regular file"):
        load(own.cert, f"{tmp_path}/fifo")
    locked = tmp_path / "locked.key"
    key = serialization.load_pem_private_key(Path(own.key).read_bytes(), None)
    encrypted = serialization.BestAvailableEncryption(b"x")
    locked.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encrypted))
    with pytest.raises(BadCertificate, match="passphrase"):
        load(own.cert, str(locked))


# -- client certificates


@asynccontextmanager
async def mutual(
    host: FakeHost, own: Pair, ca: Pair, *names: str, tokens: Tokens | None = None
) -> AsyncIterator[Server]:
    checks = guard(tokens, required=True, certificates=True, names=names)
    async with serving(host.sampler(), guard=checks, tls=Certificates(own.cert, own.key, ca.cert)) as server:
        yield server


async def test_a_client_certificate_stands_in_for_a_token(host: FakeHost, folder: Path, ca: Pair, own: Pair) -> None:
    central = issue(folder, "central-1", ca, "Central.Example.org")
    async with mutual(host, own, ca) as server:
        assert (await ask(server, client(ca, central))).status == 200
        await fails(server, client(ca))


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


async def test_a_certificate_of_another_authority_is_refused(
    host: FakeHost, folder: Path, ca: Pair, other_ca: Pair, own: Pair
) -> None:
    stranger = issue(folder, "central-2", other_ca, "central.example.org")
    async with mutual(host, own, ca) as server:
        await fails(server, client(ca, stranger))
        await until(lambda: server.gate.open == 0)


async def test_only_the_named_are_admitted(host: FakeHost, folder: Path, ca: Pair, own: Pair) -> None:
    named = issue(folder, "x", ca, "other", "central.example.org")
    by_common_name = issue(folder, "central.example.org", ca)
    common_name_only_beside_others = issue(folder, "central.example.ORG", ca, "evil.example.org")
    by_address = issue(folder, "y", ca, "192.0.2.7")
    async with mutual(host, own, ca, "Central.example.org", "192.0.2.7") as server:
        for pair in (named, by_common_name, by_address):
            assert (await ask(server, client(ca, pair))).status == 200
        answer = await ask(server, client(ca, common_name_only_beside_others))
        assert (answer.status, answer.json["error"]) == (403, "Permission denied")


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
    host: FakeHost, folder: Path, ca: Pair, own: Pair, tmp_path: Path
) -> None:
    central = issue(folder, "central-4", ca)
    files = ("--tls-cert", own.cert, "--tls-key", own.key, "--tls-client-ca", ca.cert)
    with agent("--host-root", str(host.path), "--listen", "0.0.0.0:0", *files) as started:
        assert "serving https://0.0.0.0:" in started.serving
        port = int(started.serving.split("https://0.0.0.0:")[1].split()[0])
        import urllib.request

        with urllib.request.urlopen(f"https://localhost:{port}{ALL}", context=client(ca, central)) as answer:
            assert len(json.loads(answer.read())) == 3
    ran = run("serve", "--host-root", str(host.path), "--tls-cert", own.cert, "--tls-key", ca.key)
    assert ran.returncode == 2 and "the key does not belong to the certificate" in ran.stderr


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
