"""``cgstatd config``: print an example, or check a file."""

from __future__ import annotations

import argparse
import os
import sys

import msgspec

from .example import example
from .file import parse_file
from .loading import CONFIG_VARIABLE, contradictions
from .settings import DEFAULT_CONFIG, Settings

MISSING = (
    "no such file, so the defaults hold; `cgstatd config --example` prints one to begin with, `cgstatd config --check "
    "FILE` looks at another"
)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command's own command line."""
    parser = commands.add_parser("config", help="print a documented configuration, or check one")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--example", action="store_true", help="print every key with its meaning and default, as TOML")
    what.add_argument("--check", nargs="?", const="", metavar="FILE",
                      help="say what is wrong with a file, line by line (default: $CGSTATD_CONFIG, else "
                           f"{DEFAULT_CONFIG})")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """0: printed, or nothing is wrong; 2: something is, or there is no such file."""
    if arguments.example:
        print(example(), end="")
        return 0
    path = arguments.check or os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG
    try:
        complaints = check(path)
    except FileNotFoundError:
        print(f"cgstatd: {path}: {MISSING}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"cgstatd: {path}: {error.strerror}", file=sys.stderr)
        return 2
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    if not complaints:
        print(f"{path}: good")
    return 2 if complaints else 0


def check(path: str) -> list[str]:
    """Everything that is wrong with a file. Raises OSError."""
    parsed = parse_file(path)
    if parsed.complaints:
        return parsed.complaints
    settings = msgspec.convert(parsed.values, Settings)
    return [f"{path}:{parsed.lines[key]}: {sentence}" for key, sentence in contradictions(settings)]
