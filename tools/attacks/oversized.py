"""State files that are larger than they look, or many: nothing of it may become the agent's memory."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from contextlib import closing

from attacks.arena import TreeArena, often
from attacks.planted import container, everything, own, until_listed

_GIGABYTE = 1 << 30
_MOST_READ = 4 << 20
_VIEW = """
CREATE VIEW ContainerConfig AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
SELECT printf('%064x', i) AS ID, 'x' AS Name, NULL AS PodID, hex(zeroblob(2000000)) AS JSON FROM n;
CREATE TABLE ContainerState (ID TEXT, State INTEGER, ExitCode INTEGER, JSON TEXT);
CREATE TABLE PodConfig (ID TEXT, Name TEXT, JSON TEXT);
"""


def huge_config(a: TreeArena) -> str:
    """a config.v2.json of 1 GB: a sparse file, and one whose first 16 MiB are JSON as a real one begins, each of the
    system's and of the user's
    """
    wanted = []
    text = b'{"Name":"/huge","Config":{"Labels":{' + b",".join(b'"label-%06d":"value"' % n for n in range(40_000))
    for users in (False, True):
        with container(a, f"sparse {users}", users=users) as folder:
            folder.mkdir()
            with open(folder / "config.v2.json", "wb") as file:
                file.truncate(_GIGABYTE)
        wanted.append(folder.name)
        with container(a, f"huge {users}", users=users) as folder:
            folder.mkdir()
            with open(folder / "config.v2.json", "wb") as file:
                while file.tell() < 4 * _MOST_READ:
                    file.write(text)
                file.truncate(_GIGABYTE)  # what is read beyond would be a gigabyte, whatever stands there
        wanted.append(folder.name)
    found = until_listed(a, wanted)
    _, work = everything(a, wanted)
    assert {found[each][0]["name"] for each in wanted} == {each[:12] for each in wanted}
    assert a.logged("larger than")
    for each in a.host.path.rglob("config.v2.json"):
        if each.stat().st_size == _GIGABYTE:
            each.unlink()
    return f"not read (over 4 MiB): shown by their short ids, logged; {work} for an answer"


def crowd(a: TreeArena) -> str:
    """500 configs that are as large as is read: 4 MiB of a user's small labels each, all of them links to one file"""
    config = a.host.path / "home/ann/labels.json"
    labels = b",".join(b'"%06x":""' % number for number in range(340_000))
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_bytes(b'{"Name":"/crowd","Config":{"Labels":{' + labels + b"}}}")
    assert 3 << 20 < config.stat().st_size < 4 << 20
    wanted = []
    shutil.rmtree(a.host.path / "sys/fs/cgroup/user.slice", ignore_errors=True)
    for number in range(often(500)):
        with container(a, f"crowd {number}", users=True) as folder:
            folder.mkdir()
            os.link(config, folder / "config.v2.json")
        wanted.append(folder.name)
    found = until_listed(a, wanted)
    _, work = everything(a, wanted[:10])
    named = sum(found[each][0]["name"] == "crowd" for each in wanted)
    assert 1 <= named <= 20 and a.logged("bytes a second")
    shutil.rmtree(a.host.path / "sys/fs/cgroup/user.slice")
    shutil.rmtree(a.host.path / "home/ann")
    return (
        f"{named} read (1 MiB a second), without their labels, the others shown by their short ids; "
        f"{work} for an answer"
    )


def database(a: TreeArena) -> str:
    """a database of 12 kB that makes up 1.2 GB: a view for ContainerConfig in a user's db.sql of Podman"""
    storage = a.host.path / "home/ann/.local/share/containers/storage"
    storage.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(storage / "db.sql")) as db:
        db.executescript(_VIEW)
        db.commit()
    size = (storage / "db.sql").stat().st_size
    own(a.host.path / "home/ann")
    with container(a, "view", users=True, engine="libpod") as folder:
        folder.mkdir()  # empty: Podman's database has all. Another engine's container is not looked for in there
    found = until_listed(a, [folder.name])
    said, _ = everything(a, [folder.name])
    while b"more comes out of it" not in said:
        time.sleep(1)  # what this user's files may cost in reading was used up by the attack before
        said, _ = everything(a, [folder.name])
    assert found[folder.name][0]["name"] == folder.name[:12] and b"more comes out of it" in said
    return f"{size >> 10} KiB, given up as soon as more comes out than is in it: shown by its short id, logged"
