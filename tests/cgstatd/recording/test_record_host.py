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
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cgroupfs import Directory, NoCgroups, Root, detect
from cgstatd.cli import main as cli
from cgstatd.host.runtimes.base import Metadata
from cgstatd.recording.kernel_file_names import CGROUP_FILES
from cgstatd.recording.record_host import CannotRecord, record_host
from cgstatd.recording.recorded_root import Index, load_index, open_roots
from cgstatd.sampling.model import ContainerStats
from cgstatd.sampling.open_host import HostOptions, open_host
from cgstatd.sampling.sampler import Pending, Sampler
from helpers import PROJECT, TREES, MadeUpHost, tree, unprivileged

ID = "0123456789abcdef" * 4
SCOPE = f"/system.slice/docker-{ID}.scope"
SECRET = "hunter2-s3cret"
OPTIONS = HostOptions(follow=False)


def write(root: Root, directory: str, *, interval: float = 0, options: HostOptions = OPTIONS) -> str:
    return record_host(root, options, directory, interval)


def index_of(directory: str) -> Index:
    index = load_index(directory)
    assert index is not None
    return index


def files(top: str) -> list[str]:
    return [f"{base}/{name}" for base, _, names in os.walk(top) for name in names]


def figures(roots: Sequence[Root]) -> list[ContainerStats]:
    """As ``cgstatd stats`` takes them: every container, the identity with all metadata included."""
    earlier, sampler = open_host(roots[0], OPTIONS), open_host(roots[-1], OPTIONS)
    with closing(earlier), closing(sampler):
        if len(roots) > 1:
            for container in earlier.containers():
                earlier.baseline(container)
            sampler.continue_from(earlier)
        found = [sampler.read(container, sampler.namespaces()) for container in sampler.containers()]
        done = [sampler.second(each) if isinstance(each, Pending) else each for each in found]
    return sorted((each for each in done if each is not None), key=lambda each: each.identity.id)


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


