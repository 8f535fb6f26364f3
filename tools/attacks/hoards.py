"""Files and names that are to become the agent's memory or its time: they come and go, change, date from tomorrow."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from itertools import repeat
from pathlib import Path
from typing import Any

from attacks.arena import Arena, TreeArena, Work, often, require_root
from attacks.forged import listed
from attacks.planted import USERS, everything, own, run
from fakehost import container_id

SMALL_LABELS = b'{"Name":"/hoard","Config":{"Labels":{' + b",".join(b'"%06x":""' % n for n in range(340_000)) + b"}}}"
"""4 MiB, which as one object for each label would be 30."""
assert 3 << 20 < len(SMALL_LABELS) < 4 << 20


def _cost(a: TreeArena, times: int, act: Callable[[int], object], most: Work) -> str:
    """What the agent reads for each: ``most`` at the most.

    Cleans up before it is judged: the attacks that follow are not to meet what this one left.
    """
    work = a.work_of(lambda: [act(number) for number in range(times)])
    clean(a)
    return f"{Work(work.calls // times, work.octets // times).within(*most)} each time"


def home(uid: int) -> str:
    """Of a user of the made-up host."""
    return f"home/user{uid}"


def storage(a: TreeArena, uid: int) -> Path:
    """Where Podman keeps its containers: the system's (0) or a user's."""
    return a.host.path / (f"{home(uid)}/.local/share/containers/storage" if uid else "var/lib/containers/storage")


def _files(a: TreeArena, uid: int, identity: str) -> Path:
    folder = f"{home(uid)}/.local/share/docker/containers" if uid else "var/lib/docker/containers"
    return a.host.path / folder / identity


def _cgroup(a: TreeArena, uid: int, identity: str) -> Path:
    place = f"user.slice/user-{uid}.slice" if uid else "system.slice"
    return a.host.path / f"sys/fs/cgroup/{place}/docker-{identity}.scope"


def come(a: TreeArena, name: str, uid: int, config: bytes | Path | None) -> str:
    """A container starts; its id. ``config``: what its runtime writes, or a file to link to."""
    require_root()
    identity = container_id(name)
    if config is not None:
        folder = _files(a, uid, identity)
        folder.mkdir(parents=True)
        file = folder / "config.v2.json"
        if isinstance(config, bytes):
            file.write_bytes(config)
            file.chmod(0o600)
            os.chown(file, uid, uid)
        else:
            os.link(config, file)
        own(folder, uid)
    run(a, _cgroup(a, uid, identity))
    return identity


def go(a: TreeArena, uid: int, identity: str, *, files: bool = True) -> None:
    """It ends, and its runtime forgets it."""
    shutil.rmtree(_cgroup(a, uid, identity))
    if files:
        shutil.rmtree(_files(a, uid, identity), ignore_errors=True)


def clean(a: TreeArena) -> None:
    """Nothing of the users is left."""
    for each in ("sys/fs/cgroup/user.slice", "home"):
        shutil.rmtree(a.host.path / each, ignore_errors=True)


def seen(a: TreeArena, wanted: list[str]) -> dict[str, dict[str, Any]]:
    """What is said of each once all of them are listed."""
    while not set(wanted) <= set(found := listed(a)):
        time.sleep(0.05)
    return {each: found[each][0] for each in wanted}


def unseen(a: TreeArena, gone: list[str]) -> None:
    """Until none of them is listed."""
    while set(gone) & set(listed(a)):
        time.sleep(0.05)


class Following:
    """A client with an open ``follow``, which counts what it is told."""

    def __init__(self, a: Arena) -> None:
        self._sock: socket.socket = a.asking("/api/containers/stats/follow?interval=0.25", "127.0.0.97")
        self._sock.settimeout(60)
        self.counts = {b"event: start": 0, b"event: exit": 0, b"event: round": 0}
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        self.until(b"event: round", 1)

    def _read(self) -> None:
        rest = b""
        with suppress(OSError):
            while data := self._sock.recv(1 << 18):
                rest += data
                whole, _, rest = rest.rpartition(b"\n") if b"\n" in rest else (b"", b"", rest)
                for kind in self.counts:
                    self.counts[kind] += whole.count(kind)

    def until(self, kind: bytes, count: int) -> None:
        """Wait until it was told so many times."""
        while self.counts[kind] < count:
            assert self._thread.is_alive(), (kind, self.counts)
            time.sleep(0.02)

    def close(self) -> None:
        """Go away."""
        self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()
        self._thread.join(5)


def _come_and_go(a: TreeArena, name: str, configs: Iterable[bytes]) -> None:
    """Containers of a user, one after the other, while one `follow` is open: it is told of each start and each end."""
    followed, uid = Following(a), USERS[0]
    try:
        for number, config in enumerate(configs, 1):
            identity = come(a, f"{name} {number}", uid, config)
            followed.until(b"event: start", number)
            go(a, uid, identity)
            followed.until(b"event: exit", number)
    finally:
        followed.close()
        clean(a)


def last_words(a: TreeArena) -> str:
    """last words of 4 MiB: ten containers of a user with 4 MiB of small labels each come and go while one `follow` is
    open
    """
    _come_and_go(a, "words", repeat(SMALL_LABELS, often(10)))
    return "told of each start and each end; what is remembered of them has no labels"


def start_events(a: TreeArena) -> str:
    """starts of 1 MB: 40 containers of a user whose 256 labels have 4,000 letters each come and go while one `follow`
    is open
    """

    def config(number: int) -> bytes:
        labels = {f"{label:03}": f"{number:03}-{label:03}-" + "x" * 3990 for label in range(256)}
        return json.dumps({"Name": f"/s{number}", "Config": {"Labels": labels}}).encode()

    _come_and_go(a, "start", map(config, range(often(40))))
    return "told of each start and each end"


def comings_and_goings(a: TreeArena) -> str:
    """ordinary CI use: 600 containers of a user come and go, 10 kB of config each; each has to have its name"""
    uid, named = USERS[7], 0
    filler = {f"org.example.label.{label}": f"{label} " * 40 for label in range(30)}
    for batch in range(often(10)):
        several = {}
        for number in range(often(60, 20)):
            name = f"ci-{batch}-{number}"
            config = json.dumps({"Name": f"/{name}", "Config": {"Env": ["x" * 5000], "Labels": filler}}).encode()
            several[come(a, name, uid, config)] = name
        found = seen(a, list(several))
        named += sum(found[each]["name"] == name for each, name in several.items())
        for each in several:
            go(a, uid, each)
    clean(a)
    assert named == often(60, 20) * often(10), named
    return f"{named} of {named} have their names"


def touched(a: TreeArena) -> str:
    """configs that change all the time: six users touch a config of 4 MiB of small labels each, twice a second"""
    identities = {uid: come(a, f"touched {uid}", uid, SMALL_LABELS) for uid in USERS[1:7]}
    found = seen(a, list(identities.values()))

    def touch_all() -> None:
        for _ in range(often(12)):
            for uid, identity in identities.items():
                os.utime(_files(a, uid, identity) / "config.v2.json")
            listed(a)
            time.sleep(0.5)

    began = time.monotonic()
    work = a.work_of(touch_all)
    allowed = len(identities) * (time.monotonic() - began + 16)  # MiB: 1 a second of each user, and 16 at first
    clean(a)
    assert {each["name"] for each in found.values()} == {"hoard"}
    return f"all six have their names, {work.within(1_000_000, int(allowed) << 20)} for {often(12)} times"


def _labelled(a: TreeArena, word: str, batch: int) -> list[str]:
    """100 of the system's containers come, each with 20 kB of labels."""
    several = []
    for number in range(often(100, 20)):
        labels = {f"{batch}.{number}.{label}": "x" * 20 for label in range(500)}
        config = json.dumps({"Name": f"/{word}-{batch}-{number}", "Config": {"Labels": labels}}).encode()
        several.append(come(a, f"{word} {batch} {number}", 0, config))
    return several


