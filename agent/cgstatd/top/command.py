"""The command line of ``cgstatd top``, and the checks before the terminal is taken over."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections.abc import Callable

from ..config import BadConfig
from ..feed.follow.interval_grid import GRID_SECONDS, steps_of
from ..outputs.follow_types import MAXIMUM_SECONDS, MINIMUM_SECONDS

MISSING = f"cgstatd top needs rich: {sys.prefix}/bin/pip install rich"
_SAME = {"net": "network", "block": "disk"}
TOKEN_VARIABLE = "CGSTATD_TOKEN"  # noqa: S105 - its name, not a token


def _interval(text: str) -> int:
    try:
        steps = steps_of(float(text))
    except ValueError:
        steps = None
    if steps is None:
        raise argparse.ArgumentTypeError(f"{text}: expected {MINIMUM_SECONDS:g} to {MAXIMUM_SECONDS:g} seconds")
    return steps


def add_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    add_host_options: Callable[[argparse.ArgumentParser], None],
) -> None:
    """The command's own command line."""
    parser = commands.add_parser("top", help="the containers, live in the terminal: sorted, filtered, with sparklines")
    parser.add_argument("--url", metavar="URL", help="an agent's address, as in http://127.0.0.1:9713 (default: read "
                                                     "this host)")  # fmt: skip
    parser.add_argument("--token-file", metavar="FILE",
                        help=f"a file with the token that the agent demands (default: ${TOKEN_VARIABLE})")  # fmt: skip
    parser.add_argument("--interval", type=_interval, default="1", metavar="SECONDS",
                        help=f"between two rounds, rounded up to {GRID_SECONDS:g} (default: 1)")  # fmt: skip
    parser.add_argument("--sort", type=lambda text: _SAME.get(text, text), default="cpu",
                        choices=("name", "cpu", "memory", "network", "disk", "pids"),
                        help="the column to begin with; net and block work too (default: cpu)")  # fmt: skip
    add_host_options(parser)


def _token(path: str | None) -> str:
    if path is None:
        return os.environ.get(TOKEN_VARIABLE, "").strip()
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except (OSError, UnicodeError) as error:
        raise BadConfig(
            f"--token-file {path}: {error.strerror if isinstance(error, OSError) else 'not text'}"
        ) from None


def run(arguments: argparse.Namespace) -> int:
    """0: left; 2: it could not begin, with the reason."""
    if importlib.util.find_spec("rich") is None:
        print(MISSING, file=sys.stderr)
        return 2
    url: str | None = arguments.url
    if url is not None and not url.startswith(("http://", "https://")):
        raise BadConfig(f"--url {url}: expected an address as in http://127.0.0.1:9713")
    token = _token(arguments.token_file)
    if any(not c.isascii() or not c.isprintable() for c in token):
        raise BadConfig("the token has characters that no token has")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print("cgstatd: top needs a terminal (cgstatd stats prints without one)", file=sys.stderr)
        return 2
    from .app import run_local, run_remote

    if url is not None:
        return run_remote(url.rstrip("/"), token, arguments)
    return run_local(arguments)