@pytest.fixture(scope="module", params=TREES, ids="-".join)
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A tree, and the recording of it: to be read only. Both are directories."""
    folder = tmp_path_factory.mktemp("recording")
    source, out = tree(*request.param), f"{folder}/recorded"
    write(open_roots(source)[0], out)
    yield source, out
    shutil.rmtree(folder)


def test_a_recording_gives_the_figures_names_and_labels_of_its_host(recorded: tuple[str, str]) -> None:
    source, out = open_roots(recorded[0]), recorded[1]
    wanted = figures(source)
    assert len(wanted) > 10 and any(each.identity.metadata and each.identity.metadata.labels for each in wanted)
    assert figures(open_roots(f"{out}/t0")) == wanted
    assert figures(open_roots(f"{out}/t1")) == wanted
    assert details(open_host(open_roots(out)[0], OPTIONS)) == details(open_host(source[0], OPTIONS))


def test_stopped_containers_are_in_a_recording_too(recorded: tuple[str, str]) -> None:
    (source,) = open_roots(recorded[0])
    assert on_disk(open_roots(recorded[1])[1]) == on_disk(source)


def test_a_recording_of_a_recording_is_the_same(recorded: tuple[str, str], out: str) -> None:
    first = recorded[1]
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

    monkeypatch.setattr("cgstatd.recording.record_host.time.sleep", go_on)
    write(host.root, out, interval=2)
    (found,) = figures(open_roots(out))
    assert found.cpu_percent == 25.0
    assert index_of(out).readings["t1"].clocks[SCOPE].monotonic_ns == 7_000_000_000


def test_a_container_that_vanishes_meanwhile_is_left_out(
    host: MadeUpHost, out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    going = f"/system.slice/docker-{'f' * 64}.scope"
    host.container(going, pids=[72])
    read = Directory.read

    def vanish(self: Directory, name: str) -> Any:
        if name == "pids.current" or "memory.stat" in name:
            host.rmdir(going)
        return read(self, name)

    monkeypatch.setattr(Directory, "read", vanish)
    write(host.root, out)
    assert [each.identity.name for each in figures(open_roots(f"{out}/t0"))] == ["web"]
    assert not [path for path in files(out) if "f" * 64 in path]


def test_a_container_stays_whose_processes_remove_a_cgroup_below_it_meanwhile(
    host: MadeUpHost, out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.mkdir(f"{SCOPE}/going")
    entered = Directory.__enter__

    def vanish(self: Directory) -> Directory:
        directory = entered(self)
        if self.path.endswith("/going"):
            host.rmdir(f"{SCOPE}/going")
        return directory

    monkeypatch.setattr(Directory, "__enter__", vanish)
    write(host.root, out)
    assert [each.identity.name for each in figures(open_roots(f"{out}/t0"))] == ["web"]
    assert index_of(out).left_out == []


def test_every_file_that_the_library_asks_for_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = set()
    opened = Directory.open

    def note(self: Directory, name: str) -> Any:
        asked.add(name)
        return opened(self, name)

    monkeypatch.setattr(Directory, "open", note)
    for name, reading in TREES:
        (root,) = open_roots(tree(name, reading))
        details(open_host(root, OPTIONS))
        figures([root])
    assert asked <= set(CGROUP_FILES)


def test_a_data_root_found_by_its_process_or_named_by_an_option_is_found_again(host: MadeUpHost, out: str) -> None:
    for number, (name, home) in enumerate((("found", "/srv/docker"), ("named", "/mnt/d"))):
        host.container(f"/docker/{str(number) * 64}", pids=[80 + number])
        host.docker(str(number) * 64, name, home=home)
    host.write("/proc/9/comm", "dockerd\n")
    host.write("/proc/9/cmdline", f"/usr/bin/dockerd\0--log-opt\0token={SECRET}\0--data-root=/srv/docker\0")
    host.process(9, "/system.slice/docker.service")
    write(host.root, out, options=HostOptions(docker_roots=["/mnt/d"]))
    assert {each.identity.name for each in figures(open_roots(out))} == {"web", "found", "named"}
    assert not [path for path in files(out) if SECRET.encode() in Path(path).read_bytes()]


def test_state_behind_a_symbolic_link_is_written_where_it_is_looked_for(host: MadeUpHost, out: str) -> None:
    os.makedirs(host.real("/mnt"))
    os.rename(host.real("/var/lib/docker"), host.real("/mnt/docker"))
    os.symlink("/mnt/docker", host.real("/var/lib/docker"))
    write(host.root, out)
    assert [each.identity.name for each in figures(open_roots(out))] == ["web"]
    assert not [path for path in files(out) if os.path.islink(path)] and not os.path.lexists(f"{out}/t0/mnt")


def test_a_users_containers_keep_their_owner_and_names(host: MadeUpHost, out: str) -> None:
    path = f"/user.slice/user-1000.slice/user@1000.service/docker-{'a' * 64}.scope"
    host.container(path, uid=1000, pids=[90])
    host.write(
        "/etc/passwd", f"root:x:0:0::/root:/bin/sh\nann:{SECRET}:1000:1000:Ann:/home/ann:/bin/zsh\nbob:x:7:7::/:\n"
    )
    host.docker("a" * 64, "mine", uid=1000, home="/home/ann/.local/share/docker")
    write(host.root, out)
    assert {(each.identity.name, each.identity.owner_uid) for each in figures(open_roots(out))} == {
        ("mine", 1000),
        ("web", 0),
    }
    assert Path(f"{out}/t0/etc/passwd").read_text() == "ann:x:1000:1000::/home/ann:\n"


def test_a_host_mounted_elsewhere_is_recorded_by_its_own_paths(host: MadeUpHost, out: str) -> None:
    host.write(
        "/proc/self/mountinfo",
        f"30 24 0:27 / {host.top}/sys/fs/cgroup rw - cgroup2 cgroup2 rw\n1 1 0:1 / /s rw - ext4 /dev/x rw\n",
    )
    write(host.root, out)
    assert Path(f"{out}/t0/proc/1/mountinfo").read_text() == "30 24 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
    assert len(figures(open_roots(out))) == 1


def test_a_host_without_containers_is_recorded_as_one(tmp_path: Path, out: str) -> None:
    assert write(MadeUpHost(str(tmp_path / "host")).root, out).startswith("recorded 0 containers of a host")
    assert figures(open_roots(out)) == []
    assert detect(open_roots(out)[0]).mode == "unified"


@pytest.mark.parametrize(
    "parent", ["new\nline", "..hidden", "-rf", "back\\slash", "\x1b[31m", os.fsdecode(b"\xff\xfe")]
)
def test_hostile_names_stay_inside_and_are_read_again(host: MadeUpHost, parent: str, out: str) -> None:
    path = f"/{parent}/docker-{'b' * 64}.scope"
    host.container(path, uid=1001, pids=[77])
    summary = write(host.root, out)
    assert "\x1b" not in summary
    assert set(os.listdir(os.path.dirname(out))) == {"host", "recorded"}
    assert {each.identity.owner_uid for each in figures(open_roots(out))} == {0, 1001}


def test_a_data_root_that_climbs_stays_inside(host: MadeUpHost, out: str) -> None:
    host.docker(ID, "climber", home="/climb")
    write(host.root, out, options=HostOptions(docker_roots=["/../../climb"]))
    assert set(os.listdir(os.path.dirname(out))) == {"host", "recorded"}
    assert os.path.exists(f"{out}/t0/climb/containers/{ID}/config.v2.json")


def test_a_cgroup_with_many_below_it_is_bounded(host: MadeUpHost, out: str) -> None:
    for number in range(300):
        host.mkdir(f"{SCOPE}/n{number}")
    write(host.root, out)
    assert len(os.listdir(f"{out}/t0/sys/fs/cgroup{SCOPE}")) < 280
    assert any("only 256 cgroups" in note for note in index_of(out).left_out)


# -- no secrets


def test_no_secret_of_any_runtime_is_in_any_byte(host: MadeUpHost, out: str) -> None:
    hidden = {"Env": [f"PASSWORD={SECRET}"], "Cmd": [SECRET], "Labels": {"app": "web"}, "Image": "busybox:1"}
    host.docker(ID, "web", config={"Config": hidden, "Args": [SECRET], "MountPoints": {SECRET: {}}}, Binds=[SECRET])
    task = f"/run/containerd/io.containerd.runtime.v2.task/k8s.io/{'c' * 64}/config.json"
    annotations = f'{{"io.kubernetes.cri.container-type": "container", "secret": "{SECRET}"}}'
    host.write(task, f'{{"annotations": {annotations}, "process": {{"env": ["{SECRET}"]}}, "mounts": ["{SECRET}"]}}')
    storage = "/var/lib/containers/storage/overlay-containers"
    tool = json.dumps({"image-name": "lab/box:1", "password": SECRET})
    host.write(
        f"{storage}/containers.json",
        json.dumps([{"id": "d" * 64, "names": ["pm"], "flags": SECRET, "metadata": tool}]),
    )
    host.write(
        f"{storage}/{'d' * 64}/userdata/config.json",
        f'{{"annotations": {{"io.container.manager": "cri-o"}}, "env": "{SECRET}"}}',
    )
    host.write("/var/lib/lxc/lx/config", f"lxc.environment = A={SECRET}\nlxc.net.0.type = veth\n#{SECRET}\n")
    host.write("/run/systemd/machines/nsp", f"NAME=nsp\nCLASS=container\nROOT={SECRET}\n")
    host.write("/etc/docker/daemon.json", f'{{"data-root": "/var/lib/docker", "log-opts": {{"token": "{SECRET}"}}}}')
    for name in ("environ", "cmdline", "mountinfo"):
        host.write(f"/proc/71/{name}", SECRET)
    host.write(f"/sys/fs/cgroup{SCOPE}/devices.list", SECRET)
    write(host.root, out)
    assert [path for path in files(out) if SECRET.encode() in Path(path).read_bytes()] == []
    names = {os.path.relpath(path, f"{out}/t0") for path in files(f"{out}/t0")}
    assert {
        task.lstrip("/"),
        f"{storage}/containers.json".lstrip("/"),
        "var/lib/lxc/lx/config",
        "run/systemd/machines/nsp",
    } <= names
    assert on_disk(open_roots(out)[0]) == on_disk(host.root)


def test_a_file_that_cannot_be_understood_is_left_out_as_a_whole(host: MadeUpHost, out: str) -> None:
    host.write(f"/var/lib/docker/containers/{ID}/config.v2.json", f'{{"Name": "/web", "Env": "{SECRET}"')
    summary = write(host.root, out)
    assert "config.v2.json: malformed" in summary and SECRET not in summary
    assert [path for path in files(out) if SECRET.encode() in Path(path).read_bytes()] == []


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
        (found,) = figures(open_roots(str(out)))
    assert "containers: permission denied (names need CAP_DAC_READ_SEARCH)" in summary
    left_out = index_of(str(out)).left_out
    assert f"/sys/fs/cgroup{SCOPE}/io.stat: permission denied" in left_out and len(left_out) == 2
    assert (found.identity.name, found.memory_usage_bytes, found.block_read_bytes) == (ID[:12], 5_000_000, None)


def test_a_file_of_another_owner_is_listed(host: MadeUpHost, out: str) -> None:
    host.root.owners[f"/var/lib/docker/containers/{ID}/config.v2.json"] = 7
    assert "owned by uid 7, not by 0" in write(host.root, out)


# -- the destination


def test_a_directory_that_is_not_empty_is_refused_and_left_alone(host: MadeUpHost, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("x")
    with pytest.raises(CannotRecord, match="full: is not empty: name one that does not exist yet"):
        write(host.root, str(tmp_path / "full"))
    assert os.listdir(tmp_path / "full") == ["mine"]


def test_an_empty_directory_is_filled(host: MadeUpHost, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write(host.root, str(tmp_path / "empty"))
    assert sorted(os.listdir(tmp_path / "empty")) == ["index.json", "t0", "t1"]


def test_a_file_and_a_missing_parent_are_refused(host: MadeUpHost, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(CannotRecord, match="file: Not a directory: name a directory, not a file"):
        write(host.root, str(tmp_path / "file"))
    with pytest.raises(CannotRecord, match="the directory above it is not there: make it first"):
        write(host.root, str(tmp_path / "no" / "where"))


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_run_leaves_nothing(
    host: MadeUpHost, out: str, exists: bool, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: float) -> None:
        raise error

    if exists:
        os.mkdir(out)
    monkeypatch.setattr("cgstatd.recording.record_host.time.sleep", stop)
    with pytest.raises(error):
        write(host.root, out, interval=1)
    assert set(os.listdir(os.path.dirname(out))) == ({"host", "recorded"} if exists else {"host"})
    assert not exists or os.listdir(out) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_the_directory_is_made_leaves_nothing(
    number: int, host: MadeUpHost, out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = tempfile.mkdtemp

    def interrupted(**options: Any) -> str:
        path = make(**options)
        signal.raise_signal(number)
        return str(path)

    monkeypatch.setattr(tempfile, "mkdtemp", interrupted)
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        write(host.root, out)
    assert os.listdir(os.path.dirname(out)) == ["host"] and signal.getsignal(number) is before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_it_is_put_in_place_comes_too_late(
    number: int, host: MadeUpHost, out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def interrupted(source: str, target: str) -> None:
        rename(source, target)
        signal.raise_signal(number)

    os.mkdir(out)
    monkeypatch.setattr(os, "rename", interrupted)
    write(host.root, out)
    assert sorted(os.listdir(out)) == ["index.json", "t0", "t1"]


def test_a_second_signal_does_not_stop_the_cleaning_up(
    host: MadeUpHost, out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = shutil.rmtree

    def interrupted(path: str, **options: Any) -> None:
        signal.raise_signal(signal.SIGTERM)
        remove(path, **options)

    monkeypatch.setattr("cgstatd.recording.record_host.time.sleep", lambda _: signal.raise_signal(signal.SIGINT))
    monkeypatch.setattr(shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(host.root, out)
    assert os.listdir(os.path.dirname(out)) == ["host"]


def test_a_terminated_run_leaves_nothing(host: MadeUpHost, out: str) -> None:
    command = [sys.executable, "-m", "cgstatd", "record", out, "--interval", "60", "--host-root", host.top]
    environment = {**os.environ, "PYTHONPATH": f"{PROJECT}/agent:{PROJECT}/cgroups"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 20
        while len(os.listdir(os.path.dirname(out))) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, b"")
    assert os.listdir(os.path.dirname(out)) == ["host"]


def test_a_host_without_cgroups_leaves_nothing(tmp_path: Path, out: str) -> None:
    with pytest.raises(NoCgroups):
        write(Root(str(tmp_path)), out)
    assert os.listdir(tmp_path) == []


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
    assert all(each.cpu_percent is not None for each in figures([first, second]) if each.identity.id in dict(stayed))


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
    monkeypatch.setattr("cgstatd.recording.record_host.time.sleep", lambda _: swap() if when == "meanwhile" else None)
    if when == "before":
        with pytest.raises(CannotRecord):
            write(host.root, out, interval=1)
    else:
        write(host.root, out, interval=1)
    assert os.listdir(etc) == ["shadow"] and stat.S_IMODE((etc / "shadow").stat().st_mode) == 0o600