def gone_configs(a: TreeArena) -> str:
    """configs of containers that are gone: 1,000 of the system's containers with 20 kB of labels each come and go"""
    for batch in range(often(10)):
        several = _labelled(a, "gone", batch)
        found = seen(a, several)
        assert all(each["name"].startswith("gone-") for each in found.values())
        for each in several:
            go(a, 0, each)
        unseen(a, several)
    return "each of them had its name"


def event_streams(a: TreeArena) -> str:
    """events of the Engine API that are not read: 100 streams from ten addresses, while 300 containers with 20 kB of
    labels each come and go
    """
    sockets = []
    for number in range(often(100)):
        since = f"?since={number % 2}" if number % 3 else ""
        sockets.append(a.asking(f"/v1.45/events{since}", f"127.0.7.{number // 10 + 1}", receive=4096))
    for batch in range(often(3)):
        several = _labelled(a, "told", batch)
        seen(a, several)
        time.sleep(1.2)  # the events look once a second
        for each in several:
            go(a, 0, each)
        unseen(a, several)
    answered = sum(sock.recv(15).startswith(b"HTTP/1.1 200") for sock in sockets)
    for sock in sockets:
        sock.close()
    assert answered == len(sockets)
    return f"{answered} streams were told as much as they read"


def from_the_future(a: TreeArena) -> str:
    """configs dated in the future: 300 stopped containers' of a user, and a client that asks for unknown names without
    a pause
    """
    uid = USERS[0]
    running_one = come(a, "future", uid, b'{"Name":"/future"}')
    labels = {f"org.example.label.{label}": "x" * 200 for label in range(40)}
    tomorrow = time.time() + 86_400
    for number in range(often(300)):
        folder = _files(a, uid, container_id(f"future {number}"))
        folder.mkdir()
        file = folder / "config.v2.json"
        file.write_text(json.dumps({"Name": f"/future-{number}", "Config": {"Labels": labels}}))
        file.chmod(0o600)
        os.utime(file, (tomorrow, tomorrow))
    own(a.host.path / home(uid), uid)
    seen(a, [running_one])

    def guess(number: int) -> None:
        assert a.ask(f"/api/containers/nothing{number}/stats")[0] == 404
        time.sleep(0.1)

    return f"404 each time, {_cost(a, often(60), guess, Work(300, 1 << 20))}"


