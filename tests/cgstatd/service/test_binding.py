"""Where the Engine API's socket may be, and whose mode and group are set."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from cgstatd.basics.errors import BadSetting
from cgstatd.service import binding
from cgstatd.service.binding import bind_docker_socket
from cgstatd.web.server.listener import UnixSocket

USER = 12345
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a directory of another user")


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    file = tmp_path / "shadow"
    file.write_text("secret")
    file.chmod(0o600)
    return file


@pytest.fixture
def replaced(victim: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner of the directory puts a link in the place of each socket as soon as it is bound."""

    class Replaced(UnixSocket):
        def __init__(self, path: str) -> None:
            super().__init__(path)
            os.unlink(path)
            os.symlink(victim, path)

    monkeypatch.setattr(binding, "UnixSocket", Replaced)


def place(tmp_path: Path, kind: str) -> Path:
    """A directory in which another user can replace files, or one that is below such a one."""
    made = tmp_path / "theirs"
    made.mkdir()
    if kind == "owned":
        os.chown(made, USER, USER)
    elif kind == "below":
        os.chown(made, USER, USER)
        made = made / "ours"
        made.mkdir(mode=0o700)
    elif kind == "linked":
        os.symlink(tmp_path, made / "link")
        os.chown(made / "link", USER, USER, follow_symlinks=False)
        made = made / "link"
    else:
        made.chmod(0o777 if kind == "open" else 0o775)
    return made


@pytest.mark.usefixtures("replaced")
@pytest.mark.parametrize(
    "kind", ["open", "group", *(pytest.param(each, marks=as_root) for each in ("owned", "below", "linked"))]
)
def test_in_another_users_directory_there_is_no_socket_and_no_file_gets_its_mode(
    tmp_path: Path, victim: Path, kind: str
) -> None:
    path = place(tmp_path, kind) / "docker.sock"
    with pytest.raises(BadSetting, match="a socket is not safe there"):
        bind_docker_socket(str(path), "0666", str(os.getegid()))
    assert stat.S_IMODE(victim.stat().st_mode) == 0o600 and not os.path.lexists(path)


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o1777])
def test_where_nobody_else_can_replace_it_it_has_its_mode(tmp_path: Path, mode: int) -> None:
    made = tmp_path / "ours"
    made.mkdir()
    made.chmod(mode)
    with bind_docker_socket(f"{made}/docker.sock", "0660", str(os.getegid())):
        assert stat.S_IMODE(os.lstat(made / "docker.sock").st_mode) == 0o660
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(made)
        with bind_docker_socket("relative.sock", "0600", ""):
            assert (made / "relative.sock").is_socket()
