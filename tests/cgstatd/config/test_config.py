"""The configuration: file, environment and flags, and what is said of each mistake."""

from __future__ import annotations

import argparse
import logging
import os
import re
import tomllib
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from cgstatd.cli.main import make_parser
from cgstatd.config import BadConfig, Settings, load
from cgstatd.config.command import MISSING, check
from cgstatd.config.example import example, toml
from cgstatd.config.file import parse
from cgstatd.config.settings import OPTIONS
from wire import run


def loaded(text: str, tmp_path: Path, *flags: str, **environment: str) -> Settings:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    return load(make_parser().parse_args(["serve", "--config", str(path), *flags]), environment)


def serve_flags() -> dict[str, argparse.Action]:
    """Destination -> action of every flag of serve."""
    [commands] = [a for a in make_parser()._actions if isinstance(a, argparse._SubParsersAction)]
    return {action.dest: action for action in commands.choices["serve"]._actions if action.option_strings}


# -- one table for all


def test_every_flag_of_serve_has_its_key_variable_and_documentation() -> None:
    flags = serve_flags()
    assert set(flags) - {"help", "config"} == {option.name for option in OPTIONS}
    for option in OPTIONS:
        assert option.flag in flags[option.name].option_strings
        assert flags[option.name].help
        assert f"\n#{option.name} = " in example()
        assert f"# Also {option.variable} and {option.flag}.\n" in example()


def test_every_setting_is_an_option() -> None:
    assert [field.name for field in msgspec.structs.fields(Settings)] == [option.name for option in OPTIONS]


def test_the_example_is_good_as_it_is_and_changes_nothing(tmp_path: Path) -> None:
    assert parse("x", example()).complaints == []
    assert loaded(example(), tmp_path) == Settings()


def test_the_example_is_good_with_every_line_in_force(tmp_path: Path) -> None:
    (tmp_path / "all.toml").write_text(re.sub(r"(?m)^#(?=[a-z_]+ = )", "", example()), encoding="utf-8")
    assert check(str(tmp_path / "all.toml")) == []
    assert set(tomllib.loads((tmp_path / "all.toml").read_text())) == {option.name for option in OPTIONS}


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_default_is_allowed(option: object) -> None:
    assert isinstance(option, type(OPTIONS[0]))
    if option.default not in ("", ()):
        assert parse("x", f"{option.name} = {toml(option.default)}").values == {option.name: option.default}


# -- what overrides what


def test_file_then_environment_then_flag(tmp_path: Path) -> None:
    text = 'env_id = 2\nbaseline = 3\nfreshness = 4\nlisten = ["127.0.0.1:1"]\n'
    settings = loaded(text, tmp_path, "--freshness", "9", CGSTATD_FRESHNESS="8", CGSTATD_BASELINE="7")
    assert (settings.env_id, settings.baseline, settings.freshness) == (2, 7.0, 9.0)
    assert settings.listen == ("127.0.0.1:1",)


def test_lists_are_replaced_not_joined(tmp_path: Path) -> None:
    text = 'listen = ["127.0.0.1:1", "127.0.0.1:2"]'
    assert loaded(text, tmp_path, CGSTATD_LISTEN="[::1]:3, unix:/x").listen == ("[::1]:3", "unix:/x")
    assert loaded(text, tmp_path, "--listen", "[::1]:4", CGSTATD_LISTEN="[::1]:3").listen == ("[::1]:4",)


def test_a_flag_turns_off_what_the_file_turned_on(tmp_path: Path) -> None:
    assert loaded("services = true", tmp_path).services
    assert not loaded("services = true", tmp_path, "--no-services").services
    assert not loaded("services = true", tmp_path, CGSTATD_SERVICES="off").services


def test_no_file_is_no_mistake_unless_it_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cgstatd.config.loading.DEFAULT_CONFIG", str(tmp_path / "none.toml"))
    assert load(None, {}) == Settings()
    with pytest.raises(BadConfig, match=r"none\.toml: no such file; `cgstatd config --example` prints one"):
        load(argparse.Namespace(config=str(tmp_path / "none.toml")), {})
    with pytest.raises(BadConfig, match=r"other\.toml: no such file"):
        load(None, {"CGSTATD_CONFIG": str(tmp_path / "other.toml")})


def test_an_empty_variable_says_nothing() -> None:
    assert load(None, {"CGSTATD_ENV_ID": "", "CGSTATD_CONFIG": ""}).env_id == 1


