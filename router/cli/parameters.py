"""Values as people type them on the command line. Each says in its error what it wants."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError

from router.config.schema import Url
from router.spec import parse_duration

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[ -~\x80-\xff\t]*")
_FRAMING = ("content-length", "transfer-encoding", "connection")

_urls: TypeAdapter[str] = TypeAdapter(Url)


class MomentParameter(click.ParamType[datetime]):
    """A moment as ISO 8601, local time unless it names an offset, or as a duration before now: `2h`."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            return datetime.now(UTC) - timedelta(seconds=parse_duration(value))
        except ValueError:
            pass
        try:
            return datetime.fromisoformat(value).astimezone(UTC)
        except ValueError:
            self.fail(
                f"{value!r}: write a moment such as 2026-01-31T09:00 (local time) or 2026-01-31T08:00Z,"
                " or a time before now such as 2h",
                param,
                ctx,
            )


class DurationParameter(click.ParamType[float]):
    """A duration as the YAML has it, `30s`, in seconds; not nothing."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            seconds = parse_duration(value)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)
        if not seconds:
            self.fail(f"{value!r}: a time of nothing", param, ctx)
        return seconds


class UrlParameter(click.ParamType[str]):
    """A base URL as the YAML has it."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return _urls.validate_python(value)
        except ValidationError as error:
            message = error.errors()[0]["msg"].removeprefix("Value error, ")
            self.fail(f"{value!r}: {message}", param, ctx)


class HeaderParameter(click.ParamType[tuple[bytes, bytes]]):
    """A header as `NAME:VALUE`; the name comes out in lower case."""

    name = "header"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[bytes, bytes]:
        if isinstance(value, tuple):
            return value
        name, colon, content = value.partition(":")
        if not colon or not _NAME.fullmatch(name) or not _VALUE.fullmatch(content):
            self.fail(f"{value!r}: write NAME:VALUE, such as 'authorization: Bearer abc'", param, ctx)
        if name.lower() in _FRAMING:
            self.fail(f"{value!r}: {name} follows from the request and can't be set", param, ctx)
        return name.lower().encode(), content.strip().encode("latin-1")
