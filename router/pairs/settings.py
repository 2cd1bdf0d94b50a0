"""The `pairs` section of a deployment: how its pairs are compared, and what is kept of them."""

import re
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    SecretStr,
    SerializationInfo,
    field_serializer,
    field_validator,
    model_validator,
)

from router.pairs.comparators import Comparator
from router.pairs.comparators.json import JsonComparator
from router.pairs.pointer import Pointer, covers, overlap, split
from router.spec import Spec

MAX_SLICES = 8
"""Slices of one deployment: every one of them counts each pair once more."""

MIN_KEY = 16
"""Characters of a hash key: a shorter one can be guessed, and with it every value that was hashed."""

ALWAYS_DROPPED = ("authorization", "cookie", "set-cookie", "proxy-authorization", "x-api-key", "api-key")
"""Headers that hold credentials: dropped whatever else `redact` names, unless `hash` names them."""

_SLICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_REVEAL = "reveal secrets"


def _check_slice_name(name: str) -> str:
    if not _SLICE_NAME.fullmatch(name):
        raise ValueError(
            "a slice's name is made of letters, digits, dots, dashes and underscores, at most 32"
        )
    return name


def _check_literal(pointer: str) -> str:
    if "*" in split(pointer):
        raise ValueError(f"{pointer!r} names many values: a pointer here has no *")
    return pointer


LiteralPointer = Annotated[Pointer, AfterValidator(_check_literal)]
"""A pointer to one value."""


class _Places(Spec):
    request: tuple[Pointer, ...] = ()
    response: tuple[Pointer, ...] = ()
    headers: tuple[str, ...] = ()
    query: tuple[str, ...] = ()


class RedactSpec(_Places):
    """`redact`: pointers into request and answers, names of headers and of query parameters, that never leave
    memory."""

    headers: tuple[str, ...] = ALWAYS_DROPPED

    @field_validator("headers")
    @classmethod
    def _with_credentials(cls, headers: tuple[str, ...]) -> tuple[str, ...]:
        named = {name.lower() for name in headers}
        return (*headers, *(name for name in ALWAYS_DROPPED if name not in named))


class HashSpec(_Places):
    """`hash`: the same places; instead of the value its HMAC-SHA256 is kept, so that equal values stay joinable."""

    key: SecretStr

    @field_validator("key")
    @classmethod
    def _long_enough(cls, key: SecretStr) -> SecretStr:
        if len(key.get_secret_value()) < MIN_KEY:
            raise ValueError(
                f"the key has at least {MIN_KEY} characters; `openssl rand -hex 32` makes a good one"
            )
        return key

    @field_serializer("key")
    def _mask(self, key: SecretStr, info: SerializationInfo) -> str:
        """Masked wherever the settings are shown; only `PairSettings.wire` asks for the key itself."""
        return key.get_secret_value() if info.context == _REVEAL else str(key)


class KeepSpec(Spec):
    """`keep_only`: where a list is given, everything of its kind that it does not name is dropped."""

    request: tuple[Pointer, ...] | None = None
    response: tuple[Pointer, ...] | None = None
    headers: tuple[str, ...] | None = None
    query: tuple[str, ...] | None = None


class _Source(Spec):
    # `json` is a method of pydantic's models, so the field has another name than its key.
    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    header: str | None = Field(None, min_length=1)
    pointer: LiteralPointer | None = Field(None, alias="json")


class SliceSource(_Source):
    """One of `slices`: `{header: NAME}` or `{json: POINTER}` into the request."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.header is None) == (self.pointer is None):
            raise ValueError("name exactly one of header and json")
        return self


class SubjectSource(_Source):
    """`subject`: `{header: NAME}`, `{cookie: NAME}` or `{json: POINTER}`: who a request is about, for erasure."""

    cookie: str | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if [self.header, self.cookie, self.pointer].count(None) != 2:
            raise ValueError("name exactly one of header, cookie and json")
        return self


Slices = Annotated[
    dict[Annotated[str, AfterValidator(_check_slice_name)], SliceSource], Field(max_length=MAX_SLICES)
]


class PairSettings(Spec):
    """`pairs` of a deployment. Without `subject` a rollout's sticky key is it."""

    compare: Comparator = JsonComparator()
    redact: RedactSpec = RedactSpec()
    hash: HashSpec | None = None
    keep_only: KeepSpec = KeepSpec()
    slices: Slices = {}
    subject: SubjectSource | None = None

    def wire(self, subject: SubjectSource | None) -> bytes:
        """The settings as JSON for the recorder, with the key of `hash`; `subject` stands in for a missing one."""
        settings = self if self.subject else self.model_copy(update={"subject": subject})
        return settings.model_dump_json(context=_REVEAL).encode()

    @model_validator(mode="after")
    def _drop_or_hash(self) -> Self:
        for kind in ("request", "response", "headers", "query") if self.hash else ():
            dropped = _lowered(kind, getattr(self.redact, kind))
            both = dropped & _lowered(kind, getattr(self.hash, kind))
            if kind == "headers":
                both -= set(ALWAYS_DROPPED)
            if both:
                raise ValueError(
                    f"redact drops {min(both)} and hash keeps its digest: name it in one of them only"
                )
        return self

    @model_validator(mode="after")
    def _slices_are_kept(self) -> Self:
        for name, source in self.slices.items():
            problem = (
                _lost_header(self, source.header) if source.header else _lost_value(self, source.pointer)
            )
            if problem:
                raise ValueError(f"slices.{name} reads {source.header or source.pointer}, which {problem}")
        return self


def _lowered(kind: str, names: tuple[str, ...]) -> set[str]:
    return {name.lower() for name in names} if kind == "headers" else set(names)


def _lost_header(settings: PairSettings, header: str) -> str:
    hashed = settings.hash.headers if settings.hash else ()
    if header.lower() in _lowered("headers", settings.redact.headers) - _lowered("headers", hashed):
        return "redact drops: hash it, or slice by something else"
    kept = settings.keep_only.headers
    if kept is not None and header.lower() not in _lowered("headers", kept):
        return "keep_only drops: name it there as well"
    return ""


def _lost_value(settings: PairSettings, pointer: str | None) -> str:
    segments = split(pointer or "")
    if any(overlap(split(dropped), segments) for dropped in settings.redact.request):
        return "redact drops: hash it, or slice by something else"
    hashed = settings.hash.request if settings.hash else ()
    if any(covers(split(each), segments) and len(split(each)) < len(segments) for each in hashed):
        return "lies within what hash makes one digest of: hash it by itself"
    kept = settings.keep_only.request
    if kept is not None and not any(covers(split(each), segments) for each in kept):
        return "keep_only drops: name it there as well"
    return ""
