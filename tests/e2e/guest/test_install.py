"""Installing, upgrading and removing as an operator does, and what systemd makes of a service that hangs or dies."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cgroups import Bare, remove_parents
from engine import MODE

PACKAGES = Path("packages").resolve()
UNITS = Path("/etc/systemd/system")
CONFIG, TOKENS = Path("/etc/cgstatd/config.toml"), Path("/etc/cgstatd/tokens.json")
ADDRESS, PORT = "10.99.0.1", 9443
ASIDE = ("/usr/bin/cgstatd", "/etc/systemd/system/cgstatd.service", "/etc/systemd/system/cgstatd.service.d")
EVERYWHERE = pytest.mark.modes("v2", "v1", "hybrid", "nomemory")


def sh(command: str, *, check: bool = True) -> str:
    """Run it; what it printed."""
    done = subprocess.run(command, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout[-4000:]}"
    return done.stdout


def show(name: str, unit: str = "cgstatd.service") -> str:
    """A property of the unit."""
    return sh(f"systemctl show -P {name} {unit}").strip()


def until(what: Callable[[], object], seconds: float = 120) -> None:
    """Wait for it: this machine may be an emulated one."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, sh("journalctl --no-pager -o short-precise -u cgstatd | tail -30")
        time.sleep(0.3)


def get(path: str, port: int = 9713) -> tuple[int, str]:
    """A request from this host."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


OTHERS = "/proc /sys /run /tmp /e2e /dev /var/log /var/lib/dpkg /var/lib/apt /var/cache /var/tmp".split()
OTHERS += "/var/lib/docker /var/lib/containerd /etc/docker /opt/containerd".split()
"""Not looked into: what the kernel, the journal, the package manager and Docker keep for themselves, and the tests."""


def files() -> set[str]:
    """Every file of the host."""
    left_out = " -o ".join(f"-path {path}" for path in OTHERS)
    found = sh(f"find / -xdev \\( {left_out} \\) -prune -o -print 2>/dev/null", check=False)  # some come and go
    return {path for path in found.splitlines() if "__pycache__" not in path}


@pytest.fixture(scope="module")
def bare() -> Iterator[None]:
    """This host without the agent that the other tests use, which comes back at the end."""
    running = [
        u
        for u in ("cgstatd.service", "cgstatd-quick.service")
        if sh(f"systemctl is-active {u}", check=False) == "active\n"
    ]
    sh("systemctl stop cgstatd.service cgstatd-quick.service", check=False)
    aside = Path("/root/aside")
    aside.mkdir()
    for path in ASIDE:
        if os.path.lexists(path):
            shutil.move(path, aside / path.replace("/", "_"))
    sh("systemctl daemon-reload")
    yield
    if any(os.path.lexists(path) for path in ASIDE):  # a test failed
        sh("cgstatd uninstall --purge; /opt/cgstatd/bin/cgstatd uninstall --purge; dpkg --purge cgstatd", check=False)
    for path in ASIDE:
        if os.path.lexists(kept := aside / path.replace("/", "_")):
            shutil.move(kept, path)
    aside.rmdir()
    sh("systemctl daemon-reload")
    for unit in running:
        sh(f"systemctl start {unit}")


@pytest.fixture(scope="module")
def before(bare: None) -> set[str]:
    """The files before anything was installed."""
    return files()


@pytest.fixture(scope="module")
def package(before: set[str]) -> None:
    """The package is installed, with nothing but the command of the README."""
    sh(f"apt-get install -y -q {sorted(PACKAGES.glob('*-1_*.deb'))[0]}")
    until(lambda: show("ActiveState") == "active")


# -- the Debian package, in the order in which it lives


@EVERYWHERE
def test_the_package_starts_a_service_that_answers_when_it_is_ready(package: None) -> None:
    status, body = get("/api/containers/stats?env=1")
    assert (status, body[0]) == (200, "[")
    assert re.search(r", \d+ containers?$", show("StatusText"))
    assert show("SubState") == "running" and show("NRestarts") == "0"
    assert show("WatchdogUSec") == "30s"
    assert Path(f"/proc/{show('MainPID')}/status").read_text().split("Uid:")[1].split()[0] != "0"


@EVERYWHERE
def test_systemd_has_nothing_to_say_against_the_unit(package: None) -> None:
    assert sh("systemd-analyze verify --man=no cgstatd.service cgstatd.socket") == ""
    screen = sh("systemd-analyze security --no-pager cgstatd.service")
    Path("results").mkdir(exist_ok=True)
    Path("results/security.txt").write_text(screen)
    assert float(re.findall(r"exposure level for cgstatd.service: ([\d.]+)", screen)[0]) <= 1.5, screen


@pytest.fixture
def container() -> Iterator[None]:
    """A container with Docker's state file, as dockerd leaves it to be read, for the doctor to look at."""
    made = Bare("doctor")
    state = Path("/var/lib/docker/containers") / made.id / "config.v2.json"
    os.makedirs(state.parent, 0o710)
    os.chmod(state.parent.parent.parent, 0o710)
    state.write_text(json.dumps({"ID": made.id, "Name": "/d-plain", "State": {"Running": True}, "Config": {}}))
    yield
    made.kill()
    shutil.rmtree(state.parent)
    remove_parents()


