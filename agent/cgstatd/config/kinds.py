"""What a value may be. A kind takes it from a text (flag, environment) or from TOML, and says what it allows."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ..basics.text import is_number, lower
from .address import EXPECTED, BadAddress, parse_address

_ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(:[0-9]{1,5})?")
_HOST = re.compile(r"\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class Kind:
    """``parse`` and ``check`` give the value or raise ValueError; ``many``: a list of such values."""

    allowed: str
    metavar: str
    parse: Callable[[str], object]
    check: Callable[[object], object]
    many: bool = False


def _strings(allowed: str, metavar: str, fits: Callable[[str], bool], many: bool) -> Kind:
    def check(value: object) -> object:
        if not isinstance(value, str) or not fits(value):
            raise ValueError(allowed)
        return value

    return Kind(allowed, metavar, check, check, many)


def path(metavar: str = "FILE", *, many: bool = False) -> Kind:
    """A path."""
    return _strings("a path", metavar, lambda text: bool(text) and "\0" not in text, many)


def directory() -> Kind:
    """A directory that is made where it is not there."""
    fits = re.compile(r"/[^\0]*").fullmatch
    return _strings("an absolute path", "DIR", lambda text: fits(text) is not None, False)


_MODE = re.compile(r"0?[0-7]{3}")
_GROUP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}")


def mode() -> Kind:
    """A file's permissions."""
    return _strings("octal digits, as in 0660", "MODE", lambda text: _MODE.fullmatch(text) is not None, False)


def group() -> Kind:
    """A group's name or number."""
    return _strings("a group's name or number", "GROUP", lambda text: _GROUP.fullmatch(text) is not None, False)


def choice(*values: str) -> Kind:
    """One of a few words."""
    return _strings(f"one of {', '.join(values)}", "|".join(values), lambda text: text in values, False)


def hosts() -> Kind:
    """Host names, without port."""
    return _strings("a host name without port, as in stats.example.org", "HOST", _fits(_HOST), True)


def origins() -> Kind:
    """Origins of web pages, exactly as a browser sends them."""
    allowed = "a page's origin as a browser sends it (scheme and host in lower case, no path, no *), as in https://dash.example.org"
    return _strings(allowed, "ORIGIN", _fits(_ORIGIN), True)


_WEBSOCKET = re.compile(r"wss?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+)(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?")


def websocket() -> Kind:
    """Where a WebSocket server is."""
    return _strings("wss://HOST[:PORT][/PATH], as in wss://dockhand.example.org", "URL", _fits(_WEBSOCKET), False)


_WEBHOOK = re.compile(
    r"https?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+)(:[0-9]{1,5})?(/[A-Za-z0-9._~:/@!$&'()*+,;=%-]*)?"
    r"(\?[A-Za-z0-9._~:/?@!$&'()*+,;=%-]*)?"
)


def webhook() -> Kind:
    """Where something is told by HTTP."""
    allowed = "https://HOST[:PORT][/PATH], as in https://hooks.example.org/cgstatd"
    return _strings(allowed, "URL", _fits(_WEBHOOK), False)


def names() -> Kind:
    """Names in certificates."""
    return _strings("a name in a certificate, as in central.example.org", "NAME", bool, True)


def labels() -> Kind:
    """Keys of container labels."""
    return _strings("a container label's key, as in com.example.team", "LABEL", bool, True)


def _fits(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: pattern.fullmatch(text) is not None


def addresses() -> Kind:
    """Where to listen."""

    def fits(text: str) -> bool:
        try:
            parse_address(text)
        except BadAddress:
            return False
        return True

    return _strings(EXPECTED, "ADDRESS", fits, True)


def seconds(minimum: float = 0, maximum: float = 86_400) -> Kind:
    """A time."""
    allowed = f"seconds between {minimum:.10g} and {maximum:.10g}"

    def check(value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, int | float) or not minimum <= value <= maximum:
            raise ValueError(allowed)
        return float(value)

    def parse(text: str) -> object:
        try:
            return check(float(text))
        except ValueError:
            raise ValueError(allowed) from None

    return Kind(allowed, "SECONDS", parse, check)


def percent() -> Kind:
    """A share of one core."""
    allowed, number = "a percentage between 0 and 100", seconds(0, 100)

    def check(value: object) -> object:
        try:
            return number.check(value)
        except ValueError:
            raise ValueError(allowed) from None

    def parse(text: str) -> object:
        try:
            return number.parse(text)
        except ValueError:
            raise ValueError(allowed) from None

    return Kind(allowed, "PERCENT", parse, check)


def whole(minimum: int, maximum: int) -> Kind:
    """A whole number."""
    allowed = f"a whole number between {minimum} and {maximum}"

    def check(value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
            raise ValueError(allowed)
        return value

    def parse(text: str) -> object:
        if not is_number(text):
            raise ValueError(allowed)
        return check(int(text))

    return Kind(allowed, "N", parse, check)


_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def switch() -> Kind:
    """On or off."""

    def check(value: object) -> object:
        if not isinstance(value, bool):
            raise ValueError("true or false")
        return value

    def parse(text: str) -> object:
        if lower(text) not in _WORDS:
            raise ValueError("true or false")
        return _WORDS[lower(text)]

    return Kind("true or false", "", parse, check)
