"""The command lines of ``cgstatd install`` and ``cgstatd uninstall``."""

from __future__ import annotations

import argparse


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add both commands."""
    install = commands.add_parser("install", help="make this cgstatd a systemd service, and start it")
    install.add_argument("--socket", action="store_true", help="let systemd hold the listening socket (cgstatd.socket)")
    uninstall = commands.add_parser("uninstall", help="stop the service and remove what install wrote")
    uninstall.add_argument(
        "--purge",
        action="store_true",
        help="remove configuration, tokens and drop-ins too, and what is on disk: the history, what waits to be sent",
    )
    for parser in (install, uninstall):
        parser.add_argument("--dry-run", action="store_true", help="print what would be done, and do nothing")
