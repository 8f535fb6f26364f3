"""``cgstatd token``: make, make known, list, revoke, rotate."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import Literal

from ..basics import standard_streams
from ..basics.text import is_number
from ..config import BadConfig, Settings, load
from ..config.address import is_private
from . import store
from .tokens import ANY, CONTAINERS_VIEW, PERMISSIONS, BadTokens, TokensFile, encode


def _env(text: str) -> int | Literal["any"]:
    if text == ANY:
        return ANY
    if not is_number(text, 9):
        raise argparse.ArgumentTypeError(f"{text}: expected a whole number, as in 1, or any")
    return int(text)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command's own command line."""
    parser = commands.add_parser("token", help="make, list, revoke and rotate the tokens that clients show")
    parser.add_argument("--config", metavar="FILE", help="the configuration that names the tokens file")
    parser.add_argument("--tokens", metavar="FILE", help=f"the tokens file (default: {store.DEFAULT_TOKENS})")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    new = actions.add_parser("new", help="make a token and print it, once")
    _add_rights(new)
    known = actions.add_parser("import", help="make a token of another host known here, without its value")
    _add_rights(known)
    known.add_argument(
        "--sha256", required=True, metavar="HEX", help="its SHA-256, as `cgstatd token list --json` prints it"
    )
    known.add_argument("--replace", action="store_true", help="replace another token of that name")
    listing = actions.add_parser("list", help="names and rights; the tokens themselves are stored nowhere")
    listing.add_argument("--json", action="store_true", help="print the tokens file, for `cgstatd token import`")
    for action, text in (("revoke", "forget a token"), ("rotate", "a new value with the same rights")):
        actions.add_parser(action, help=f"{text}; running agents notice within a second").add_argument(
            "name", metavar="NAME", help="as `cgstatd token list` shows it"
        )


def _add_rights(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", required=True, help="its name, which the log uses")
    parser.add_argument("--env", action="append", type=_env, metavar="N",
                        help="an environment it is good for, or any; may be repeated (default: env_id)")  # fmt: skip
    parser.add_argument("--allow", action="append", metavar="PERMISSION[,PERMISSION]",
                        help=f"what it may do: {', '.join(PERMISSIONS)} (default: {CONTAINERS_VIEW})")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """0: done; 2: not, with the reason."""
    path = arguments.tokens or store.DEFAULT_TOKENS
    try:
        path = arguments.tokens or _settings(arguments).tokens or store.DEFAULT_TOKENS
        _ACTIONS[arguments.action](path, arguments)
    except (BadConfig, BadTokens) as error:
        print(f"cgstatd: {error}", file=sys.stderr)
        return 2
    except _NotShown as error:
        print(f"cgstatd: standard output: {error}; nothing was changed", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still in the buffer has nowhere to go at the end
        return 2
    except OSError as error:
        hint = "; try as root" if isinstance(error, PermissionError) and os.geteuid() else ""
        print(f"cgstatd: {error.filename or path}: {error.strerror}{hint}", file=sys.stderr)
        return 2
    return 0


def _settings(arguments: argparse.Namespace) -> Settings:
    return load(argparse.Namespace(config=arguments.config))


class _NotShown(Exception):
    """A new value could not be printed."""


def _show(secret: str) -> None:
    if "stdout" in standard_streams.closed:
        raise _NotShown("it is closed")
    try:
        print(secret, flush=True)
    except OSError as error:
        raise _NotShown(error.strerror) from error


def _rights(arguments: argparse.Namespace) -> tuple[store.Env, list[str]]:
    allow = [each.strip() for text in arguments.allow or [CONTAINERS_VIEW] for each in text.split(",")]
    if not arguments.env:
        return [_settings(arguments).env_id], allow
    return ANY if ANY in arguments.env else arguments.env, allow


def _new(path: str, arguments: argparse.Namespace) -> None:
    first = not os.path.exists(path)
    env, allow = _rights(arguments)
    store.add(path, arguments.name, env, allow, _show)
    print(f"shown this once: {path} keeps only its SHA-256. Clients send it as Authorization: Bearer TOKEN",
          file=sys.stderr)  # fmt: skip
    _said_first(first)


def _said_first(first: bool) -> None:
    if first:
        print("it is the first: from now on the agent answers no client without a token", file=sys.stderr)


def _import(path: str, arguments: argparse.Namespace) -> None:
    first = not os.path.exists(path)
    env, allow = _rights(arguments)
    changed = store.make_known(path, arguments.name, arguments.sha256, env, allow, arguments.replace)
    print("changed" if changed else "unchanged")
    _said_first(first)


def _list(path: str, arguments: argparse.Namespace) -> None:
    try:
        found, _ = store.read(path)
    except FileNotFoundError:
        print(f"{path}: no such file: no token has been made", file=sys.stderr)
        found = TokensFile()
        if not arguments.json:
            return
    if arguments.json:
        print(encode(found).decode(), end="")
        return
    rows = [("NAME", "ENV", "ALLOW", "CREATED", "SHA-256")]
    rows += [(t.name, t.environments, ",".join(t.allow), f"{t.created:%Y-%m-%d}", t.sha256[:12]) for t in found.tokens]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _revoke(path: str, arguments: argparse.Namespace) -> None:
    store.revoke(path, arguments.name)
    print(f"revoked {arguments.name}; running agents notice within a second", file=sys.stderr)
    if not store.read(path)[0].tokens:
        print(_without_any(path, arguments.config), file=sys.stderr)


def _without_any(path: str, config: str | None) -> str:
    """What a file without a token means for the agent that this configuration is of."""
    try:
        settings = load(argparse.Namespace(config=config))
    except BadConfig:  # a configuration that cannot be read is no reason not to revoke
        settings = Settings()
    said = "it was the last token: no client is answered any more, not even on loopback.\n"
    anew = "cgstatd token new --name central"
    reachable = [text for text in settings.listen if not is_private(text)]
    if settings.tls_client_ca:
        return f"{said}For client certificates alone: rm {path}, and restart the agent. For tokens again: {anew}"
    if reachable:
        return (
            f"{said}WARNING: it listens on {', '.join(reachable)}, and will refuse to start at its next restart: the "
            f"network could reach it, and it would demand no credentials.\n"
            f"Before that make a token ({anew}), or set tls_client_ca, or listen on 127.0.0.1 or unix:/PATH alone."
        )
    return (
        f"{said}To answer every user of this host again: rm {path}, and restart the agent. For tokens again: "
        f"{anew}\n"
        "An agent that listens beyond loopback by a flag, a variable or a socket unit, without tls_client_ca, will "
        "refuse to start at its next restart until there is a token."
    )


def _rotate(path: str, arguments: argparse.Namespace) -> None:
    store.rotate(path, arguments.name, _show)
    print(f"the old value of {arguments.name} is refused within a second", file=sys.stderr)


_ACTIONS: dict[str, Callable[[str, argparse.Namespace], None]] = {
    "new": _new,
    "import": _import,
    "list": _list,
    "revoke": _revoke,
    "rotate": _rotate,
}
