"""The command line. Exit codes: 0 done; 1 a named container was not found; 2 nothing could be done, with the reason."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from cgroupfs import NoCgroups

from . import __version__, logs
from .host import HostOptions
from .recorded import NotRecorded
from .sampler import ListingFailed

DEFAULT_LISTEN = "127.0.0.1:9713"


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 86_400:
        raise argparse.ArgumentTypeError(f"{text}: expected seconds between 0 and 86400")
    return value


def _interval(text: str) -> float:
    value = _seconds(text)
    if value < 0.1:
        raise argparse.ArgumentTypeError(
            f"{text}: expected at least 0.1 seconds, the shortest window CPU is measured over"
        )
    return value


def _env_id(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise argparse.ArgumentTypeError(f"{text}: expected a whole number, as in 1")
    return int(text)


def _add_host_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host-root", default="/", metavar="DIR",
                        help="where the host's /proc, /sys and runtime state are found: / on the host itself, /host in a "
                             "container, or a tree that `cgstatd record` wrote (default: /)")  # fmt: skip
    parser.add_argument("--docker-root", action="append", default=[], metavar="DIR",
                        help="a Docker data root besides those that /etc/docker/daemon.json or a running dockerd names")  # fmt: skip
    parser.add_argument("--podman-root", action="append", default=[], metavar="DIR",
                        help="a Podman storage root besides /var/lib/containers/storage")  # fmt: skip
    parser.add_argument("--services", action="store_true", help="treat systemd services as containers too")


def make_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="cgstatd",
        description="What docker stats shows, read from the kernel itself: no engine socket, no root.",
    )
    parser.add_argument("--version", action="version", version=f"cgstatd {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="run the agent: JSON and Server-Sent Events over HTTP")
    serve.add_argument("--listen", action="append", metavar="ADDRESS",
                       help=f"HOST:PORT on loopback, or unix:/PATH; may be repeated (default: {DEFAULT_LISTEN})")  # fmt: skip
    serve.add_argument(
        "--env-id", type=_env_id, default=1, metavar="N", help="the environment this host is (default: 1)"
    )
    serve.add_argument("--baseline", type=_seconds, default=10.0, metavar="SECONDS",
                       help="how often CPU time is read while nobody asks, so that the first answer is immediate; "
                            "0: never (default: 10)")  # fmt: skip
    serve.add_argument("--freshness", type=_seconds, default=0.5, metavar="SECONDS",
                       help="requests within this time share one reading (default: 0.5)")  # fmt: skip
    serve.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info",
                       help="what is logged on standard error (default: info)")  # fmt: skip
    _add_host_options(serve)

    stats = commands.add_parser("stats", help="print the table that docker stats prints")
    stats.add_argument("names", nargs="*", metavar="NAME", help="containers by name, id, unique prefix of an id, or "
                                                                "runtime:name (default: all running)")  # fmt: skip
    stats.add_argument("-a", "--all", action="store_true", help="show stopped containers too")
    stats.add_argument("--format", choices=("table", "json"), default="table", help="table, or json: one object a line")
    stats.add_argument("-w", "--watch", action="store_true", help="refresh in place until interrupted")
    stats.add_argument("--interval", type=_interval, default=1.0, metavar="SECONDS",
                       help="the window that CPU is measured over, and the time between refreshes (default: 1)")  # fmt: skip
    _add_host_options(stats)

    record = commands.add_parser(
        "record", help="write this host's files, read twice, as a tree for bug reports and tests"
    )
    record.add_argument("directory", metavar="DIR", help="made anew; must not exist or must be empty")
    record.add_argument("--interval", type=_interval, default=2.0, metavar="SECONDS",
                        help="between the two readings (default: 2)")  # fmt: skip
    _add_host_options(record)
    return parser


def _host_options(arguments: argparse.Namespace) -> HostOptions:
    return HostOptions(arguments.docker_root, arguments.podman_root, arguments.services)


def _serve(arguments: argparse.Namespace) -> int:
    from . import commands

    logs.configure(arguments.log_level)
    return commands.serve(arguments, _host_options(arguments))


def _stats(arguments: argparse.Namespace) -> int:
    from . import commands

    logs.configure("warning")
    return commands.stats(arguments, _host_options(arguments))


def _record(arguments: argparse.Namespace) -> int:
    from . import commands

    logs.configure("warning")
    return commands.record(arguments, _host_options(arguments))


_COMMANDS = {"serve": _serve, "stats": _stats, "record": _record}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    arguments = make_parser().parse_args(argv)
    if sys.platform != "linux":
        print(f"cgstatd: this is {sys.platform}: control groups exist on Linux only", file=sys.stderr)
        return 2
    if not os.path.isdir(arguments.host_root):
        print(f"cgstatd: --host-root {arguments.host_root}: no such directory", file=sys.stderr)
        return 2
    try:
        return _COMMANDS[arguments.command](arguments)
    except (NoCgroups, NotRecorded, ListingFailed) as error:
        print(f"cgstatd: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of a pipe (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
