"""File, environment and flags into settings."""

from __future__ import annotations

import argparse
import difflib
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec

from ..basics.errors import BadConfig
from .file import parse_file, shortened
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
    values: dict[str, Any] = {}
    complaints: list[str] = []
    for option in OPTIONS:
        if text := environment.get(option.variable):
            several = [part.strip() for part in text.split(",") if part.strip()] if option.kind.many else [text]
            values[option.name] = _parsed(option, f"{option.variable}=", several, complaints)
    if complaints:
        raise BadConfig("\n".join(complaints))
    _warn_of_misspelt(environment)
    return values


def from_flags(given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the command line. Raises BadConfig."""
    values: dict[str, Any] = {}
    complaints: list[str] = []
    for option in OPTIONS:
        value = given.get(option.name)
        if isinstance(value, bool):
            values[option.name] = value
        elif value is not None:
            several = value if option.kind.many else [value]
            values[option.name] = _parsed(option, f"{option.flag} ", several, complaints)
    if complaints:
        raise BadConfig("\n".join(complaints))
    return values


def _parsed(option: Option, where: str, several: list[str], complaints: list[str]) -> Any:
    """The value that texts have; ``complaints`` gets a sentence for each that has none."""
    found = []
    for text in several:
        try:
            found.append(option.kind.parse(text))
        except ValueError as error:
            complaints.append(f"{where}{shortened(text)}: expected {error}")
    return tuple(found) if option.kind.many else next(iter(found), None)


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


def _warn_of_misspelt(environment: Mapping[str, str]) -> None:
    """Warn of a variable that means nothing, if one with a meaning is near: orchestrators set variables such as
    CGSTATD_PORT_80_TCP."""
    known = [CONFIG_VARIABLE, *(option.variable for option in OPTIONS)]
    for name in environment:
        if name.startswith(_PREFIX) and name not in known:
            found = difflib.get_close_matches(name, known, n=1, cutoff=0.9)
            if found:
                log.warning("%s in the environment means nothing; did you mean %s?", name, found[0])


_NEEDS = (
    ("tls_cert", "tls_key", "", "tls_key beside it: TLS takes both"),
    ("tls_key", "tls_cert", "", "tls_cert beside it: TLS takes both"),
    ("tls_client_ca", "tls_cert", "", "tls_cert: client certificates exist in TLS only"),
    ("tls_client_names", "tls_client_ca", "", "tls_client_ca: who vouches for the names"),
    ("dockhand_url", "dockhand_token_file", "", "dockhand_token_file: Dockhand welcomes no agent without"),
    ("dockhand_token_file", "dockhand_url", "", "dockhand_url: which server it is for"),
    ("dockhand_ca", "dockhand_url", "wss:", "a dockhand_url with wss: certificates exist in TLS only"),
    ("notify_secret_file", "notify_url", "", "notify_url: which server it is for"),
    ("notify_ca", "notify_url", "https:", "a notify_url with https: certificates exist in TLS only"),
)
"""A key, the key that it needs, what that one's value has to begin with, and the words."""


def contradictions(settings: Settings) -> list[tuple[str, str]]:
    """Settings that contradict each other: (the key to look at, a sentence)."""
    found = []
    for key, other, beginning, words in _NEEDS:
        value: str = getattr(settings, other)
        if getattr(settings, key) and not (value and value.startswith(beginning)):
            found.append((key, f"{key} needs {words}"))
    if not settings.listen:
        found.append(("listen", "listen is empty: expected at least one address"))
    return found


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Every option as a flag, without a default: a flag that is not given does not override."""
    parser.add_argument("--config", metavar="FILE", help=f"the configuration (default: {DEFAULT_CONFIG} if it exists)")
    for option in OPTIONS:
        text, metavar = option.help.replace("%", "%%") + _default(option), option.kind.metavar
        if isinstance(option.default, bool):
            parser.add_argument(option.flag, action=argparse.BooleanOptionalAction, default=None, help=text)
        else:
            action = "append" if option.kind.many else "store"
            parser.add_argument(option.flag, action=action, metavar=metavar, help=text)


def _default(option: Option) -> str:
    """What the help says after the sentence."""
    default = option.default
    if isinstance(default, bool):
        return ""
    several = "; may be repeated" if option.kind.many else ""
    shown = ", ".join(default) if option.kind.many else f"{default:g}" if isinstance(default, float) else str(default)
    return f"{several} (default: {shown})" if shown else several
