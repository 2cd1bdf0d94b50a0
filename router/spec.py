"""What every configuration model shares: the strict base model, the units people write, and the URLs it calls.

Floor 0. Durations are seconds (float), shares are fractions of 1 with four decimals, sizes are bytes.
"""

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from router.shares import SHARE_PARTS

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST = 36500 * 86400.0
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB|KB|MB|GB)")
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_LARGEST = 1 << 50
_URL = re.compile(r"https?://[!-~]+")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t -~]*")


class Spec(BaseModel):
    """A piece of the YAML: immutable, and no key is accepted that it does not name."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def parse_duration(value: Any) -> float:
    """Seconds from `250ms`, `30s`, `1h30m` or a plain `0`. Raises ValueError for anything else."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if value == 0:
            return 0.0
        raise ValueError(f"a duration needs a unit: write {value}s, {value}m or {value}h")
    text = str(value).strip()
    if not re.fullmatch(rf"(?:{_DURATION.pattern})+", text):
        raise ValueError("a duration is a number with a unit, such as 250ms, 30s, 10m, 1h or 7d")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(text))
    if seconds > _LONGEST:
        raise ValueError("a duration is at most 36500d")
    return seconds


def parse_share(value: Any) -> float:
    """A fraction in [0, 1] from `5%` or `0.05`, in steps of 0.01 %. Raises ValueError otherwise."""
    rule = "a share lies between 0% and 100%, written as 5% or 0.05"
    if isinstance(value, bool):
        raise ValueError(rule)
    text = str(value).strip()
    percent = text.endswith("%")
    try:
        number = float(text[:-1] if percent else text)
    except ValueError:
        raise ValueError(rule) from None
    fraction = number / 100 if percent else number
    if not 0.0 <= fraction <= 1.0:
        if not percent and 1.0 < number <= 100.0:
            rule += f"; did you mean {text}%?"
        raise ValueError(rule)
    parts = fraction * SHARE_PARTS
    if abs(parts - round(parts)) > 1e-6:
        raise ValueError("a share is a multiple of 0.01%")
    return round(parts) / SHARE_PARTS


def parse_size(value: Any) -> int:
    """Bytes from `64KiB`, `128MiB` or a plain number of bytes. Raises ValueError otherwise."""
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise ValueError("a size is not negative")
        return _bounded(value)
    match = _SIZE.fullmatch(str(value).strip())
    if match is None:
        raise ValueError("a size is a number of bytes with a unit, such as 512B, 64KiB, 1MiB or 2GiB")
    return _bounded(float(match[1]) * _BYTES[match[2]])


def _bounded(size: float) -> int:
    if size > _LARGEST:
        raise ValueError("a size is at most 1048576GiB")
    return int(size)


_DURATION_SCHEMA = {
    "type": ["string", "integer"],
    "pattern": rf"^({_DURATION.pattern})+$",
    "examples": ["250ms", "30s"],
}
_SHARE_SCHEMA = {"type": ["string", "number"], "examples": ["5%", 0.05]}
_SIZE_SCHEMA = {"type": ["string", "integer"], "pattern": rf"^{_SIZE.pattern}$", "examples": ["64KiB"]}


def _as_written(seconds: float, info: SerializationInfo) -> float | str:
    """With a unit where the text is to be read again (`round_trip`), else the number."""
    return f"{seconds:f}s" if info.round_trip else seconds


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    PlainSerializer(_as_written),
    WithJsonSchema(_DURATION_SCHEMA),
]
"""Seconds; written as `250ms`, `30s`, `10m`, `1h30m`, `7d`."""

Share = Annotated[float, BeforeValidator(parse_share), WithJsonSchema(_SHARE_SCHEMA)]
"""A fraction of 1; written as `5%` or `0.05`."""

Size = Annotated[int, BeforeValidator(parse_size), WithJsonSchema(_SIZE_SCHEMA)]
"""Bytes; written as `64KiB`."""


def _check_url(url: str) -> str:
    rule = (
        "a URL that is called names scheme and host and has no spaces, such as https://checks:443/loan?key=a"
    )
    if not _URL.fullmatch(url):
        raise ValueError(rule)
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError("the port of a URL lies between 0 and 65535") from None
    if not parts.hostname or parts.fragment:
        raise ValueError(f"{rule}, and no fragment")
    if parts.username or parts.password:
        raise ValueError("a URL here has no user or password: send them as a header")
    return url


def _check_headers(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no header name")
        if not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"the value of {name} has characters that no header may have")
    return headers


CallUrl = Annotated[str, AfterValidator(_check_url)]
"""Where a call of ours goes: http or https. Path and query may hold secrets, and are shown to nobody."""

CallHeaders = Annotated[dict[str, str], AfterValidator(_check_headers)]
"""What a call of ours brings. Values may hold secrets, and are shown to nobody."""


def _unwrap(value: Any) -> Any:
    if isinstance(value, dict) and len(value) == 1:
        ((kind, body),) = value.items()
        if body is None:
            body = {}
        if isinstance(body, dict) and "tag" not in body:
            return {"tag": kind, **body}
    if isinstance(value, BaseModel):
        return value
    raise ValueError("name exactly one kind, with its settings: {kind: {setting: value}}")


def _wrap(value: Any, serialize: SerializerFunctionWrapHandler) -> Any:
    settings = serialize(value)
    return {settings.pop("tag"): settings}


class OneKey:
    """Annotation for a union discriminated by `tag` that people write as `{kind: {settings}}`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(
            _unwrap,
            handler(source),
            serialization=core_schema.wrap_serializer_function_ser_schema(_wrap),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        mapping = handler(schema)["discriminator"]["mapping"]
        return {
            "oneOf": [
                {
                    "type": "object",
                    "properties": {kind: {"$ref": ref}},
                    "required": [kind],
                    "additionalProperties": False,
                }
                for kind, ref in mapping.items()
            ]
        }
