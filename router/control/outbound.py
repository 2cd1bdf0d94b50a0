"""Calls to other people's servers: gates that ask, and notices. Floor 4.

Nothing out there may hold anything up or grow in memory: a call has so many seconds in all, of its answer so many
bytes are kept, redirects are not followed, cookies are not kept, proxies of the environment are not used.

httpx and the system's authorities are loaded when a configuration names somebody to call: they take a tenth of a
second, which a router that calls nobody need not spend at its start.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from contextlib import suppress
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, NamedTuple

import router
from router.errors import RouterError
from router.rollout.gates.asking import Call

if TYPE_CHECKING:
    import httpx

MAX_ANSWER = 64 << 10
"""Bytes of an answer that are kept; the rest is not read."""

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0


class NoAnswer(RouterError):
    """Nothing came back that could be read; the text says why, without URL and headers (they may hold secrets)."""


class Reply(NamedTuple):
    """An answer: its status, the beginning of its body, and after how many seconds it asks to be called again (0:
    it does not say)."""

    status: int
    body: bytes
    retry_after: float


class Outbound:
    """A client for such calls; many may run at once."""

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None

    def prepare(self) -> None:
        """Loads what calls need, once. It holds up whoever says so: say it before there is anything to send. What can't
        be loaded now, for want of descriptors, is tried again with each call."""
        with suppress(OSError):
            self._made()

    def _made(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = _client()
        return self._client

    async def send(self, call: Call, timeout: float) -> Reply:
        """Sends it and reads the answer, all within `timeout` seconds. Raises NoAnswer."""
        try:
            import httpx  # noqa: PLC0415

            client = self._made()
        except OSError as error:
            raise NoAnswer(f"nothing can be called from here: {error.strerror}") from None
        try:
            async with (
                asyncio.timeout(timeout),
                client.stream(
                    call.method, call.url, headers=call.headers, content=call.body or None
                ) as answer,
            ):
                body = await _beginning(answer)
                return Reply(answer.status_code, body, _seconds(answer.headers.get("retry-after", "")))
        except TimeoutError:
            raise NoAnswer(f"no answer within {timeout:g} s") from None
        except httpx.ConnectError as error:
            raise NoAnswer(f"it can't be reached: {error}") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise NoAnswer(f"the call broke off ({type(error).__name__})") from None

    async def close(self) -> None:
        """Ends all connections."""
        if self._client is not None:
            await self._client.aclose()


def _client() -> httpx.AsyncClient:
    import httpx  # noqa: PLC0415

    return httpx.AsyncClient(
        headers={"user-agent": f"router/{router.__version__}", "accept-encoding": "identity"},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        follow_redirects=False,
        trust_env=False,
        timeout=None,
        verify=ssl.create_default_context(),  # the system's authorities, as in the data plane
    )


def pause(attempt: int) -> float:
    """Seconds to wait before the next attempt after so many: twice as long each time, and not all in step."""
    longest = min(FIRST_PAUSE * 2.0 ** min(attempt - 1, 16), LONGEST_PAUSE)
    return longest * random.uniform(0.5, 1.0)


async def _beginning(answer: httpx.Response) -> bytes:
    body = bytearray()
    async for piece in answer.aiter_raw():  # as it came: what is packed could be endless
        body += piece
        if len(body) >= MAX_ANSWER:
            break
    return bytes(body[:MAX_ANSWER])


def _seconds(text: str) -> float:
    """A `Retry-After` in seconds; dates and nonsense say nothing."""
    return min(float(text), LONGEST_PAUSE) if text.isascii() and text.isdigit() and len(text) < 9 else 0.0