@EVERYWHERE
def test_the_doctor_can_be_read(package: None, container: None) -> None:
    Path("results").mkdir(exist_ok=True)
    commands = {
        "root": "cgstatd doctor",
        "nobody": "setpriv --reuid 65534 --regid 65534 --clear-groups cgstatd doctor",
        "service": "systemd-run --quiet --pipe --wait -p DynamicUser=yes "
                   "-p AmbientCapabilities=CAP_DAC_READ_SEARCH -p ProtectHome=yes cgstatd doctor",
    }  # fmt: skip
    for name, command in commands.items():
        screen = sh(command, check=False)
        Path(f"results/doctor-{name}.txt").write_text(screen)
        assert screen.startswith("cgstatd ") and "Traceback" not in screen and "FAILS" not in screen, screen
        assert "docker: 1 running" in screen and ("1 without a name" in screen) == (name == "nobody"), screen
        assert ("cgroup_enable=memory" in screen) == (MODE == "nomemory"), screen


@EVERYWHERE
def test_it_is_asked_from_another_network_with_a_token_over_tls(package: None) -> None:
    token = sh("cgstatd token new --name central --env 1 --allow containers:view 2>/dev/null").strip()
    sh("cgstatd token new --name other 2>/dev/null")  # with the last one revoked it would not start again
    for name in ("tls.crt", "tls.key"):
        shutil.copy(PACKAGES / name, f"/etc/cgstatd/{name}")
    os.chmod("/etc/cgstatd/tls.key", 0o600)
    with CONFIG.open("a") as file:
        file.write(f'listen = ["{ADDRESS}:{PORT}", "127.0.0.1:9713"]\ntls_cert = "/etc/cgstatd/tls.crt"\n'
                   'tls_key = "/etc/cgstatd/tls.key"\n')  # fmt: skip
    sh("cgstatd config --check")
    sh("ip netns add far; ip link add near0 type veth peer name far0 netns far; "
       f"ip addr add {ADDRESS}/24 dev near0; ip link set near0 up; "
       "ip -n far addr add 10.99.0.2/24 dev far0; ip -n far link set far0 up; ip -n far link set lo up")  # fmt: skip
    sh("systemctl restart cgstatd")
    assert ask_from_afar(token)[0] == 200
    assert ask_from_afar("wrong")[0] == 401
    sh("cgstatd token revoke central")
    until(lambda: ask_from_afar(token)[0] == 401)


def ask_from_afar(token: str) -> tuple[int, object]:
    """A request out of the other network namespace."""
    code = (
        "import http.client, json, ssl, sys\n"
        f"context = ssl.create_default_context(cafile='{PACKAGES}/tls.crt')\n"
        f"c = http.client.HTTPSConnection('{ADDRESS}', {PORT}, timeout=60, context=context)\n"
        "c.request('GET', '/api/containers/stats?env=1', headers={'Authorization': 'Bearer ' + sys.argv[1]})\n"
        "a = c.getresponse(); print(json.dumps([a.status, json.loads(a.read())]))"
    )
    Path("/tmp/ask.py").write_text(code)
    status, body = json.loads(sh(f"ip netns exec far python3 /tmp/ask.py '{token}'"))
    return status, body


@EVERYWHERE
def test_a_reload_reads_the_configuration_again_without_a_new_process(package: None) -> None:
    pid = show("MainPID")
    CONFIG.write_text(CONFIG.read_text() + 'log_level = "debug"\n')
    sh("systemctl reload cgstatd")
    assert show("MainPID") == pid and show("ActiveState") == "active"
    until(lambda: "reloaded changed=log_level" in sh("journalctl -q --no-pager -o cat -u cgstatd -p info"))


@pytest.mark.long
def test_a_service_that_is_stopped_is_restarted_by_the_watchdog(package: None) -> None:
    restarts, pid = int(show("NRestarts")), show("MainPID")
    sh("systemctl kill --kill-whom=main -s STOP cgstatd")
    until(lambda: int(show("NRestarts")) > restarts and show("ActiveState") == "active", 180)
    assert show("MainPID") != pid
    journal = sh("journalctl -q --no-pager -o cat -u cgstatd")
    assert "Watchdog timeout" in journal


