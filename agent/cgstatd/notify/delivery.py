"""One request to the webhook: no redirect is followed, and nothing of the answer but its status is read."""

from __future__ import annotations

import asyncio

import aiohttp

from .. import __version__
from ..basics.destination import Destination
from ..basics.interim_answers import FewInterim, TooManyInterim
from ..basics.text import is_number, printable
from .secret_file import BadSecret, read_secret

ANSWER_SECONDS = 10.0
"""From the connection to the answer's status."""
_HEAD_BYTES = 8190
"""Of the answer's status line, and of each of its headers."""
_LATER = frozenset((408, 425, 429))
"""Client errors that pass."""


class Failed(Exception):
    """It may succeed later; one sentence."""

    def __init__(self, sentence: str, retry_after: float = 0.0) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after
        """For how long the server wants us to stay away, in seconds."""


class Refused(Exception):
    """The server does not want it, and will not want it later; one sentence."""


async def deliver(destination: Destination, body: bytes) -> None:
    """Send one body. Raises Failed, Refused."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            status, later = await _post(destination, body)
    except BadSecret as error:
        raise Failed(str(error)) from error
    except TimeoutError:
        raise Failed(f"no answer within {ANSWER_SECONDS:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise Failed(_why(error)) from error
    if status < 300:
        return
    if status < 400:
        raise Refused(f"HTTP {status}: redirects are not followed; notify_url has to name the place itself")
    if status < 500 and status not in _LATER:
        raise Refused(f"HTTP {status}")
    raise Failed(f"HTTP {status}", later)


async def _post(destination: Destination, body: bytes) -> tuple[int, float]:
    """Status, and for how many seconds the server wants us to stay away."""
    headers = {"Content-Type": "application/json", "User-Agent": f"cgstatd/{__version__}"}
    if destination.secret_file:
        headers |= await asyncio.to_thread(read_secret, destination.secret_file)
    tls = await destination.tls()
    # A session each time: between two notifications there may be days, and certificates are renewed meanwhile.
    async with (
        aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            max_line_size=_HEAD_BYTES,
            max_field_size=_HEAD_BYTES,
            response_class=FewInterim,
        ) as session,
        session.post(destination.url, data=body, headers=headers, ssl=tls, allow_redirects=False) as response,
    ):
        said = response.headers.get("Retry-After", "")
        status = response.status
        response.close()  # whatever follows is not read
        return status, float(said) if is_number(said, 6) else 0.0


def _why(error: Exception) -> str:
    """Never with the URL: its path and query may be a secret."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not accepted: {printable(str(error.certificate_error), 200)}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return printable(error.strerror or str(error.os_error), 200)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the server closed the connection without an answer"
    if isinstance(error, TooManyInterim):
        return str(error)
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return type(error).__name__
