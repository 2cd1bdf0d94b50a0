"""The new version, over HTTP/1.1: sends a request and says what came back, in the words of a capture."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

import httpx

from router.channel import CapturedAnswer, Message
from router.pairs.replay import Outgoing

MAX_BODY = 16 << 20
"""Bytes of an answer that are read; one that goes on is cut and counts as truncated."""

IDLE = 2.0
"""Seconds a connection is kept for the next request: less than any model server we know waits before it closes."""


class _Reading:
    """An answer as far as it has come; it outlives the failure that ends it."""

    __slots__ = ("_clock", "_start", "body", "cut", "first_byte", "headers", "size", "status")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._start = clock()
        self.status = 0
        self.headers: tuple[tuple[bytes, bytes], ...] = ()
        self.body = bytearray()
        self.size = 0
        self.cut = False
        self.first_byte = -1.0

    def elapsed(self) -> float:
        return (self._clock() - self._start) * 1000

    def head(self, response: httpx.Response) -> None:
        self.first_byte = self.elapsed()
        self.status = response.status_code
        self.headers = tuple(response.headers.raw)

    def more(self, chunk: bytes) -> None:
        self.size += len(chunk)
        self.body += chunk[: MAX_BODY - len(self.body)]
        self.cut = self.size > len(self.body)


class Target:
    """One base URL. At most `connections` are open; a request is over after `timeout` seconds, whatever it does.

    Nothing is sent twice, and no redirect is followed.
    """

    def __init__(
        self, url: str, name: str, *, connections: int, timeout: float, clock: Callable[[], float]
    ) -> None:
        self._url = url.rstrip("/")
        self._name = name
        self._timeout = timeout
        self._clock = clock
        self._prefix = httpx.URL(self._url).raw_path.rstrip(b"/")
        limits = httpx.Limits(
            max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=IDLE
        )
        self._client = httpx.AsyncClient(limits=limits, timeout=timeout, trust_env=False)

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def send(self, outgoing: Outgoing) -> CapturedAnswer:
        """The answer, or the failed try to get one: `error` is then one of the router's own words for it."""
        reading, error = _Reading(self._clock), ""
        try:
            async with asyncio.timeout(self._timeout):
                await self._exchange(outgoing, reading)
        except (TimeoutError, httpx.TimeoutException):
            error = "timeout"
        except httpx.ConnectError:
            error = "connect_failed"
        except httpx.NetworkError:
            error = "upstream_reset"
        except httpx.RemoteProtocolError as failure:
            # One class for both; only its words tell a connection that ended from bytes that are no HTTP.
            ended = "disconnected" in str(failure) or "closed connection" in str(failure)
            error = "upstream_reset" if ended else "bad_upstream_answer"
        except (httpx.HTTPError, ValueError):  # ValueError: what h11 refuses to send
            error = "bad_request"
        return self._answer(reading, error)

    async def _exchange(self, outgoing: Outgoing, reading: _Reading) -> None:
        request = httpx.Request(
            outgoing.method,
            self._url,
            headers=list(outgoing.headers),
            content=outgoing.body,
            # The recorded target byte by byte: a URL would be normalised.
            extensions={"target": self._prefix + outgoing.target},
        )
        response = await self._client.send(request, stream=True)
        try:
            reading.head(response)
            async for chunk in response.aiter_raw():
                reading.more(chunk)
                if reading.cut:
                    break
        finally:
            await response.aclose()

    def _answer(self, reading: _Reading, error: str) -> CapturedAnswer:
        message = Message(
            reading.headers, bytes(reading.body), reading.size, reading.cut or bool(error and reading.size)
        )
        return CapturedAnswer(
            version=self._name,
            endpoint=self._url,
            status=reading.status,
            message=message,
            latency_ms=reading.elapsed(),
            first_byte_ms=reading.first_byte,
            error=error,
        )
