"""What a value may be: msgspec's constraints, whose title is the placeholder of ``--help`` and whose description says
what is allowed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ..basics.text import is_number, lower
from .address import EXPECTED, BadAddress, parse_address

_HOST = r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+)"
_PORT = r"(:[0-9]{1,5})?"
_SIGNS = r"A-Za-z0-9._~:/@!$&'()*+,;=%-"


def _text(allowed: str, metavar: str, pattern: str) -> Meta:
    """The whole text fits the pattern."""
    return Meta(pattern=rf"\A(?:{pattern})\Z", title=metavar, description=allowed)


def choice(*values: str) -> Meta:
    """One of a few words."""
    return _text(f"one of {', '.join(values)}", "|".join(values), "|".join(values))


def seconds(minimum: float = 0, maximum: float = 86_400) -> Meta:
    """A time."""
    allowed = f"seconds between {minimum:.10g} and {maximum:.10g}"
    return Meta(ge=minimum, le=maximum, title="SECONDS", description=allowed)


def whole(minimum: int, maximum: int) -> Meta:
    """A whole number."""
    return Meta(ge=minimum, le=maximum, title="N", description=f"a whole number between {minimum} and {maximum}")


def _is_address(text: str) -> bool:
    try:
        parse_address(text)
    except BadAddress:
        return False
    return True


Path = Annotated[str, _text("a path", "FILE", r"[^\0]+")]
Tree = Annotated[str, _text("a path", "DIR", r"[^\0]+")]
Directory = Annotated[str, _text("an absolute path", "DIR", r"/[^\0]*")]
"""A directory that is made where it is not there."""
Mode = Annotated[str, _text("octal digits, as in 0660", "MODE", "0?[0-7]{3}")]
Group = Annotated[str, _text("a group's name or number", "GROUP", "[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}")]
Address = Annotated[str, Meta(title="ADDRESS", description=EXPECTED, extra={"fits": _is_address})]
"""Where to listen."""
Host = Annotated[str, _text("a host name without port, as in stats.example.org", "HOST", _HOST)]
_PAGE = "a page's origin as a browser sends it (scheme and host in lower case, no path, no *), as in https://dash.example.org"
Origin = Annotated[str, _text(_PAGE, "ORIGIN", rf"https?://(\[[0-9a-f:.]+\]|[a-z0-9_.-]+){_PORT}")]
WebSocket = Annotated[str, _text("wss://HOST[:PORT][/PATH], as in wss://dockhand.example.org", "URL",
                                 rf"wss?://{_HOST}{_PORT}(/[A-Za-z0-9._~/-]*)?")]  # fmt: skip
Webhook = Annotated[str, _text("https://HOST[:PORT][/PATH], as in https://hooks.example.org/cgstatd", "URL",
                               rf"https?://{_HOST}{_PORT}(/[{_SIGNS}]*)?(\?[?{_SIGNS}]*)?")]  # fmt: skip
CertificateName = Annotated[
    str, Meta(min_length=1, title="NAME", description="a name in a certificate, as in central.example.org")
]
Label = Annotated[str, Meta(min_length=1, title="LABEL", description="a container label's key, as in com.example.team")]
Percent = Annotated[float, Meta(ge=0, le=100, title="PERCENT", description="a percentage between 0 and 100")]
Switch = Annotated[bool, Meta(title="", description="true or false")]

_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_FROM_TEXT: dict[type, Callable[[str], object]] = {
    str: str,
    float: float,
    int: lambda text: int(text) if is_number(text) else None,
    bool: lambda text: _WORDS.get(lower(text)),
}


@dataclass(frozen=True, slots=True)
class Kind:
    """Takes values of one of these types; ``many``: a setting is a list of them."""

    type: Any
    many: bool = False

    @property
    def _constraint(self) -> Meta:
        found: Meta = self.type.__metadata__[0]
        return found

    @property
    def allowed(self) -> str:
        """What a value may be, in words."""
        return self._constraint.description or ""

    @property
    def metavar(self) -> str:
        """Its placeholder in ``--help``."""
        return self._constraint.title or ""

    def check(self, value: object) -> object:
        """One value, as TOML has it. Raises ValueError, which says what is allowed."""
        try:
            found = msgspec.convert(value, self.type)
        except msgspec.ValidationError:
            raise ValueError(self.allowed) from None
        fits = (self._constraint.extra or {}).get("fits")
        if fits and not fits(found):
            raise ValueError(self.allowed)
        return found

    def parse(self, text: str) -> object:
        """One value, as a flag or a variable has it. Raises ValueError, which says what is allowed."""
        try:
            value = _FROM_TEXT[self.type.__origin__](text)
        except ValueError:
            raise ValueError(self.allowed) from None
        return self.check(value)
