"""Mistakes that people make on the command line, in the environment and in files: each is answered with a sentence that
names the place and what to do, exit code 2 and no traceback. Played in this process: each is one call of ``main``.
"""

# ruff: noqa: E501 - a row of the table is a line

from __future__ import annotations

import gc
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from certificates import Pair, authority
from cgstatd.cli import main as cli
from cgstatd.config import command as config_command
from cgstatd.config import loading
from fakehost import FakeHost


@dataclass
class Place:
    """Where the mistakes are made: ``{d}`` a directory of the test, ``{host}`` a recorded host, ``{port}`` one that is
    taken by this very process."""

    d: str
    host: str
    port: int


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A certificate and its key."""
    return authority(tmp_path_factory.mktemp("tls"), "good")


@pytest.fixture
def place(tmp_path: Path, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Files that are there and are wrong."""
    host = FakeHost(tmp_path / "host")
    host.add("web")
    recorded = host.record(tmp_path / "recorded")
    d = tmp_path / "d"
    d.mkdir()
    for name, text in {
        "empty": "", "words": "once upon a time\n", "unknown.toml": 'listne = ["127.0.0.1:1"]\n',
        "value.toml": "\nenv_id = -3\n", "broken.toml": "env_id =\n", "tokens.json": "{", "table.toml": "[server]\n",
        "two.toml": "env-id = 1\nbaseline = -1\n", "type.toml": 'max_cpu = "much"\n', "key.toml": "token = 1\n", "half.toml": 'tls_cert = "x"\n', "docker.toml": 'docker_root = ["/nope"]\n',
        "cert.toml": f'tls_cert = "{d}/none.crt"\ntls_key = "{d}/none.key"\n', "latin.toml": "",
    }.items():  # fmt: skip
        (d / name).write_text(text)
    (d / "latin.toml").write_bytes(b"# caf\xe9\nenv_id = 1\n")
    (d / "tokens.json").chmod(0o600)
    shutil.copy(pair.cert, d / "good.crt")
    shutil.copy(pair.key, d / "good.key")
    for variable in [name for name in os.environ if name.startswith("CGSTATD_")]:
        monkeypatch.delenv(variable)
    for module in (loading, config_command):
        monkeypatch.setattr(module, "DEFAULT_CONFIG", str(d / "none.toml"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield Place(str(d), recorded, taken.getsockname()[1])


@pytest.fixture(autouse=True)
def undisturbed() -> Iterator[None]:
    """The program configures its process: that is undone (the log by tests/conftest.py)."""
    yield
    gc.enable()


def mistake(place: Place, command: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """(exit code, what standard error says)."""
    words = command.format(**vars(place)).split()
    try:
        code = cli.main(["" if word == "''" else word for word in words])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 2
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    assert out == "" or code != 2, out
    return code, err


SERVE = "serve --host-root {host} --listen 127.0.0.1:0"
MISTAKES = [
    # commands and options
    ("", "usage: cgstatd ", "COMMAND"),
    ("stat", "cgstatd: stat: no such command; did you mean stats?"),
    ("start", "start: no such command; did you mean stats?"),
    ("help", "help: no such command; there are serve, stats,"),
    ("--verison", "cgstatd: "),
    ("serve --lisen 127.0.0.1:1", "usage: cgstatd serve [OPTION...]", "cgstatd serve: --lisen: no such option; did you mean --listen?"),
    ("serve --port 80", "cgstatd serve: --port: no such option; did you mean --listen?"),
    ("serve --colour", "cgstatd serve: --colour: no such option (see cgstatd serve --help)"),
    ("serve --env 3", "--env: no such option; did you mean --env-id?"),
    ("serve --cert x", "--cert: no such option; did you mean --tls-cert?"),
    ("serve --maxcpu 3", "did you mean --max-cpu?"),
    ("serve now", "cgstatd serve: now: one argument too many"),
    ("serve --listen", "argument --listen: expected one argument"),
    ("stats --no-steam", "cgstatd stats: --no-steam: no such option; did you mean --no-stream?"),
    ("stats --sort size", "argument --sort: invalid choice: 'size' (choose from", "memory"),
    ("stats --format xml", "argument --format: invalid choice: 'xml'", "table"),
    ("stats --interval 0", "argument --interval: 0: expected at least 0.1 seconds"),
    ("stats --interval nan", "argument --interval: nan: expected seconds between 0 and 86400"),
    ("stats --interval soon", "argument --interval: soon: expected seconds between 0 and 86400"),
    ("stats --host-root {d}/none", "cgstatd: --host-root {d}/none: no such directory"),
    ("stats --host-root {d}", "no cgroup file system is mounted below {d}", "--host-root"),
    ("stats --host-root {host} --docker-root /nope", "cgstatd: --docker-root /nope: no such directory below --host-root"),
    ("stats --host-root {host} --podman-root /nope", "cgstatd: --podman-root /nope: no such directory"),
    ("doctor --host-root {host} --docker-root /nope", "cgstatd: --docker-root /nope: no such directory"),
    ("doctor --jsn", "cgstatd doctor: --jsn: no such option; did you mean --json?"),
    ("record", "cgstatd record: the following arguments are required: DIR"),
    ("record {d}", "{d}: is not empty: name one that does not exist yet"),
    ("record {d}/none/x", "the directory above it is not there"),
    ("record {d}/x --host-root {d}/none", "cgstatd: --host-root {d}/none: no such directory"),
    ("record {d}/x --host-root {host} --docker-root /nope", "--docker-root /nope: no such directory"),
    ("serve --docker-socket {d}/none/x --listen 127.0.0.1:0", "--docker-socket {d}/none/x: cannot listen there: there is no directory"),
    ("serve --docker-socket-mode rw", "--docker-socket-mode rw: expected octal digits, as in 0660"),
    ("serve --docker-socket {d}/s --docker-socket-group nobodys --listen 127.0.0.1:0", "nobodys: there is no such group: the agent has to be root or in that group"),
    ("top --url 127.0.0.1:9713", "--url 127.0.0.1:9713: expected an address as in http://127.0.0.1:9713"),
    ("top --url http://127.0.0.1:9 --token-file {d}/none", "--token-file {d}/none: No such file"),
    ("top --interval 0", "argument --interval: 0: expected 0.25 to 60 seconds"),
    ("top --sort size", "argument --sort: invalid choice: 'size'"),
    ("top --docker-root /nope", "top needs a terminal"),
    ("install --dryrun", "cgstatd install: --dryrun: no such option; did you mean --dry-run?"),
    # the configuration
    ("config", "cgstatd config: one of the arguments --example --check is required"),
    ("config --check", "{d}/none.toml: no such file, so the defaults hold; `cgstatd config --example` prints one"),
    ("config --check {d}/none", "cgstatd: {d}/none: no such file", "--example"),
    ("config --check {d}", "{d}: Is a directory"),
    ("config --check {d}/unknown.toml", "{d}/unknown.toml:1: listne: unknown key; did you mean listen?"),
    ("config --check {d}/value.toml", "{d}/value.toml:2: env_id = -3: expected a whole number between 0 and"),
    ("config --check {d}/type.toml", '{d}/type.toml:1: max_cpu = "much": expected a percentage between 0 and 100'),
    ("config --check {d}/broken.toml", "{d}/broken.toml:1: not TOML"),
    ("config --check {d}/table.toml", "{d}/table.toml:1: server: no table is known here"),
    ("config --check {d}/latin.toml", "{d}/latin.toml:1: not UTF-8"),
    ("config --check {d}/half.toml", "{d}/half.toml:1: tls_cert needs tls_key beside it"),
    ("serve --config {d}/none", "cgstatd: {d}/none: no such file; `cgstatd config --example` prints one"),
    ("serve --config {d}/two.toml", "cgstatd: {d}/two.toml:1: env-id: unknown key", "\ncgstatd: {d}/two.toml:2: baseline"),
    ("serve --config {d}/value.toml", "{d}/value.toml:2: env_id = -3: expected"),
    ("serve --config {d}/docker.toml --host-root {host}", "{d}/docker.toml:1: docker_root /nope: no such directory"),
    ("serve --config {d}/cert.toml --host-root {host}", "{d}/cert.toml:1: tls_cert {d}/none.crt: No such file"),
    # the agent's options
    (SERVE + " --env-id x", "--env-id x: expected a whole number"),
    (SERVE + " --max-cpu 200", "--max-cpu 200: expected a percentage between 0 and 100"),
    (SERVE + " --log-level loud", "--log-level loud: expected one of debug, info, warning, error"),
    (SERVE + " --baseline -1", "--baseline -1: expected seconds"),
    (SERVE + " --freshness inf", "--freshness inf: expected seconds"),
    (SERVE + " --history 2d", "--history 2d: expected seconds between 0 and 86400"),
    (SERVE + " --history-interval 0.1", "--history-interval 0.1: expected seconds between 1 and 600"),
    (SERVE + " --history-dir state", "--history-dir state: expected an absolute path"),
    (SERVE + " --history-keep 60", "--history-keep 60: expected seconds between 3600 and 31622400"),
    (SERVE + " --history-max-bytes 1M", "--history-max-bytes 1M: expected a whole number between 16777216 and"),
    (SERVE + " --docker-root /nope", "cgstatd: --docker-root /nope: no such directory below --host-root"),
    (SERVE + " --podman-root {d}/words", "cgstatd: --podman-root {d}/words: no such directory"),
    (SERVE + " --tokens {d}/typo.json", "cgstatd: --tokens {d}/typo.json: no such file; `cgstatd token --tokens {d}/typo.json new"),
    (SERVE + " --tokens {d}/tokens.json", "{d}/tokens.json: "),
    (SERVE + " --tls-cert {d}/good.crt", "tls_cert needs tls_key beside it"),
    (SERVE + " --tls-cert {d}/none.crt --tls-key {d}/good.key", "cgstatd: --tls-cert {d}/none.crt: No such file"),
    (SERVE + " --tls-cert {d}/good.crt --tls-key {d}/none.key", "cgstatd: --tls-key {d}/none.key: No such file"),
    (SERVE + " --tls-cert {d}/good.key --tls-key {d}/good.key", "cgstatd: --tls-cert {d}/good.key: no PEM certificate in it"),
    (SERVE + " --tls-cert {d}/good.crt --tls-key {d}/words", "cgstatd: --tls-key {d}/words: no PEM private key in it"),
    (SERVE + " --tls-cert {d}/good.crt --tls-key {d}/good.key --tls-client-ca {d}/none", "--tls-client-ca {d}/none: No such file"),
    (SERVE + " --tls-client-names web", "tls_client_names needs tls_client_ca"),
    (SERVE + " --dockhand-url https://dockhand.example.org", "expected wss://HOST[:PORT][/PATH], as in wss://dockhand"),
    (SERVE + " --dockhand-url wss://dockhand.example.org", "dockhand_url needs dockhand_token_file"),
    (SERVE + " --dockhand-token-file {d}/none", "dockhand_token_file needs dockhand_url"),
    (SERVE + " --dockhand-ca {d}/good.crt", "dockhand_ca needs a dockhand_url with wss:"),
    (SERVE + " --notify-url hooks.example.org", "expected https://HOST[:PORT][/PATH], as in https://hooks"),
    (SERVE + " --notify-secret-file {d}/none", "notify_secret_file needs notify_url"),
    (SERVE + " --notify-ca {d}/good.crt", "notify_ca needs a notify_url with https:"),
    (SERVE + " --allowed-origins dash.example.org", "expected a page's origin as a browser sends it"),
    (SERVE + " --allowed-hosts web:80", "--allowed-hosts web:80: expected a host name without port"),
    # where it listens
    ("serve --host-root {d} --listen 127.0.0.1:0", "cgstatd: no cgroup file system is mounted below {d}"),
    ("serve --host-root {host} --listen 9713", "--listen 9713: expected HOST:PORT"),
    ("serve --host-root {host} --listen unix:x", "--listen unix:x: expected"),
    ("serve --host-root {host} --listen 127.0.0.1:{port}", "cgstatd: --listen 127.0.0.1:{port}: cannot listen there: ", "the port is in use by ", f"(pid {os.getpid()}): stop that, or choose another port"),
    ("serve --host-root {host} --listen 192.0.2.7:80", "--listen 192.0.2.7:80: cannot listen there: no interface of this host has the address 192.0.2.7"),
    ("serve --host-root {host} --listen nowhere.invalid:80", "no address is known for nowhere.invalid"),
    ("serve --host-root {host} --listen unix:{d}/none/s", "cannot listen there: there is no directory {d}/none: make it first"),
    ("serve --host-root {host} --listen unix:{d}/words/s", "{d}/words is no directory"),
    ("serve --host-root {host} --listen unix:{d}/words", "a file is there that is no socket: remove it, or choose another path"),
    ("serve --host-root {host} --listen unix:/" + "x" * 120, "a socket's path has 107 bytes at most, this one has 121"),
    ("serve --host-root {host} --listen 0.0.0.0:0", "refusing to listen on 0.0.0.0:", "cgstatd token new"),
    # tokens
    ("token", "cgstatd token: the following arguments are required: ACTION"),
    ("token nwe --name x", "cgstatd token: nwe: no such command; did you mean new?"),
    ("token --tokens {d}/t.json new", "cgstatd token new: the following arguments are required: --name"),
    ("token --tokens {d}/t.json new --name x --env one", "argument --env: one: expected"),
    ("token --tokens {d}/t.json new --name x --allow all", "all"),
    ("token --tokens {d}/t/t.json revoke x", "{d}/t/t.json: no such file: no token has been made"),
    ("token --tokens {d}/t/t.json rotate x", "{d}/t/t.json: no such file: no token has been made"),
    ("token --tokens {d}/tokens.json list", "{d}/tokens.json: "),
    ("token --config {d}/key.toml list", "did you mean tokens?"),
    ("token --tokens /proc/nowhere/tokens.json new --name a", "/proc/nowhere"),
    ("token --config {d}/none list", "{d}/none: no such file"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("command", "wanted"), [(each[0], each[1:]) for each in MISTAKES], ids=lambda each: str(each)[:60]
)
def test_a_mistake_is_answered_with_its_place_and_what_to_do(
    command: str, wanted: tuple[str, ...], place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    code, err = mistake(place, command, capsys)
    assert code == 2, err
    for part in wanted:
        assert part.format(**vars(place)) in err
    said = [line for line in err.splitlines() if not line.startswith("level=info engine=")]  # of this machine's engines
    assert len(said) <= 4, err
    assert not os.path.exists(f"{place.d}/t"), "a mistake makes no directory"


VARIABLES = [
    ("CGSTATD_LISTEN", "9713", "CGSTATD_LISTEN=9713: expected HOST:PORT"),
    ("CGSTATD_LISTEN", "127.0.0.1:{port}", "cgstatd: CGSTATD_LISTEN 127.0.0.1:{port}: cannot listen there"),
    ("CGSTATD_ENV_ID", "x", "CGSTATD_ENV_ID=x: expected a whole number"),
    ("CGSTATD_MAX_CPU", "x", "CGSTATD_MAX_CPU=x: expected a percentage between 0 and 100"),
    ("CGSTATD_TOKENS", "{d}/typo.json", "CGSTATD_TOKENS {d}/typo.json: no such file"),
    ("CGSTATD_CONFIG", "{d}/none", "{d}/none: no such file"),
    ("CGSTATD_SERVICES", "maybe", "CGSTATD_SERVICES=maybe: expected true or false"),
    ("CGSTATD_DOCKER_ROOT", "/nope", "cgstatd: CGSTATD_DOCKER_ROOT /nope: no such directory"),
    ("CGSTATD_TLS_CERT", "{d}/good.crt", "tls_cert needs tls_key beside it"),
    ("CGSTATD_HOST_ROOT", "/nope", "cgstatd: CGSTATD_HOST_ROOT /nope: no such directory"),
]


@pytest.mark.parametrize(("name", "value", "wanted"), VARIABLES)
def test_a_mistake_in_the_environment_names_the_variable(
    name: str,
    value: str,
    wanted: str,
    place: Place,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(name, value.format(**vars(place)))
    command = "serve" if name in ("CGSTATD_HOST_ROOT",) else "serve --host-root {host}"
    command += "" if name == "CGSTATD_LISTEN" else " --listen 127.0.0.1:0"  # an agent of this machine may have 9713
    code, err = mistake(place, command, capsys)
    assert code == 2 and wanted.format(**vars(place)) in err


def test_a_permission_that_is_missing_says_which_ports_need_one(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Played: root may bind every port."""

    def bind(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("cgstatd.service.binding.bind", bind)
    code, err = mistake(place, "serve --host-root {host} --listen 127.0.0.1:80", capsys)
    assert code == 2 and "need CAP_NET_BIND_SERVICE: choose a higher one" in err


def test_another_users_process_on_the_port_is_said_to_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    from cgstatd.config.address import parse_address
    from cgstatd.service.binding import holder

    def hidden(kind: str) -> list[Any]:
        return [each._replace(pid=None) for each in found(kind)]

    found: Callable[[str], list[Any]] = psutil.net_connections
    monkeypatch.setattr(psutil, "net_connections", hidden)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert holder(parse_address(f"127.0.0.1:{port}")) == (
            f"another user's process (sudo ss -lntxp | grep :{port} names it)"
        )


def test_every_option_of_the_agent_has_a_mistake_that_is_tried_or_takes_any_text() -> None:
    """A new option comes with the mistake that people will make with it."""
    from cgstatd.config.settings import OPTIONS

    tried = " ".join([*(each[0] for each in MISTAKES), *(name for name, _, _ in VARIABLES)])
    untried = {option.name for option in OPTIONS if option.flag not in tried and option.variable not in tried}
    alike = {"freshness", "request_timeout", "idle_timeout", "send_timeout"}  # seconds, as baseline
    alike |= {option.name for option in OPTIONS if option.name.startswith("max_")}  # whole numbers, as env_id
    assert untried - alike <= {"log_format", "metric_labels", "host_metrics", "pressure"}
