"""A recording reads like its host, holds no secret, and is either whole or not there."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cgroupfs import Directory, NoCgroups, Root, detect
from cgstatd.cli import main as cli
from cgstatd.host.runtimes.base import Metadata
from cgstatd.recording.kernel_files import CGROUP_FILES
from cgstatd.recording.record_host import CannotRecord, record_host
from cgstatd.recording.recorded_root import Index, load_index, open_roots
from cgstatd.sampling.model import ContainerStats
from cgstatd.sampling.open_host import HostOptions, open_host
from cgstatd.sampling.sampler import Sampler
from helpers import HOSTS, LEGACY, PROJECT, UNIFIED, MadeUpHost, tree, unprivileged

from .conftest import OPTIONS, figures

ID = "0123456789abcdef" * 4
SCOPE = f"/system.slice/docker-{ID}.scope"
SECRET = "hunter2-s3cret"


def write(root: Root, directory: str, *, interval: float = 0, options: HostOptions = OPTIONS) -> str:
    return record_host(root, options, directory, interval)


def index_of(directory: str) -> Index:
    index = load_index(directory)
    assert index is not None
    return index


def shown(path: str) -> dict[str, ContainerStats]:
    """The containers of a recording by their names."""
    return {each.identity.name: each for each in figures(open_roots(path)).values()}


def files(top: str) -> list[str]:
    return [f"{base}/{name}" for base, _, names in os.walk(top) for name in names]


def telling(top: str) -> list[str]:
    """The files that hold the secret."""
    return [path for path in files(top) if SECRET.encode() in Path(path).read_bytes()]


def entries(out: str) -> set[str]:
    """What is beside a recording, itself included."""
    return set(os.listdir(os.path.dirname(out)))


def details(sampler: Sampler) -> dict[str, list[Any]]:
    """Every record of every container, without the places in their reasons."""
    found = {}
    with closing(sampler):
        for container in sampler.containers():
            with container.reading() as of:
                records = (of.cpu(), of.memory(), of.io(), of.pids(), of.pressure(), of.limits())
            found[container.ref.path] = [
                dataclasses.replace(each, missing=tuple(dataclasses.replace(m, path="") for m in each.missing))
                for each in records
            ]
    return found


def on_disk(root: Root) -> list[Metadata]:
    with closing(open_host(root, OPTIONS)) as sampler:
        sampler.containers()  # makes the owners known whose runtimes are asked too
        return sorted(sampler.names.on_disk(), key=lambda found: (found.id, found.owner_uid))


@pytest.fixture
def out(tmp_path: Path) -> str:
    """Where to record to: not there yet."""
    return str(tmp_path / "recorded")


@pytest.fixture
def host(tmp_path: Path) -> MadeUpHost:
    """A host with one container."""
    made = MadeUpHost(str(tmp_path / "host"))
    made.container(SCOPE, pids=[71])
    made.docker(ID, "web")
    return made


# -- like the host


@pytest.fixture(scope="module", params=zip(HOSTS, ("t0", "t1", "t0"), strict=True), ids="-".join)
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A tree, and the recording of it: to be read only. Both are directories."""
    folder = tmp_path_factory.mktemp("recording")
    source, out = tree(*request.param), f"{folder}/recorded"
    write(open_roots(source)[0], out)
    yield source, out
    shutil.rmtree(folder)


