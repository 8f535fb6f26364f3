"""What comes from outside is compared as ASCII, everywhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pytest

from cgstatd.basics.text import is_number, lower
from cgstatd.config.kinds import Kind, Switch, whole
from cgstatd.host.runtimes import lxc
from cgstatd.web.security.origin import Hosts
from cgstatd.web.server.peer import certificate_names
from helpers import PROJECT

KELVIN = "\u212a"
CODE = sorted(path for part in ("agent/cgstatd", "cgroups/cgroupfs") for path in Path(PROJECT, part).rglob("*.py"))


def test_only_ascii_letters_have_a_lower_case() -> None:
    assert lower("Kube.EXAMPLE-1") == "kube.example-1"
    assert lower(f"{KELVIN}ube") == f"{KELVIN}ube" != "kube"
    assert all(lower(chr(n)) == chr(n) for n in range(0x80, 0x3000))


@pytest.mark.parametrize("text", ["", "\u0661", "\u00b2", "1\u0661", "-1", "+1", " 1", "1_0", "1" * 19, "1\n"])
def test_a_number_is_ascii_digits(text: str) -> None:
    assert not is_number(text)
    with pytest.raises(ValueError, match="whole number"):
        Kind(Annotated[int, whole(0, 9)]).parse(text)


def test_a_certificate_of_another_spelling_has_another_name() -> None:
    assert certificate_names({"subjectAltName": (("DNS", f"{KELVIN}ube.example.org"),)}) == (
        f"{KELVIN}ube.example.org",
    )
    assert certificate_names({"subject": ((("commonName", f"{KELVIN}ube"),),)}) == (f"{KELVIN}ube",)


def test_a_host_header_of_another_spelling_is_another_host() -> None:
    hosts = Hosts(("dash.kube",))
    assert hosts.allow("DASH.KUBE:80") and not hosts.allow(f"dash.{KELVIN}ube")


def test_a_size_of_another_spelling_is_none() -> None:
    assert lxc._bytes("1K") == lxc._bytes("1k") == 1024
    assert lxc._bytes(f"1{KELVIN}") is None
    assert lxc._bytes("\u0661M") is None


def test_a_switch_of_another_spelling_is_none() -> None:
    with pytest.raises(ValueError, match="true or false"):
        Kind(Switch).parse("fal\u017fe")


def _text_patterns(tree: ast.AST) -> Iterator[tuple[int, str, bool]]:
    """(line, pattern, whether it is ASCII's) of every regular expression over text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            first = node.args[0]
            of_re = isinstance(node.func.value, ast.Name) and node.func.value.id == "re"
            if of_re and isinstance(first, ast.Constant) and isinstance(first.value, str):
                flags = " ".join(map(ast.unparse, [*node.args[1:], *(k.value for k in node.keywords)]))
                yield node.lineno, first.value + ("(?i)" if "IGNORECASE" in flags else ""), "re.ASCII" in flags


def test_no_pattern_takes_digits_or_letters_of_other_scripts() -> None:
    r"""``\d`` in a text pattern matches every script's digits, IGNORECASE takes U+212A for a k."""
    own = {"cgstatd/config/file.py"}  # tomllib's own message, which has the line as Python writes it
    found = [
        f"{_short(path)}:{line}: {pattern}"
        for path in CODE
        for line, pattern, ascii_only in _text_patterns(ast.parse(path.read_text("utf-8")))
        if not ascii_only and re.search(r"\\d|\(\?i\)", pattern) and _short(path) not in own
    ]
    assert not found


def test_no_digits_are_taken_for_ascii_unseen() -> None:
    """``str.isdigit`` and the like of what may be text stand in one place; elsewhere they are asked of bytes."""
    of_bytes = {
        "cgroupfs/formats.py",
        "cgstatd/host/procfs/host_stat.py",
        "cgstatd/host/procfs/meminfo.py",
        "cgstatd/host/procfs/net_dev.py",
        "cgstatd/host/procfs/pid_status.py",
        "cgstatd/host/runtimes/rootless.py",
        "cgstatd/recording/host_files.py",
        "cgstatd/recording/reduced_state.py",
    }
    of_the_kernel = {"cgstatd/doctor/cgroups.py", "cgstatd/host/running_engines.py"}  # decoded as ASCII; names of /proc
    asking = {
        _short(path)
        for path in CODE
        if re.search(r"\.is(digit|decimal|numeric|alnum|alpha)\b", path.read_text("utf-8"))
    }
    assert asking <= {"cgstatd/basics/text.py"} | of_bytes | of_the_kernel


def _short(path: Path) -> str:
    """From its package on."""
    return "/".join(path.relative_to(PROJECT).parts[1:])