def many_names(a: TreeArena) -> str:
    """directories without end: a user makes 20,000 empty ones where its Docker keeps containers, and 500 storage
    drivers for its Podman, and runs 100 containers that have no name
    """
    uid = USERS[0]
    identities = [come(a, f"many {number}", uid, None) for number in range(often(100))]
    folder = _files(a, uid, "x").parent
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(often(20_000)):
        (folder / container_id(f"empty {number}")).mkdir()
    for number in range(often(500)):
        (storage(a, uid) / f"d{number:03}-containers").mkdir(parents=True)
    own(a.host.path / home(uid), uid)
    seen(a, identities)

    def list_all(_number: int) -> None:
        listed(a)
        time.sleep(0.3)

    return _cost(a, often(20), list_all, Work(2_000, 1 << 20))


def nudged(a: TreeArena) -> str:
    """a directory that changes all the time: a user with 400 containers without names touches it ten times a second"""
    uid = USERS[0]
    identities = [come(a, f"nudged {number}", uid, None) for number in range(often(400))]
    folder = _files(a, uid, "x").parent
    folder.mkdir(parents=True)
    own(a.host.path / home(uid), uid)
    seen(a, identities)
    time.sleep(2)

    def nudge(number: int) -> None:
        (folder / f"n{number}").mkdir()
        if number % 5 == 0:
            a.ask("/api/containers/stats")
        time.sleep(0.1)

    return _cost(a, often(60), nudge, Work(4_000, 1 << 20))


