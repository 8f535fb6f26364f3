"""Tokens: made, listed, revoked and rotated on disk, and noticed by a running agent."""

from __future__ import annotations

import json
import logging
import os
import stat
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from cgstatd.auth import failures as failures_module
from cgstatd.auth import store
from cgstatd.auth.failures import MAX_FAILURES, Failures
from cgstatd.auth.keyring import Keyring, default_path
from cgstatd.auth.tokens import PREFIX, BadTokens, digest
from cgstatd.basics import file_look
from wire import COMMAND, ENVIRONMENT, run

VIEW = ["containers:view"]


class Clock:
    """Goes on when told."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "etc" / "tokens.json")


@pytest.fixture
def clock() -> Clock:
    return Clock()


# -- the file


def test_a_token_is_256_random_bits_and_only_its_digest_is_stored(path: str) -> None:
    secret = store.add(path, "central", [1], VIEW)
    assert secret.startswith(PREFIX) and len(secret) == len(PREFIX) + 43
    raw = Path(path).read_text()
    assert secret not in raw and secret[len(PREFIX) :] not in raw
    [token] = json.loads(raw)["tokens"]
    assert token["sha256"] == digest(secret)
    assert (token["name"], token["env"], token["allow"]) == ("central", [1], VIEW)
    assert store.add(path, "other", [1], VIEW) != secret


def test_the_file_is_for_its_owner_only_and_nothing_is_left_beside_it(path: str) -> None:
    store.add(path, "a", [1], VIEW)
    store.rotate(path, "a")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert os.listdir(os.path.dirname(path)) == ["tokens.json"]


def test_owner_group_and_read_rights_of_the_file_stay(path: str) -> None:
    store.add(path, "a", [1], VIEW)
    os.chmod(path, 0o640)
    if os.geteuid() == 0:
        os.chown(path, 0, 65534)
    before = os.stat(path)
    store.add(path, "b", [1], VIEW)
    after = os.stat(path)
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


def test_a_link_to_where_secrets_are_kept_stays_a_link(tmp_path: Path) -> None:
    real, link = str(tmp_path / "real.json"), str(tmp_path / "link.json")
    store.add(real, "a", [1], VIEW)
    os.symlink(real, link)
    store.add(link, "b", [1], VIEW)
    assert os.path.islink(link)
    assert [token.name for token in store.read(real)[0].tokens] == ["a", "b"]


def test_a_change_that_fails_leaves_the_file_as_it_was(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store.add(path, "a", [1], VIEW)
    before = Path(path).read_bytes()
    with monkeypatch.context() as patched, pytest.raises(OSError, match="disk full"):

        def full(*_: object) -> None:
            raise OSError("disk full")

        patched.setattr(os, "replace", full)
        store.revoke(path, "a")
    assert Path(path).read_bytes() == before
    assert os.listdir(os.path.dirname(path)) == ["tokens.json"]


def test_writers_wait_for_each_other(path: str) -> None:
    threads = [threading.Thread(target=store.add, args=(path, f"t{n}", [1], VIEW)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.read(path)[0].tokens) == 20


@pytest.mark.parametrize("name", ["", "a b", "a\n", "-a", "ä", "a" * 65, "../x"])
def test_a_name_is_fit_for_a_log(path: str, name: str) -> None:
    with pytest.raises(BadTokens, match="expected up to 64 letters"):
        store.add(path, name, [1], VIEW)
    assert not os.path.exists(path)


@pytest.mark.parametrize("allow", [[], ["containers:write"], ["containers:view", ""]])
def test_an_unknown_permission_is_refused(path: str, allow: list[str]) -> None:
    with pytest.raises(BadTokens, match="expected some of containers:view, metrics:view"):
        store.add(path, "a", [1], allow)


def test_a_name_is_taken_once_and_must_be_there(path: str) -> None:
    store.add(path, "a", [1], VIEW)
    with pytest.raises(BadTokens, match="there is a token a already; `cgstatd token rotate a`"):
        store.add(path, "a", [1], VIEW)
    for change in (store.revoke, store.rotate):
        with pytest.raises(BadTokens, match=r"there is no token b \(there are: a\)"):
            change(path, "b")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "truncated"),
        (b"{", "truncated"),
        (b"[]", "Expected `object`"),
        (b'{"tokens": 1}', "Expected `array`"),
        (b'{"tokens": [{}]}', "missing required field"),
        (b'{"token": []}', "unknown field"),
        (b'{"tokens": [%s]}', "malformed"),
        (b"\xff", "malformed"),
        (b" " * (2 << 20), "larger than"),
    ],
)
def test_a_broken_file_is_refused(path: str, raw: bytes, reason: str) -> None:
    store.add(path, "a", [1], VIEW)
    Path(path).write_bytes(raw)
    with pytest.raises(BadTokens, match=f"{path}: .*{reason}"):
        store.read(path)


def test_a_digest_that_is_none_and_a_name_twice_are_refused(path: str) -> None:
    store.add(path, "a", [1], VIEW)
    good = json.loads(Path(path).read_text())
    for change, reason in (
        ({"sha256": "abc"}, "64 hexadecimal"),
        ({"name": "a b"}, "letters"),
        ({"allow": []}, "some"),
    ):
        Path(path).write_text(json.dumps({"tokens": [good["tokens"][0] | change]}))
        with pytest.raises(BadTokens, match=rf"tokens\[0\].*{reason}"):
            store.read(path)
    Path(path).write_text(json.dumps({"tokens": good["tokens"] * 2}))
    with pytest.raises(BadTokens, match="a second token is named a"):
        store.read(path)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write_is_refused(path: str, mode: int) -> None:
    store.add(path, "a", [1], VIEW)
    os.chmod(path, mode)
    with pytest.raises(BadTokens, match="others than root could write themselves a token"):
        store.read(path)


def test_a_pipe_is_no_tokens_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    with pytest.raises(BadTokens, match="not a regular file"):
        store.read(str(tmp_path / "fifo"))


# -- the running agent


def test_revoking_is_noticed_within_a_second(path: str, clock: Clock) -> None:
    secret, other = store.add(path, "central", [1], VIEW), store.add(path, "other", [1], VIEW)
    keyring = Keyring(path, clock)
    token = keyring.find(secret)
    assert token is not None and token.name == "central"
    store.revoke(path, "central")
    clock.now += 1.0
    assert keyring.find(secret) is None
    assert keyring.by_digest(token.sha256) is None
    assert keyring.revoked_name(secret) == "central"
    assert keyring.find(other) is not None


def test_a_revocation_within_the_same_tick_as_the_latest_look_is_noticed(
    path: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its new file may have the inode, the size and the times of the old one."""
    secret, other = store.add(path, "central", [1], VIEW), store.add(path, "another", [1], VIEW)
    monkeypatch.setattr(file_look, "version_of", lambda found: (1,))
    keyring = Keyring(path, clock, lambda: os.stat(path).st_ctime_ns + 2_000_000)
    assert keyring.find(secret) and keyring.find(other)
    store.revoke(path, "central")
    clock.now += 1.0
    assert keyring.find(secret) is None and keyring.find(other)


