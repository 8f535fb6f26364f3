"""``cgstatd config --example``: every key with what it does, what it may be, and its default."""

from __future__ import annotations

import json
import textwrap

from .changed import RESTART
from .settings import DEFAULT_CONFIG, OPTIONS, Option

_RESTART = [option.name for option in OPTIONS if option.name in RESTART]
_WIDTH = 110
_HEAD = f"""\
The configuration of cgstatd, with the defaults: {DEFAULT_CONFIG}
A key here is overridden by its environment variable, and that by its flag of `cgstatd serve`.
`cgstatd config --check FILE` says what is wrong with a file, line by line.
""" + textwrap.fill(
    f"A reload (SIGHUP) takes over what has changed here, but for {', '.join(_RESTART)}: these need a restart, and the "
    "log names those that changed. The files of tokens and certificates are read again by themselves.",
    _WIDTH,
)


def example() -> str:
    """A whole file in which every key is commented out."""
    return "\n".join([_comment(_HEAD), *map(_documented, OPTIONS)])


def _comment(text: str) -> str:
    return "".join(f"# {line}\n" for line in text.splitlines())


def _documented(option: Option) -> str:
    many = "a list of: " if option.kind.many else ""
    lines = textwrap.wrap(f"{option.help[0].upper()}{option.help[1:]}.", _WIDTH)
    lines += textwrap.wrap(f"Allowed: {many}{option.kind.allowed}.", _WIDTH)
    lines.append(f"Also {option.variable} and {option.flag}.")
    return _comment("\n".join(lines)) + f"#{option.name} = {toml(_shown(option))}\n"


def _shown(option: Option) -> object:
    if option.default or not option.example:
        return option.default
    return (option.example,) if option.kind.many else option.example


def toml(value: object) -> str:
    """A value as TOML."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(toml, value))}]"
    return json.dumps(value)