def plant_small_rows(a: TreeArena) -> list[str]:
    """Four of the containers of users whose files are lists of very small things."""
    rows, names, spaces, lines = USERS[:4]
    identities = [come(a, f"rows {uid}", uid, None) for uid in USERS]
    now = '{"state":3}'
    many = ",".join(['{"type":""}'] * 330_000)
    several = {
        rows: [(container_id(f"row {number}"), "r", "{}", now) for number in range(13_000)],
        spaces: [(container_id(f"rows {spaces}"), "s", f'{{"spec":{{"linux":{{"namespaces":[{many}]}}}}}}', now)],
    }
    for uid, values in several.items():
        storage(a, uid).mkdir(parents=True)
        with closing(sqlite3.connect(storage(a, uid) / "db.sql")) as db:
            db.executescript(
                "CREATE TABLE ContainerConfig (ID TEXT, Name TEXT, PodID TEXT, JSON TEXT);"
                "CREATE TABLE ContainerState (ID TEXT, State INTEGER, ExitCode INTEGER, JSON TEXT);"
                "CREATE TABLE PodConfig (ID TEXT, Name TEXT, JSON TEXT);"
            )
            db.executemany("INSERT INTO ContainerConfig VALUES (?, ?, NULL, ?)", [each[:3] for each in values])
            db.executemany("INSERT INTO ContainerState VALUES (?, 3, 0, ?)", [(each[0], each[3]) for each in values])
            db.commit()
        assert (storage(a, uid) / "db.sql").stat().st_size < 4 << 20
    (storage(a, names) / "overlay-containers").mkdir(parents=True)
    many = ",".join(f'"{number:05x}"' for number in range(500_000))
    listing = f'[{{"id":"{container_id(f"rows {names}")}","names":[{many}]}}]'
    (storage(a, names) / "overlay-containers/containers.json").write_text(listing)
    lxc = a.host.path / f"{home(lines)}/.local/share/lxc/{container_id(f'rows {lines}')}"
    lxc.mkdir(parents=True)
    (lxc / "config").write_text("\n" * (4 << 20))
    for uid in USERS[:4]:
        own(a.host.path / home(uid), uid)
    seen(a, identities)
    return identities[:4]


def small_rows(a: TreeArena) -> str:
    """lists of very small things: 4 MiB of rows in one user's db.sql, of names in another's containers.json, of
    namespaces in a third's, of lines in a fourth's LXC config
    """
    _, work = everything(a, plant_small_rows(a))
    clean(a)
    return f"every route answers 200, {work}"


def long_numbers(a: TreeArena) -> str:
    """numbers of 400 digits: a user's limit, restarts, exit code and times"""
    uid, digits = USERS[0], "9" * 400
    config = (
        '{"Name":"/%s","RestartCount":%s,"State":{"ExitCode":%s,"StartedAt":"9999-12-31T23:59:59Z"},'
        '"Created":"0001-01-02T00:00:00Z","Config":{"Labels":{"\\ud83d\\ude00":"\\u0000\\u202e"}}}'
    )
    identities = []
    for number, numbers in enumerate((("0", "0"), (digits, "0"), ("0", digits), ("7" * 30, "8" * 30))):
        identities.append(come(a, f"digits {number}", uid, (config % (number, *numbers)).encode()))
        limits = _files(a, uid, identities[-1]) / "hostconfig.json"
        limits.write_text(f'{{"NetworkMode":"{"host" * 9999}","Memory":{digits}}}')
        own(limits.parent, uid)
    seen(a, identities)
    _, work = everything(a, identities)
    clean(a)
    assert not any("Traceback" in line for line in a.log)
    return f"every route answers 200, {work}"


def long_paths(a: TreeArena) -> str:
    """cgroups whose names are long, and many: a user makes 12,000 that are 3,000 letters deep, and 20,000 that are
    called as containers are
    """
    require_root()
    slice_ = a.host.path / f"sys/fs/cgroup/user.slice/user-{USERS[0]}.slice"
    deep = slice_.joinpath(*[letter * 250 for letter in "abcdefghijkl"])
    deep.mkdir(parents=True)
    for number in range(often(12_000)):
        os.mkdir(f"{deep}/{number}")
    for number in range(often(20_000)):
        os.mkdir(f"{slice_}/docker-{number:064x}.scope")
    count = sum(each[0]["ownerUid"] == USERS[0] for each in listed(a).values())
    clean(a)
    unseen(a, [f"{0:064x}"])
    assert count <= 500
    return f"{count} shown as the user's"


ATTACKS = (
    last_words,
    start_events,
    touched,
    comings_and_goings,
    gone_configs,
    event_streams,
    from_the_future,
    many_names,
    nudged,
    small_rows,
    long_numbers,
    long_paths,
)
