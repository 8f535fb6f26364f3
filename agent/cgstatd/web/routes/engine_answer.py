"""A request of the Engine API and its answer, whatever brings the one and takes the other: HTTP, or a Dockhand server's
connection."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from ...basics.text import printable
from ...feed.answer_bodies import Body, Reader
from ...feed.engine import NotRunning
from ...outputs.engine import system
from ...outputs.engine.filters import BadFilter, Unanswerable
from ...sampling.lookup import Ambiguous, NotFound
from ...sampling.reading_failed import ReadingFailed
from ...sampling.registry import ListingFailed, OutOfResources
from ..parts import EngineParts
from ..server.limits import RETRY_SECONDS
from ..server.one_body import NoRoom
from .checks import valid_container_id

JSON = "application/json"
_VERSION = re.compile(r"v1\.([0-9]{1,3})")
_NEWEST, _OLDEST = (int(text.partition(".")[2]) for text in (system.API_VERSION, system.MIN_API_VERSION))
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """A request: what its path names, decoded, and its query."""

    named: Mapping[str, str]
    query: Mapping[str, str]
    reader: Reader
    """Who gets the answer. It is cut where it does not read and others need the bytes."""

    @property
    def container(self) -> str:
        """The container that the path names. Raises NotFound."""
        wanted = self.named["container"]
        if not valid_container_id(wanted) or len(wanted) > 512:
            raise NotFound(wanted)
        return wanted


@dataclass(slots=True)
class EngineAnswer:
    """An answer: a body, or a stream of bytes, which may end."""

    body: Body = field(default_factory=lambda: Body(()))
    status: int = 200
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=lambda: system.HEADERS)
    stream: AsyncGenerator[bytes, None] | None = None
    over: Callable[[], None] = lambda: None
    """Called once the stream is over, or was never begun."""


Handler = Callable[[EngineParts, EngineRequest], Awaitable[EngineAnswer]]


class NoSuch(Exception):
    """No such image, network or volume. The text is what Docker says of it."""


def error_body(message: str) -> bytes:
    """An error as clients of the Engine API read it."""
    return _encode({"message": message})


def refusal(status: int, message: str, **headers: str) -> EngineAnswer:
    """The answer to what cannot be answered; header names have underscores for dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return EngineAnswer(Body([error_body(message)]), status, headers=system.HEADERS | named)


async def answer_of(handler: Handler, parts: EngineParts, asked: EngineRequest) -> EngineAnswer:
    """What a handler answers to a request: the version that its path names, then the handler, its errors in words."""
    wrong = _wrong_version(asked.named.get("version"))
    if wrong is not None:
        return wrong
    try:
        return await handler(parts, asked)
    except NotFound:
        return refusal(404, f"No such container: {printable(asked.named.get('container', ''), 80)}")
    except NoSuch as error:
        return refusal(404, str(error))
    except Ambiguous:
        return refusal(400, f"multiple IDs found with provided prefix: {asked.container}")
    except NotRunning as error:
        return refusal(409, f"container {error} is not running")
    except BadFilter as error:
        return refusal(501 if isinstance(error, Unanswerable) else 400, str(error))
    except OutOfResources as error:
        return refusal(503, str(error), Retry_After=str(RETRY_SECONDS))
    except (ListingFailed, ReadingFailed) as error:
        return refusal(500, str(error))
    except NoRoom:
        return refusal(503, "too many answers in flight", Retry_After=str(RETRY_SECONDS))


def _wrong_version(text: str | None) -> EngineAnswer | None:
    found = None if text is None else _VERSION.fullmatch(text)
    if found is None:
        return None
    if int(found[1]) > _NEWEST:
        return refusal(
            400, f"client version {found[0][1:]} is too new. Maximum supported API version is {system.API_VERSION}"
        )
    if int(found[1]) < _OLDEST:
        return refusal(
            400,
            f"client version {found[0][1:]} is too old. Minimum supported API version is {system.MIN_API_VERSION}, "
            "please upgrade your client to a newer version",
        )
    return None
