"""A host made of a few files: in memory with its owners and modes (pyfakefs), or a real one where a FIFO is needed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from pyfakefs.fake_filesystem import FakeFilesystem
from pyfakefs.helpers import reset_ids, set_gid, set_uid

from cgroupfs import Root

Write = Callable[..., str]


@pytest.fixture
def host(fs: FakeFilesystem) -> Iterator[FakeFilesystem]:
    """An empty fake file system, as root whoever runs the tests."""
    set_uid(0)
    set_gid(0)
    yield fs
    reset_ids()


@pytest.fixture
def write(host: FakeFilesystem) -> Write:
    """write(path, content, uid=0, mode=0o644): make or replace a file by renaming a new one over it, as runtimes do."""

    def write(path: str, content: str | bytes, uid: int = 0, mode: int = 0o644) -> str:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        data = content.encode() if isinstance(content, str) else content
        temporary = path + ".new"
        with open(temporary, "wb") as file:
            file.write(data)
        os.chmod(temporary, mode)
        os.chown(temporary, uid, uid)
        os.rename(temporary, path)
        return path

    return write


@pytest.fixture
def real_root(tmp_path: Path) -> Root:
    """A host root in a real directory, owned by whoever runs the tests."""
    return Root(str(tmp_path))


@pytest.fixture
def plain_user() -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Real permissions (pyfakefs's os.open changes modes): ``with plain_user():`` is uid 1000 below a 0755 root."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become another user")

    @contextmanager
    def plain_user() -> Iterator[None]:
        groups, gid = os.getgroups(), os.getegid()
        os.setgroups([])
        os.setegid(1000)
        os.seteuid(1000)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(gid)
            os.setgroups(groups)

    yield plain_user


@pytest.fixture
def open_root() -> Iterator[Root]:
    """A host root that other users can enter, as pytest's own temporary directories cannot be."""
    with tempfile.TemporaryDirectory() as path:
        os.chmod(path, 0o755)
        yield Root(path)
