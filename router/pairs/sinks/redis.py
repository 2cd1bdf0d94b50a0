"""Pairs on a Redis stream: `XADD <stream> MAXLEN ~ <n> * deployment … id … verdict … pair <JSON>`.

Needs the extra `redis`. A batch travels as one pipeline; where it is cut off in the middle, its beginning is
added twice. Readers tell by `exchange` and the shadow's version inside `pair`.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import msgspec
from pydantic import AfterValidator, Field, model_validator

from router.pairs.sinks.base import Courier, SinkSpec, Unacceptable, Undelivered


def _check_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise ValueError("a URL names scheme and host, such as redis://127.0.0.1:6379/0 or rediss://…")
    if parts.username or parts.password:
        raise ValueError("a URL here has no user and password: set the keys username and password instead")
    return value


class RedisSink(SinkSpec):
    """`redis: {url: ...}`. `length` is how many pairs the stream keeps, roughly; `password` is never shown."""

    tag: Literal["redis"] = "redis"
    url: Annotated[str, AfterValidator(_check_url)]
    stream: str = Field("router:pairs", min_length=1)
    length: int = Field(100_000, ge=1)
    username: str | None = None
    password: str | None = Field(None, repr=False)

    @model_validator(mode="after")
    def _installed(self) -> Self:
        if find_spec("redis") is None:
            raise ValueError("needs the package redis: pip install 'router[redis]'")
        return self

    def courier(self) -> Courier:
        """A courier with a connection of its own."""
        return _Redis(self)

    def masked(self) -> dict[str, object]:
        """The settings without the password."""
        return {**super().masked(), "password": None if self.password is None else "***"}


class _Head(msgspec.Struct, frozen=True):
    id: str
    deployment: str
    verdict: str


_decoder = msgspec.json.Decoder(_Head)


def fields(record: bytes) -> dict[Any, Any]:
    """The fields of the entry of one pair. Raises msgspec.DecodeError when it is no pair."""
    head = _decoder.decode(record)
    return {
        "deployment": head.deployment,
        "id": head.id,
        "verdict": head.verdict,
        "pair": record.rstrip(b"\n"),
    }


class _Redis:
    """Adds entries to one stream."""

    def __init__(self, spec: RedisSink) -> None:
        from redis import RedisError  # noqa: PLC0415  an optional extra
        from redis.asyncio import Redis  # noqa: PLC0415
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415

        self._spec = spec
        self._trouble = RedisError
        self._client = Redis.from_url(
            spec.url,
            username=spec.username,
            password=spec.password,
            client_name="router",
            retry=Retry(NoBackoff(), 0),  # the outlet tries again
        )

    async def deliver(self, records: Sequence[bytes]) -> None:
        """All of them in one pipeline."""
        try:
            entries = [fields(record) for record in records]
        except msgspec.DecodeError as error:
            raise Unacceptable(f"a record is no pair: {error}") from error
        try:
            async with self._client.pipeline(transaction=False) as pipeline:
                for entry in entries:
                    pipeline.xadd(self._spec.stream, entry, maxlen=self._spec.length, approximate=True)
                await pipeline.execute()
        except self._trouble as error:
            raise Undelivered(str(error) or type(error).__name__) from error

    async def close(self) -> None:
        """Closes the connection."""
        await self._client.aclose()
