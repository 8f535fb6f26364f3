"""The command line. Exit codes: 0 done; 1 a named container was not found; 2 nothing could be done, with the reason."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from cgroupfs import NoCgroups

from .. import __version__
from ..auth import command as token_command
from ..basics import logs, standard_streams
from ..config import BadConfig, BadSetting, load, place_of
from ..config import command as config_command
from ..config.loading import add_flags
from ..doctor.arguments import add_parser as add_doctor
from ..install.arguments import add_parsers as add_installers
from ..recording.recorded_root import NotRecorded
from ..sampling.open_host import HostOptions
from ..sampling.registry import ListingFailed
from ..top import command as top_command
from .arguments import Parser


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
    parser: argparse.ArgumentParser = Parser(
        prog="cgstatd",
        description="What docker stats shows, read from the kernel itself: no engine socket, no root.",
    )
    parser.add_argument("--version", action="version", version=f"cgstatd {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="run the agent: JSON and Server-Sent Events over HTTP")
    add_flags(serve)

    stats = commands.add_parser("stats", help="print the table that docker stats prints")
    stats.add_argument("names", nargs="*", metavar="NAME", help="containers by name, id, unique prefix of an id, or "
                                                                "runtime:name (default: all running)")  # fmt: skip
    stats.add_argument("-a", "--all", action="store_true", help="show stopped containers too")
    stats.add_argument("--format", choices=("table", "json"), default="table",
                       help="table, or json: one object a line (default: table)")  # fmt: skip
    stats.add_argument("-w", "--watch", action="store_true", help="refresh in place until interrupted")
    stats.add_argument("--sort", choices=("cpu", "memory", "name", "net", "block", "pids"), default="name",
                       help="the order of the rows, the largest first (default: name)")  # fmt: skip
    stats.add_argument("--no-stream", action="store_true", help="accepted as docker's; without --watch there is "
                                                                "one table anyway")  # fmt: skip
    stats.add_argument("--no-trunc", action="store_true", help="whole ids, and nothing shortened to fit the terminal")
    stats.add_argument("--interval", type=_interval, default=1.0, metavar="SECONDS",
                       help="the window that CPU is measured over, and the time between refreshes (default: 1)")  # fmt: skip
    _add_host_options(stats)

    record = commands.add_parser(
        "record", help="write this host's files, read twice, as a tree for bug reports and tests"
    )
    record.add_argument("directory", metavar="DIR", help="the directory to make; it must not exist, or be empty")
    record.add_argument("--interval", type=_interval, default=2.0, metavar="SECONDS",
                        help="between the two readings (default: 2)")  # fmt: skip
    _add_host_options(record)

    _add_host_options(add_doctor(commands))
    add_installers(commands)

    top_command.add_parser(commands, _add_host_options)
    config_command.add_parser(commands)
    token_command.add_parser(commands)
    return parser


def _check_host_root(path: str) -> None:
    if not os.path.isdir(path):
        raise BadSetting("host_root", f"{path}: no such directory")


def _host_options(arguments: argparse.Namespace) -> HostOptions:
    return HostOptions(arguments.docker_root, arguments.podman_root, arguments.services)


def _serve(arguments: argparse.Namespace) -> int:
    from . import commands

    logs.configure("info")  # the configuration may have something to say itself
    settings = load(arguments)
    logs.configure(settings.log_level, settings.log_format)
    try:
        _check_host_root(settings.host_root)
        return commands.serve(settings, lambda: load(arguments))
    except BadSetting as error:
        raise error.at(place_of(error.key, vars(arguments))) from error


def _stats(arguments: argparse.Namespace) -> int:
    from . import commands

    logs.configure("warning")
    return commands.stats(arguments, _host_options(arguments))


def _record(arguments: argparse.Namespace) -> int:
    from . import commands

    logs.configure("warning")
    return commands.record(arguments, _host_options(arguments))


def _doctor(arguments: argparse.Namespace) -> int:
    from ..doctor import command

    logs.configure("error")  # what could not be read is the report itself
    return command.run(arguments, _host_options(arguments))


def _top(arguments: argparse.Namespace) -> int:
    logs.configure("warning")
    return top_command.run(arguments)


def _install(arguments: argparse.Namespace) -> int:
    from ..install import command

    return command.run(arguments)


_COMMANDS = {
    "serve": _serve,
    "stats": _stats,
    "record": _record,
    "doctor": _doctor,
    "install": _install,
    "uninstall": _install,
    "top": _top,
    "config": config_command.run,
    "token": token_command.run,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    standard_streams.prepare()
    try:
        return standard_streams.end(_run(argv))
    except SystemExit as end:  # argparse: --help, or what it does not know
        return standard_streams.end(end.code if isinstance(end.code, int) else 2)
    except KeyboardInterrupt:
        return standard_streams.end(130)
    except OSError:
        if not standard_streams.failed():
            raise
        return standard_streams.end(0)


def _run(argv: Sequence[str] | None) -> int:
    arguments = make_parser().parse_args(argv)
    if sys.platform != "linux":
        print(f"cgstatd: this is {sys.platform}: control groups exist on Linux only", file=sys.stderr)
        return 2
    try:
        if arguments.command != "serve" and getattr(arguments, "host_root", None) is not None:
            _check_host_root(arguments.host_root)
        return _COMMANDS[arguments.command](arguments)
    except BadSetting as error:  # of a command that has flags alone
        print(f"cgstatd: {error.at('--' + error.key.replace('_', '-'))}", file=sys.stderr)
    except BadConfig as error:
        print("\n".join(f"cgstatd: {line}" for line in str(error).splitlines()), file=sys.stderr)
    except (NoCgroups, NotRecorded, ListingFailed) as error:
        print(f"cgstatd: {error}", file=sys.stderr)
    return 2