@pytest.mark.long
def test_clients_of_open_streams_see_the_end_of_a_killed_service_and_come_back(package: None) -> None:
    token = sh("cgstatd token new --name streams --env 1 2>/dev/null").strip()
    context = ssl.create_default_context(cafile=f"{PACKAGES}/tls.crt")
    request = (
        f"GET /api/containers/stats/follow?interval=5 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
    )

    def stream() -> socket.socket:
        sock = context.wrap_socket(socket.create_connection((ADDRESS, PORT), timeout=60), server_hostname=ADDRESS)
        sock.sendall(request.encode())
        assert sock.recv(1 << 16).startswith(b"HTTP/1.1 200")
        return sock

    until(lambda: show("ActiveState") == "active")
    streams = [stream() for _ in range(50)]
    restarts = int(show("NRestarts"))
    sh("systemctl kill --kill-whom=main -s KILL cgstatd")
    for sock in streams:
        try:
            while sock.recv(1 << 16):
                pass
        except (ssl.SSLEOFError, ConnectionResetError):
            pass  # the end all the same: the kernel closes what a killed process had open
        sock.close()
    until(lambda: int(show("NRestarts")) > restarts and show("ActiveState") == "active")
    stream().close()


@pytest.mark.long
def test_without_any_right_systemd_hands_over_tokens_and_keys(package: None) -> None:
    token = sh("cgstatd token new --name handed --env 1 2>/dev/null").strip()
    drop_in = UNITS / "cgstatd.service.d/credentials.conf"
    drop_in.parent.mkdir(exist_ok=True)
    shutil.copy("/usr/share/cgstatd/credentials.conf", drop_in)
    sh("systemctl daemon-reload; systemctl restart cgstatd")
    status = Path(f"/proc/{show('MainPID')}/status").read_text()
    assert re.search(r"^CapEff:\s*0+$", status, re.MULTILINE)
    assert ask_from_afar(token)[0] == 200 and ask_from_afar("wrong")[0] == 401
    drop_in.unlink()
    sh("systemctl daemon-reload; systemctl restart cgstatd")


@EVERYWHERE
@pytest.mark.long
def test_an_upgrade_keeps_configuration_and_tokens_and_runs_the_new_one(package: None) -> None:
    kept = CONFIG.read_bytes(), TOKENS.read_bytes()
    pid = show("MainPID")
    sh(f"apt-get install -y -q {sorted(PACKAGES.glob('*-2_*.deb'))[0]}")
    assert (CONFIG.read_bytes(), TOKENS.read_bytes()) == kept
    assert sh("dpkg-query -W -f '${Version}' cgstatd").endswith("-2")
    until(lambda: show("ActiveState") == "active" and show("MainPID") != pid)


@pytest.mark.long
def test_the_socket_is_held_by_systemd_and_nobody_is_refused_during_a_restart(package: None) -> None:
    sh("systemctl stop cgstatd.service; systemctl start cgstatd.socket; systemctl start cgstatd.service")
    sh("systemctl kill --kill-whom=main -s KILL cgstatd.service")
    for path in ("/healthz", "/healthz"):
        assert get_tls(path) in (200, 401)
    sh("systemctl stop cgstatd.socket cgstatd.service; systemctl start cgstatd.service")


def get_tls(path: str) -> int:
    """The status of a request over TLS to the loopback listener, which was never connected to before."""
    context = ssl._create_unverified_context()
    connection = http.client.HTTPSConnection("127.0.0.1", 9713, timeout=90, context=context)
    connection.request("GET", path)
    return connection.getresponse().status


@EVERYWHERE
def test_removing_keeps_the_configuration_and_purging_leaves_nothing(package: None, before: set[str]) -> None:
    sh("ip netns del far", check=False)
    sh("apt-get remove -y -q cgstatd")
    assert CONFIG.exists() and TOKENS.exists() and show("LoadState") == "not-found"
    for name in ("tls.crt", "tls.key"):
        Path("/etc/cgstatd", name).unlink()
    sh("apt-get purge -y -q cgstatd")
    assert files() - before == set()


# -- cgstatd install


PROGRAM = "/opt/cgstatd/bin/cgstatd"


@EVERYWHERE
@pytest.mark.long
def test_install_and_uninstall_from_a_virtual_environment(before: set[str]) -> None:
    dry = sh(f"{PROGRAM} install --dry-run")
    assert "would write /etc/systemd/system/cgstatd.service" in dry and files() - before == set()
    sh(f"{PROGRAM} install")
    until(lambda: show("ActiveState") == "active")
    assert get("/api/containers/stats")[0] == 200
    assert sh("cgstatd --version").startswith("cgstatd ")
    sh(f"{PROGRAM} uninstall --purge")
    assert show("LoadState") == "not-found" and files() - before == set()


@EVERYWHERE
@pytest.mark.long
def test_it_is_installed_again_over_itself_and_with_a_socket(before: set[str]) -> None:
    sh(f"{PROGRAM} install")
    again = sh(f"{PROGRAM} install")
    assert "write" not in again and "replace" not in again
    sh(f"{PROGRAM} uninstall")
    assert CONFIG.exists() and show("LoadState") == "not-found"
    sh(f"{PROGRAM} install --socket")
    until(lambda: show("ActiveState") == "active")
    assert show("ActiveState", "cgstatd.socket") == "active" and get("/healthz")[0] == 200
    assert "socket" in show("TriggeredBy")
    sh(f"{PROGRAM} uninstall --purge")
    assert files() - before == set()