# -- mistakes


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("\n\nenv-id = 3", "f:3: env-id: unknown key; did you mean env_id?"),
        ("lissten = []", "f:1: lissten: unknown key; did you mean listen?"),
        ("zzz = 1", "f:1: zzz: unknown key; `cgstatd config --example` lists the keys"),
        ('baseline = "soon"', 'f:1: baseline = "soon": expected seconds between 0 and 86400'),
        ("baseline = nan", "f:1: baseline = nan: expected seconds between 0 and 86400"),
        ("baseline = true", "f:1: baseline = true: expected seconds between 0 and 86400"),
        ("env_id = 1.5", "f:1: env_id = 1.5: expected a whole number between 0 and 999999999"),
        ("services = 1", "f:1: services = 1: expected true or false"),
        ('log_level = "loud"', 'f:1: log_level = "loud": expected one of debug, info, warning, error'),
        ('listen = [\n  "[::1]:1",\n  # no\n  "nowhere",\n]', 'f:4: listen = "nowhere": expected a list of: HOST:PORT'),
        ('listen = "nowhere"', 'f:1: listen = "nowhere": expected a list of: HOST:PORT'),
        ('a = """\n\n"""\nenv_id = -1', "f:4: env_id = -1: expected a whole number"),
        ('allowed_origins = ["*"]', 'f:1: allowed_origins = "*": expected a list of: a page\'s origin'),
        ('allowed_origins = ["https://a.b/"]', 'f:1: allowed_origins = "https://a.b/": expected'),
        ('allowed_hosts = ["a:80"]', 'f:1: allowed_hosts = "a:80": expected a list of: a host name without port'),
        ('notify_url = "ftp://example.org"', 'f:1: notify_url = "ftp://example.org": expected https://HOST'),
        ('notify_url = "https://user:pw@example.org/"', "f:1: notify_url = "),
        ('notify_url = "https://example.org/#x"', "f:1: notify_url = "),
        ("# x\n[tls]\ncert = 1", "f:2: tls: no table is known here; did you mean tls_key?"),
        ("[[limits]]\nlisten = 1", "f:1: limits: unknown key;"),
        ("env_id = 1\nenv_id = 2", "f:2: not TOML: cannot overwrite a value"),
        ("env_id = 1\nlisten = [\n", "f:3: not TOML: "),
        ("env_id =\n", "f:1: not TOML: invalid value"),
        ("env_id = " + "[" * 100_000, "f: not TOML: nested too deeply"),
        ("x = 1\nenv_id = " + "9" * 5000, "f:2: not TOML: exceeds the limit"),
        ("env_id = 0x" + "f" * 5000, "f:1: env_id = a number of thousands of digits: expected a whole number"),
        ("listen = [0x" + "f" * 5000 + "]", "f:1: listen = a number of thousands of digits: expected a list of"),
        ("env_id = [[0x" + "f" * 5000 + "]]", "f:1: env_id = a number of thousands"),
        ("x" + ".x" * 500 + " = 1", "f:1: x: no table is known here"),
    ],
)
def test_a_mistake_is_told_with_line_value_and_what_is_allowed(text: str, complaint: str) -> None:
    assert any(found.startswith(complaint) for found in parse("f", text).complaints), parse("f", text).complaints


def test_all_mistakes_are_told_at_once() -> None:
    text = 'env_id = "a"\r\nbaseline = -1\r\nbaselin = 2\r\nfreshness = 1\r\n'
    parsed = parse("f", text)
    assert [complaint.split(":")[1] for complaint in parsed.complaints] == ["1", "2", "3"]
    assert parsed.values == {"freshness": 1.0}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('tls_cert = "a"', ":1: tls_cert needs tls_key beside it"),
        ('\ntls_key = "a"', ":2: tls_key needs tls_cert beside it"),
        ('tls_client_ca = "a"', ":1: tls_client_ca needs tls_cert"),
        ('tls_client_names = ["a"]', ":1: tls_client_names needs tls_client_ca"),
        ('notify_secret_file = "/etc/x"', ":1: notify_secret_file needs notify_url"),
        ('notify_url = "http://e.org/"\nnotify_ca = "/etc/x"', ":2: notify_ca needs a notify_url with https"),
        ("listen = []", ":1: listen is empty"),
    ],
)
def test_contradictions_are_told(text: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    assert any(found.startswith(f"{path}{complaint}") for found in check(str(path)))


def test_what_is_no_text_and_what_is_too_large_is_told(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"# a\n# \xe9\n")
    assert check(str(tmp_path / "latin")) == [f"{tmp_path}/latin:2: not UTF-8"]
    (tmp_path / "large").write_bytes(b"#" * 300_000)
    assert "larger than" in check(str(tmp_path / "large"))[0]


def test_a_fifo_is_no_configuration_and_nobody_waits_for_its_writer(tmp_path: Path) -> None:
    fifo = tmp_path / "config.toml"
    os.mkfifo(fifo)
    with pytest.raises(OSError, match="not a regular file"):
        check(str(fifo))
    with pytest.raises(BadConfig, match="not a regular file"):
        load(argparse.Namespace(config=str(fifo)), {})
    with pytest.raises(IsADirectoryError):
        check(str(tmp_path))


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5000, "1e99999", "-" + "9" * 5000])
def test_no_variable_and_no_flag_is_a_traceback(text: str) -> None:
    for option in OPTIONS:
        with suppress(BadConfig):
            load(environment={option.variable: text})


def test_a_bad_variable_and_a_bad_flag_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=r"CGSTATD_BASELINE=x: expected seconds between 0 and 86400"):
        load(None, {"CGSTATD_BASELINE": "x"})
    with pytest.raises(BadConfig, match=r"--env-id 1e3: expected a whole number"):
        loaded("", tmp_path, "--env-id", "1e3")


def test_a_misspelt_variable_is_mentioned_and_a_stranger_is_not(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        load(None, {"CGSTATD_FRESHNES": "1", "CGSTATD_PORT_9713_TCP": "tcp://10.0.0.1:9713"})
    assert [r.getMessage() for r in caplog.records] == [
        "CGSTATD_FRESHNES in the environment means nothing; did you mean CGSTATD_FRESHNESS?"
    ]


# -- the command


def test_config_example_and_check_from_the_command_line(tmp_path: Path) -> None:
    printed = run("config", "--example")
    assert (printed.returncode, printed.stdout) == (0, example())
    path = tmp_path / "config.toml"
    path.write_text(printed.stdout)
    good = run("config", "--check", str(path))
    assert (good.returncode, good.stdout) == (0, f"{path}: good\n")
    path.write_text("env-id = 1\n")
    bad = run("config", "--check", CGSTATD_CONFIG=str(path))
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr == f"{path}:1: env-id: unknown key; did you mean env_id?\n"
    none = run("config", "--check", str(tmp_path / "none"))
    assert (none.returncode, none.stderr) == (2, f"cgstatd: {tmp_path}/none: {MISSING}\n")