def test_after_a_rotation_the_old_value_is_refused_and_the_new_one_taken(path: str, clock: Clock) -> None:
    old = store.add(path, "central", [1], VIEW)
    keyring = Keyring(path, clock)
    assert keyring.find(old)
    new = store.rotate(path, "central")
    clock.now += 1.0
    assert keyring.find(old) is None
    assert keyring.find(new)


def test_the_file_is_looked_at_once_a_second_and_read_when_it_changed(
    path: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = store.add(path, "a", [1], VIEW)
    keyring = Keyring(path, clock, lambda: time.time_ns() + 1_000_000_000)
    looks: list[str] = []
    stat_of = os.stat
    assert keyring.find(secret)

    def stat(*a: Any, **k: Any) -> os.stat_result:
        looks.append("stat")
        return stat_of(*a, **k)

    monkeypatch.setattr(os, "stat", stat)
    monkeypatch.setattr(store, "decode", lambda *_: pytest.fail("read again"))
    for _ in range(1000):
        assert keyring.find(secret)
    assert looks == []
    clock.now += 1.0
    assert keyring.find(secret)
    assert looks == ["stat"]


@pytest.mark.parametrize("how", ["broken", "gone", "writable"])
def test_a_file_that_becomes_unusable_lets_nobody_in_and_says_so_once(
    path: str, clock: Clock, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    secret = store.add(path, "a", [1], VIEW)
    keyring = Keyring(path, clock)
    assert keyring.find(secret)
    before = Path(path).read_bytes()
    if how == "broken":
        Path(path).write_bytes(before[:40])
    elif how == "gone":
        os.unlink(path)
    else:
        os.chmod(path, 0o622)
    for _ in range(3):
        clock.now += 1.0
        assert keyring.find(secret) is None
    assert keyring.present
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1 and path in errors[0].getMessage() and secret not in caplog.text
    Path(path).write_bytes(before)
    os.chmod(path, 0o600)
    clock.now += 1.0
    assert keyring.find(secret)


def test_a_file_that_appears_later_is_noticed(path: str, clock: Clock) -> None:
    keyring = Keyring(path, clock)
    assert len(keyring) == 0 and not keyring.present
    secret = store.add(path, "a", [1], VIEW)
    clock.now += 1.0
    assert keyring.find(secret) and keyring.present


@pytest.mark.parametrize("secret", ["", "x" * 1_000_000, "\udcff", "cgs_", "ä"])
def test_nonsense_is_no_token(path: str, secret: str) -> None:
    store.add(path, "a", [1], VIEW)
    keyring = Keyring(path)
    assert keyring.find(secret) is None
    assert keyring.revoked_name(secret) == ""


def test_what_systemd_hands_over_comes_before_the_usual_file(tmp_path: Path) -> None:
    assert default_path({}) == default_path({"CREDENTIALS_DIRECTORY": str(tmp_path)}) == "/etc/cgstatd/tokens.json"
    (tmp_path / "tokens").touch()
    assert default_path({"CREDENTIALS_DIRECTORY": str(tmp_path)}) == f"{tmp_path}/tokens"


# -- those who guess


def test_failures_are_counted_by_address_for_a_minute(clock: Clock) -> None:
    failures = Failures(clock)
    assert [failures.add("a")[0] for _ in range(MAX_FAILURES + 1)] == list(range(1, MAX_FAILURES + 2))
    assert failures.add("b") == (1, 60.0)
    clock.now += 59
    assert failures.add("a") == (MAX_FAILURES + 2, 1.0)
    clock.now += 1
    assert failures.add("a") == (1, 60.0)


def test_the_table_of_addresses_is_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures_module, "MAX_ADDRESSES", 10)
    failures = Failures(clock)
    for number in range(1000):
        failures.add(str(number))
    assert len(failures) == 10


# -- the command


def test_token_new_list_rotate_revoke_from_the_command_line(path: str) -> None:
    def token(*arguments: str) -> tuple[int, str, str]:
        ran = run("token", "--tokens", path, *arguments)
        return ran.returncode, ran.stdout, ran.stderr

    code, secret, said = token("new", "--name", "central", "--env", "1", "--env", "2", "--allow",
                               "containers:view,metrics:view")  # fmt: skip
    assert code == 0 and secret.startswith(PREFIX) and secret.count("\n") == 1
    assert "shown this once" in said and secret.strip() not in said and "it is the first" in said
    code, listed, _ = token("list")
    assert code == 0 and secret.strip() not in listed
    assert listed.splitlines()[1].split()[:3] == ["central", "1,2", "containers:view,metrics:view"]
    code, rotated, _ = token("rotate", "central")
    assert code == 0 and rotated != secret
    assert token("revoke", "central")[0] == 0
    assert token("revoke", "central")[::2] == (2, "cgstatd: there is no token central (there are: none)\n")
    assert token("new", "--name", "x y")[0] == 2
    assert token("new", "--name", "x", "--allow", "root")[0] == 2


@pytest.mark.parametrize(
    ("configured", "said", "not_said"),
    [
        ("", ("listens beyond loopback by a flag, a variable or a socket unit", "rm {}"), "WARNING"),
        ("liste = 1\n", ("listens beyond loopback by a flag",), "WARNING"),  # one that is broken
        ('listen = ["127.0.0.1:9713", "unix:/run/x", "localhost:1", "[::1]:1"]\n', ("rm {}",), "WARNING"),
        (
            'listen = ["127.0.0.1:9713", "0.0.0.0:9713"]\n',
            ("0.0.0.0:9713", "will refuse to start at its next"),
            "rm {}",
        ),
        ('listen = ["[::]:1"]\n', ("[::]:1", "cgstatd token new --name central", "tls_client_ca"), "rm {}"),
        ('listen = ["host.example.org:1"]\n', ("host.example.org:1", "will refuse to start at its next"), "rm {}"),
        (
            'listen = ["0.0.0.0:1"]\ntls_cert = "/a"\ntls_key = "/b"\ntls_client_ca = "/c"\n',
            ("client certificates alone", "rm {}"),
            "will refuse",
        ),
    ],
)
def test_revoking_the_last_token_says_what_that_means_for_the_next_start(
    path: str, tmp_path: Path, configured: str, said: tuple[str, ...], not_said: str
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(configured)
    for name in ("a", "b"):
        store.add(path, name, [1], VIEW)
    revoke = ("token", "--config", str(config), "--tokens", path, "revoke")
    first, last = run(*revoke, "a"), run(*revoke, "b")
    assert (first.returncode, first.stderr) == (0, "revoked a; running agents notice within a second\n")
    assert last.returncode == 0 and last.stderr.splitlines()[0] == "revoked b; running agents notice within a second"
    assert "it was the last token: no client is answered any more, not even on loopback" in last.stderr
    assert all(each.format(path) in last.stderr for each in said), last.stderr
    assert not_said.format(path) not in last.stderr and store.read(path)[0].tokens == ()


@pytest.mark.parametrize("out", [">&-", ">/dev/full"])
@pytest.mark.parametrize("action", ["rotate central", "new --name other"])
def test_a_value_that_cannot_be_shown_changes_nothing(path: str, action: str, out: str) -> None:
    old = store.add(path, "central", [1], VIEW)
    before = Path(path).read_bytes()
    shell = ["sh", "-c", f'exec "$@" {out}', "sh", *COMMAND, "token", "--tokens", path, *action.split()]
    ran = subprocess.run(shell, capture_output=True, encoding="utf-8", env=ENVIRONMENT, check=False, timeout=60)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("cgstatd: standard output: ") and ran.stderr.count("\n") == 1, ran.stderr
    assert ran.stderr.endswith("; nothing was changed\n")
    assert Path(path).read_bytes() == before and os.listdir(os.path.dirname(path)) == ["tokens.json"]
    assert Keyring(path).find(old)


def test_a_new_value_is_shown_before_the_old_one_ends(path: str) -> None:
    old = store.add(path, "central", [1], VIEW)
    shown: list[tuple[str, bool]] = []
    new = store.rotate(path, "central", lambda secret: shown.append((secret, Keyring(path).find(old) is not None)))
    assert shown == [(new, True)]
    assert Keyring(path).find(old) is None and Keyring(path).find(new)


# -- a fleet


def test_the_default_is_the_configured_environment(path: str, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'env_id = 7\ntokens = "{path}"\n')
    token = ("token", "--config", str(config))
    assert run(*token, "new", "--name", "a").returncode == 0
    assert run(*token, "new", "--name", "b", "--env", "3").returncode == 0
    assert run(*token, "new", "--name", "c", "--env", "3", "--env", "any").returncode == 0
    assert run(*token, "new", "--name", "d", CGSTATD_ENV_ID="9").returncode == 0
    assert [each.env for each in store.read(path)[0].tokens] == [(7,), (3,), "any", (9,)]
    assert [line.split()[1] for line in run(*token, "list").stdout.splitlines()[1:]] == ["7", "3", "any", "9"]
    refused = run(*token, "new", "--name", "e", "--env", "all")
    assert refused.returncode == 2 and "all: expected a whole number, as in 1, or any" in refused.stderr


def test_a_token_of_another_host_is_made_known_by_its_digest(path: str, tmp_path: Path) -> None:
    secret = store.add(path, "central", "any", VIEW)
    [listed] = json.loads(run("token", "--tokens", path, "list", "--json").stdout)["tokens"]
    assert listed["sha256"] == digest(secret) and listed["env"] == "any"
    elsewhere = str(tmp_path / "elsewhere.json")
    known = ("token", "--tokens", elsewhere, "import", "--name", "central", "--env", "any", "--sha256")
    first, again = run(*known, listed["sha256"]), run(*known, listed["sha256"])
    assert (first.returncode, first.stdout, again.returncode, again.stdout) == (0, "changed\n", 0, "unchanged\n")
    assert secret not in Path(elsewhere).read_text()
    found = Keyring(elsewhere).find(secret)
    assert found is not None and found.holds(123)
    other = run(*known, "0" * 64)
    assert other.returncode == 2 and "with --replace this one takes its place" in other.stderr
    assert run(*known, "0" * 64, "--replace").stdout == "changed\n"
    assert Keyring(elsewhere).find(secret) is None
    mistaken = run(*known, secret)
    assert mistaken.returncode == 2 and secret not in mistaken.stderr and "64 hexadecimal" in mistaken.stderr


def test_one_value_is_one_token(path: str) -> None:
    """Else revoking one of the two names would leave the other."""
    secret = store.add(path, "a", [1], VIEW)
    before = Path(path).read_bytes()
    with pytest.raises(BadTokens, match="b has the SHA-256 of a: one value is one token"):
        store.make_known(path, "b", digest(secret), [1], VIEW)
    assert Path(path).read_bytes() == before
