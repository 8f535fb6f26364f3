"""File, environment and flags into settings."""

from __future__ import annotations

import argparse
import difflib
import logging
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from ..basics.errors import BadConfig
from .file import parse_file
from .settings import BY_NAME, DEFAULT_CONFIG, OPTIONS, Option, Settings

log = logging.getLogger(__name__)
_PREFIX = "CGSTATD_"
CONFIG_VARIABLE = "CGSTATD_CONFIG"


def load(flags: argparse.Namespace | None = None, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings. Raises BadConfig."""
    given = {} if flags is None else vars(flags)
    values = from_file(given.get("config") or environment.get(CONFIG_VARIABLE) or None)
    values |= from_environment(environment)
    values |= from_flags(given)
    settings = msgspec.convert(values, Settings)
    complaints = contradictions(settings)
    if complaints:
        raise BadConfig("\n".join(sentence for _, sentence in complaints))
    return settings


def from_file(path: str | None) -> dict[str, Any]:
    """The values of the file; none where no file is named and the usual one is not there. Raises BadConfig."""
    try:
        parsed = parse_file(path or DEFAULT_CONFIG)
    except FileNotFoundError:
        if path is None:
            return {}
        raise BadConfig(f"{path}: no such file; `cgstatd config --example` prints one") from None
    except OSError as error:
        raise BadConfig(f"{path or DEFAULT_CONFIG}: {error.strerror}") from error
    if parsed.complaints:
        raise BadConfig("\n".join(parsed.complaints))
    return parsed.values


def from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """The values of the CGSTATD_… variables. Lists have commas between; an empty variable counts as not set. Raises
    BadConfig."""
    texts: list[tuple[Option, str, list[str]]] = []
    for option in OPTIONS:
        text = environment.get(option.variable)
        if text:
            several = [part.strip() for part in text.split(",") if part.strip()] if option.kind.many else [text]
            texts.append((option, f"{option.variable}=", several))
    values = _parsed(texts)
    _warn_of_misspelt(environment)
    return values


def from_flags(given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the command line. Raises BadConfig."""
    texts: list[tuple[Option, str, list[str]]] = []
    switches: dict[str, Any] = {}
    for option in OPTIONS:
        value = given.get(option.name)
        if isinstance(value, bool):
            switches[option.name] = value
        elif value is not None:
            texts.append((option, f"{option.flag} ", value if option.kind.many else [value]))
    return _parsed(texts) | switches


def place_of(key: str, given: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> str:
    """Where a setting was made: its flag, its variable, file and line; for a default the key alone."""
    option = BY_NAME[key]
    if given.get(key) is not None:
        return option.flag
    if environment.get(option.variable):
        return option.variable
    path = given.get("config") or environment.get(CONFIG_VARIABLE) or DEFAULT_CONFIG
    with suppress(OSError):
        line = parse_file(path).lines.get(key)
        if line is not None:
            return f"{path}:{line}: {key}"
    return key


def _parsed(texts: Iterable[tuple[Option, str, list[str]]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    complaints = []
    for option, where, several in texts:
        found = []
        for text in several:
            try:
                found.append(option.kind.parse(text))
            except ValueError as error:
                shown = text if len(text) <= 80 else f"{text[:77]}..."
                complaints.append(f"{where}{shown}: expected {error}")
        values[option.name] = tuple(found) if option.kind.many else next(iter(found), None)
    if complaints:
        raise BadConfig("\n".join(complaints))
    return values


def _warn_of_misspelt(environment: Mapping[str, str]) -> None:
    """Warn of a variable that means nothing, if one with a meaning is near: orchestrators set variables such as
    CGSTATD_PORT_80_TCP."""
    known = [CONFIG_VARIABLE, *(option.variable for option in OPTIONS)]
    for name in environment:
        if name.startswith(_PREFIX) and name not in known:
            found = difflib.get_close_matches(name, known, n=1, cutoff=0.9)
            if found:
                log.warning("%s in the environment means nothing; did you mean %s?", name, found[0])


def contradictions(settings: Settings) -> list[tuple[str, str]]:
    """Settings that contradict each other: (the key to look at, a sentence)."""
    found = []
    if settings.tls_cert and not settings.tls_key:
        found.append(("tls_cert", "tls_cert needs tls_key beside it: TLS takes both"))
    if settings.tls_key and not settings.tls_cert:
        found.append(("tls_key", "tls_key needs tls_cert beside it: TLS takes both"))
    if settings.tls_client_ca and not settings.tls_cert:
        found.append(("tls_client_ca", "tls_client_ca needs tls_cert: client certificates exist in TLS only"))
    if settings.tls_client_names and not settings.tls_client_ca:
        found.append(("tls_client_names", "tls_client_names needs tls_client_ca: who vouches for the names"))
    if settings.dockhand_url and not settings.dockhand_token_file:
        found.append(("dockhand_url", "dockhand_url needs dockhand_token_file: Dockhand welcomes no agent without"))
    if settings.dockhand_token_file and not settings.dockhand_url:
        found.append(("dockhand_token_file", "dockhand_token_file needs dockhand_url: which server it is for"))
    if settings.dockhand_ca and not settings.dockhand_url.startswith("wss:"):
        found.append(("dockhand_ca", "dockhand_ca needs a dockhand_url with wss: certificates exist in TLS only"))
    if settings.notify_secret_file and not settings.notify_url:
        found.append(("notify_secret_file", "notify_secret_file needs notify_url: which server it is for"))
    if settings.notify_ca and not settings.notify_url.startswith("https:"):
        found.append(("notify_ca", "notify_ca needs a notify_url with https: certificates exist in TLS only"))
    if not settings.listen:
        found.append(("listen", "listen is empty: expected at least one address"))
    return found


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Every option as a flag, without a default: a flag that is not given does not override."""
    parser.add_argument("--config", metavar="FILE", help=f"the configuration (default: {DEFAULT_CONFIG} if it exists)")
    for option in OPTIONS:
        help_text = option.help.replace("%", "%%") + _default(option)
        if isinstance(option.default, bool):
            parser.add_argument(option.flag, action=argparse.BooleanOptionalAction, default=None, help=help_text)
        else:
            parser.add_argument(
                option.flag,
                action="append" if option.kind.many else "store",
                metavar=option.kind.metavar,
                help=help_text,
            )


def _default(option: Option) -> str:
    if option.default in ("", ()) or isinstance(option.default, bool):
        return "; may be repeated" if option.kind.many else ""
    if option.kind.many:
        return f"; may be repeated (default: {', '.join(option.default)})"
    shown = f"{option.default:g}" if isinstance(option.default, float) else option.default
    return f" (default: {shown})"
