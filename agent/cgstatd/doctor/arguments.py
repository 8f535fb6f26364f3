"""The command line of ``cgstatd doctor``, apart from what it does: every command's start pays for what is imported."""

from __future__ import annotations

import argparse


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """The command's own command line; the caller adds how a host is read."""
    parser = commands.add_parser("doctor", help="say what can be read on this host, what is missing, and what to do")
    parser.add_argument("--json", action="store_true", help="the same as one JSON object")
    parser.add_argument("--compare-docker", nargs="?", const="", metavar="SOCKET",
                        help="ask a running Docker or Podman for its own figures and compare: the only time that an "
                             "engine is asked (default: the usual sockets)")  # fmt: skip
    return parser