def test_a_recording_gives_what_its_host_does_and_its_own_recording_is_the_same(
    recorded: tuple[str, str], out: str
) -> None:
    source, first = open_roots(recorded[0]), recorded[1]
    wanted = figures(source)
    assert len(wanted) > 10 and any(
        each.identity.metadata and each.identity.metadata.labels for each in wanted.values()
    )
    assert figures(open_roots(f"{first}/t0")) == wanted == figures(open_roots(f"{first}/t1"))
    assert details(open_host(open_roots(first)[0], OPTIONS)) == details(open_host(source[0], OPTIONS))
    assert on_disk(open_roots(first)[1]) == on_disk(source[0]), "the stopped ones"
    write(open_roots(first)[0], out)
    assert index_of(out) == index_of(first)
    sizes = [{path.removeprefix(top): os.stat(path).st_size for path in files(top)} for top in (first, out)]
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("version", [1, 2])
def test_cpu_percent_is_measured_between_the_readings(
    version: int, tmp_path: Path, out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = MadeUpHost(str(tmp_path / "host"), version)
    host.container(SCOPE, pids=[71])
    host.root.now_ns = 5_000_000_000

    def go_on(seconds: float) -> None:
        if seconds > 0:
            host.root.now_ns = 7_000_000_000
            host.cpu(SCOPE, 1_500_000)

    monkeypatch.setattr(SLEEP, go_on)
    write(host.root, out, interval=2)
    (found,) = shown(out).values()
    assert found.cpu_percent == 25.0
    assert index_of(out).readings["t1"].clocks[SCOPE].monotonic_ns == 7_000_000_000


def test_a_container_that_vanishes_meanwhile_is_left_out_and_one_that_loses_a_cgroup_below_it_stays(
    host: MadeUpHost, out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    going = f"/system.slice/docker-{'f' * 64}.scope"
    host.container(going, pids=[72])
    host.mkdir(f"{SCOPE}/going")
    read, entered = Directory.read, Directory.__enter__

    def vanish(self: Directory, name: str) -> Any:
        if name == "pids.current" or "memory.stat" in name:
            host.rmdir(going)
        return read(self, name)

    def vanish_below(self: Directory) -> Directory:
        directory = entered(self)
        if self.path.endswith("/going"):
            host.rmdir(f"{SCOPE}/going")
        return directory

    monkeypatch.setattr(Directory, "read", vanish)
    monkeypatch.setattr(Directory, "__enter__", vanish_below)
    write(host.root, out)
    assert list(shown(f"{out}/t0")) == ["web"]
    assert not [path for path in (*files(out), *index_of(out).left_out) if "f" * 64 in path or "/going" in path]


def test_every_file_that_the_library_asks_for_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = set()
    opened = Directory.open

    def note(self: Directory, name: str) -> Any:
        asked.add(name)
        return opened(self, name)

    monkeypatch.setattr(Directory, "open", note)
    for host in (UNIFIED, LEGACY):
        (root,) = open_roots(tree(host))
        details(open_host(root, OPTIONS))
        figures([root])
    assert asked <= set(CGROUP_FILES)


def test_state_elsewhere_is_found_again_by_its_process_by_an_option_and_behind_a_link(
    host: MadeUpHost, out: str
) -> None:
    for number, (name, home) in enumerate((("found", "/srv/docker"), ("named", "/climb"))):
        host.container(f"/docker/{str(number) * 64}", pids=[80 + number])
        host.docker(str(number) * 64, name, home=home)
    host.write("/proc/9/comm", "dockerd\n")
    host.write("/proc/9/cmdline", f"/usr/bin/dockerd\0--log-opt\0token={SECRET}\0--data-root=/srv/docker\0")
    host.process(9, "/system.slice/docker.service")
    os.makedirs(host.real("/mnt"))
    os.rename(host.real("/var/lib/docker"), host.real("/mnt/docker"))
    os.symlink("/mnt/docker", host.real("/var/lib/docker"))
    write(host.root, out, options=HostOptions(docker_roots=["/../../climb"]))
    assert shown(out).keys() == {"web", "found", "named"} and telling(out) == []
    assert not [path for path in files(out) if os.path.islink(path)] and not os.path.lexists(f"{out}/t0/mnt")
    assert entries(out) == {"host", "recorded"} and os.path.exists(f"{out}/t0/climb/containers/{'1' * 64}")


def test_a_users_containers_keep_their_owner_and_names(host: MadeUpHost, out: str) -> None:
    path = f"/user.slice/user-1000.slice/user@1000.service/docker-{'a' * 64}.scope"
    host.container(path, uid=1000, pids=[90])
    host.write(
        "/etc/passwd", f"root:x:0:0::/root:/bin/sh\nann:{SECRET}:1000:1000:Ann:/home/ann:/bin/zsh\nbob:x:7:7::/:\n"
    )
    host.docker("a" * 64, "mine", uid=1000, home="/home/ann/.local/share/docker")
    host.container(f"/docker/{'9' * 64}", pids=[91])
    shutil.rmtree(host.real("/proc/91"))
    write(host.root, out)
    owners = {name: each.identity.owner_uid for name, each in shown(out).items()}
    assert owners == {"mine": 1000, "web": 0, "9" * 12: 0}, "one whose processes are hidden, too"
    assert Path(f"{out}/t0/etc/passwd").read_text() == "ann:x:1000:1000::/home/ann:\n"


def test_a_host_mounted_elsewhere_is_recorded_by_its_own_paths_without_containers_too(tmp_path: Path, out: str) -> None:
    host = MadeUpHost(str(tmp_path / "host"))
    host.write(
        "/proc/self/mountinfo",
        f"30 24 0:27 / {host.top}/sys/fs/cgroup rw - cgroup2 cgroup2 rw\n1 1 0:1 / /s rw - ext4 /dev/x rw\n",
    )
    assert write(host.root, out).startswith("recorded 0 containers of a host")
    assert Path(f"{out}/t0/proc/1/mountinfo").read_text() == "30 24 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
    assert shown(out) == {} and detect(open_roots(out)[0]).mode == "unified"


def test_hostile_names_stay_inside_and_are_read_again_and_many_cgroups_below_one_are_bounded(
    host: MadeUpHost, out: str
) -> None:
    parents = ["new\nline", "..hidden", "-rf", "back\\slash", "\x1b[31m", os.fsdecode(b"\xff\xfe")]
    for number, parent in enumerate(parents):
        host.container(f"/{parent}/docker-{number:064}.scope", uid=1001, pids=[77])
    for number in range(300):
        host.mkdir(f"{SCOPE}/n{number}")
    summary = write(host.root, out)
    assert "\x1b" not in summary and entries(out) == {"host", "recorded"}
    assert sorted(each.identity.owner_uid for each in figures(open_roots(out)).values()) == [0, *[1001] * len(parents)]
    assert len(os.listdir(f"{out}/t0/sys/fs/cgroup{SCOPE}")) < 280
    assert any("only 256 cgroups" in note for note in index_of(out).left_out)


# -- no secrets


def test_no_secret_of_any_runtime_is_in_any_byte(host: MadeUpHost, out: str) -> None:
    hidden = {"Env": [f"PASSWORD={SECRET}"], "Cmd": [SECRET], "Labels": {"app": "web"}, "Image": "busybox:1"}
    host.docker(ID, "web", config={"Config": hidden, "Args": [SECRET], "MountPoints": {SECRET: {}}}, Binds=[SECRET])
    task = f"/run/containerd/io.containerd.runtime.v2.task/k8s.io/{'c' * 64}/config.json"
    annotations = {"io.kubernetes.cri.container-type": "container", "secret": SECRET}
    storage = "/var/lib/containers/storage/overlay-containers"
    tool = json.dumps({"image-name": "lab/box:1", "password": SECRET})
    kept: dict[str, Any] = {
        task: {"annotations": annotations, "process": {"env": [SECRET]}, "mounts": [SECRET]},
        f"{storage}/containers.json": [{"id": "d" * 64, "names": ["pm"], "flags": SECRET, "metadata": tool}],
        "/var/lib/lxc/lx/config": f"lxc.environment = A={SECRET}\nlxc.net.0.type = veth\n#{SECRET}\n",
        "/run/systemd/machines/nsp": f"NAME=nsp\nCLASS=container\nROOT={SECRET}\n",
    }
    left: dict[str, Any] = {
        f"{storage}/{'d' * 64}/userdata/config.json": {
            "annotations": {"io.container.manager": "cri-o"}, "env": SECRET,
        },
        "/etc/docker/daemon.json": {"data-root": "/var/lib/docker", "log-opts": {"token": SECRET}},
        **{f"/proc/71/{name}": SECRET for name in ("environ", "cmdline", "mountinfo")},
        f"/sys/fs/cgroup{SCOPE}/devices.list": SECRET,
    }  # fmt: skip
    for path, content in (kept | left).items():
        host.write(path, content if isinstance(content, str) else json.dumps(content))
    write(host.root, out)
    assert telling(out) == []
    assert {path.removeprefix(f"{out}/t0") for path in files(f"{out}/t0")} >= kept.keys()
    assert on_disk(open_roots(out)[0]) == on_disk(host.root)


def test_a_file_that_is_malformed_or_another_owners_is_left_out_as_a_whole_and_listed(
    host: MadeUpHost, out: str
) -> None:
    path = f"/var/lib/docker/containers/{ID}/config.v2.json"
    host.write(path, f'{{"Name": "/web", "Env": "{SECRET}"')
    summary = write(host.root, out)
    assert "config.v2.json: malformed" in summary and SECRET not in summary and telling(out) == []
    host.root.owners[path] = 7
    assert "owned by uid 7, not by 0" in write(host.root, f"{out}-again")


# -- unreadable pieces


@pytest.fixture
def public() -> Iterator[Path]:
    """A directory that everybody may enter: pytest's own are private."""
    with tempfile.TemporaryDirectory(prefix="cgstatd-test-") as path:
        os.chmod(path, 0o755)
        yield Path(path)


def test_what_an_unprivileged_user_cannot_read_is_left_out_and_listed(public: Path) -> None:
    host = MadeUpHost(str(public / "host"))
    host.container(SCOPE, pids=[71])
    host.docker(ID, "web")
    os.chmod(host.real(f"/sys/fs/cgroup{SCOPE}/io.stat"), 0)
    os.chmod(host.real("/var/lib/docker/containers"), 0o700)
    out = public / "out"
    out.mkdir()
    os.chown(out, *((65534, 65534) if os.geteuid() == 0 else (-1, -1)))
    if os.geteuid() != 0:
        os.chmod(host.real("/var/lib/docker/containers"), 0)
    with unprivileged():
        summary = write(host.root, str(out))
        (found,) = shown(str(out)).values()
    assert "containers: permission denied (names need CAP_DAC_READ_SEARCH)" in summary
    left_out = index_of(str(out)).left_out
    assert f"/sys/fs/cgroup{SCOPE}/io.stat: permission denied" in left_out and len(left_out) == 2
    assert (found.identity.name, found.memory_usage_bytes, found.block_read_bytes) == (ID[:12], 5_000_000, None)


# -- the destination


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("full", "full: is not empty: name one that does not exist yet"),
        ("full/mine", "mine: Not a directory: name a directory, not a file"),
        ("no/where", "the directory above it is not there: make it first"),
    ],
)
def test_a_place_that_cannot_be_recorded_to_is_refused_and_left_alone(
    host: MadeUpHost, tmp_path: Path, name: str, says: str
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("x")
    with pytest.raises(CannotRecord, match=says):
        write(host.root, str(tmp_path / name))
    with pytest.raises(NoCgroups):
        write(Root(str(tmp_path)), str(tmp_path / "new"))  # no host
    assert set(os.listdir(tmp_path)) == {"full", "host"} and (tmp_path / "full" / "mine").read_text() == "x"


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_run_leaves_nothing(
    host: MadeUpHost, out: str, exists: bool, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: float) -> None:
        raise error

    if exists:
        os.mkdir(out)
    monkeypatch.setattr(SLEEP, stop)
    with pytest.raises(error):
        write(host.root, out, interval=1)
    assert entries(out) == ({"host", "recorded"} if exists else {"host"})
    assert not exists or os.listdir(out) == []


SLEEP = "cgstatd.recording.record_host.time.sleep"


def then(call: Callable[..., Any], number: int, *, before: bool = False) -> Callable[..., Any]:
    """A call with a signal behind it, or before it."""

    def interrupted(*arguments: Any, **options: Any) -> Any:
        if before:
            signal.raise_signal(number)
        found = call(*arguments, **options)
        if not before:
            signal.raise_signal(number)
        return found

    return interrupted


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_nothing_and_comes_too_late_once_it_is_put_in_place(
    number: int, host: MadeUpHost, out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(number)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(tempfile, "mkdtemp", then(tempfile.mkdtemp, number))
        write(host.root, out)
    assert entries(out) == {"host"} and signal.getsignal(number) is before
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(SLEEP, lambda _: signal.raise_signal(signal.SIGINT))
        patch.setattr(shutil, "rmtree", then(shutil.rmtree, number, before=True))  # a second one
        write(host.root, out)
    assert entries(out) == {"host"}
    os.mkdir(out)
    monkeypatch.setattr(os, "rename", then(os.rename, number))
    write(host.root, out)
    assert sorted(os.listdir(out)) == ["index.json", "t0", "t1"]


def test_a_terminated_run_leaves_nothing(host: MadeUpHost, out: str) -> None:
    command = [sys.executable, "-m", "cgstatd", "record", out, "--interval", "60", "--host-root", host.top]
    environment = {**os.environ, "PYTHONPATH": f"{PROJECT}/agent:{PROJECT}/cgroups"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as process:
        while len(entries(out)) < 2 and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate()
    assert (process.returncode, said) == (130, b"")
    assert entries(out) == {"host"}


def test_everybody_may_read_it_whatever_the_umask(host: MadeUpHost, out: str) -> None:
    before = os.umask(0o077)
    try:
        write(host.root, out)
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(out).st_mode) == 0o755
    for base, folders, names in os.walk(out):
        assert all(stat.S_IMODE(os.lstat(f"{base}/{name}").st_mode) == 0o755 for name in folders)
        assert all(os.lstat(f"{base}/{name}").st_mode == stat.S_IFREG | 0o644 for name in names)


# -- the command


def test_the_command_says_what_it_did_and_how_to_look_at_it(
    host: MadeUpHost, out: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["record", out, "--interval", "0.1", "--host-root", host.top]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("recorded 1 containers (docker 1) of a host with kernel")
    assert said[-1] == f"look at it with: cgstatd stats --host-root {out}"
    assert cli.main(["stats", "--host-root", out]) == 0
    assert "CONTAINER ID" in capsys.readouterr().out
    assert cli.main(["record", out, "--host-root", host.top]) == 2
    assert capsys.readouterr().err == f"cgstatd: {out}: is not empty: name one that does not exist yet\n"


@pytest.mark.host
def test_this_machine_round_trips(out: str) -> None:
    root = Root("/")
    try:
        detect(root)
    except NoCgroups as error:
        pytest.skip(str(error))
    before = names_of(root)
    write(root, out, interval=0.5)
    # By inode: another test may make a cgroup anew under the same id meanwhile.
    stayed = {names for inodes, names in names_of(root).items() if before.get(inodes) == names}
    first, second = open_roots(out)
    assert stayed <= {*names_of(first).values()} and stayed <= {*names_of(second).values()}
    assert all(each.cpu_percent is not None for key, each in figures([first, second]).items() if key in dict(stayed))


def names_of(root: Root) -> dict[Any, tuple[str, str]]:
    """By the inodes of their cgroups."""
    with closing(open_host(root, OPTIONS)) as sampler:
        return {each.ref.inodes: (each.identity.id, each.identity.name) for each in sampler.containers()}


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_who_owns_the_directory_around_it_has_nothing_else_written_or_made_readable(
    when: str, host: MadeUpHost, out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link to /etc in place of the directory had each file there made readable for all."""
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "shadow").write_text("secret")
    (etc / "shadow").chmod(0o600)
    made: list[str] = []

    def swap() -> None:
        if not os.path.islink(made[0]):
            os.rename(made[0], f"{made[0]}.away")
            os.symlink(etc, made[0])

    def make(**options: Any) -> str:
        made.append(mkdtemp(**options))
        if when == "before":
            swap()
        return made[0]

    mkdtemp = tempfile.mkdtemp
    monkeypatch.setattr(tempfile, "mkdtemp", make)
    monkeypatch.setattr(SLEEP, lambda _: swap() if when == "meanwhile" else None)
    if when == "before":
        with pytest.raises(CannotRecord):
            write(host.root, out, interval=1)
    else:
        write(host.root, out, interval=1)
    assert os.listdir(etc) == ["shadow"] and stat.S_IMODE((etc / "shadow").stat().st_mode) == 0o600
