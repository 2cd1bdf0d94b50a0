"""The YAML as frozen models: what a person wants, checked as far as one file can say.

Floor 3. What needs two places at once (a version that is not defined, two deployments with one match) is
left to `checks`, which also works where a part of the file is wrong: everything is reported in one go.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from router.config.limits import ClientLimitsSpec, DeploymentLimitsSpec, LimitsSpec, RetriesSpec
from router.config.notify import NotifySpec
from router.config.observing import AccessLogSpec, TracingSpec, compile_observing
from router.config.tls import Tls, UpstreamTlsSpec
from router.pairs.settings import PairSettings, SubjectSource
from router.pairs.sinks import AnySink
from router.patterns.blue_green import BlueGreenPattern
from router.patterns.canary import CanaryPattern, StickySource
from router.patterns.observing import Observing
from router.patterns.plan import Match
from router.patterns.shadow import ShadowPattern
from router.rollout.steps import Ramp, ShadowWatch, Switch
from router.spec import Duration, Size, Spec

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_METHOD = re.compile(r"[A-Z]{1,20}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HOST = re.compile(r"(?!.*\.\.)[^\s:/*@.][^\s:/*@]{0,252}|\[[0-9A-Fa-f:.]+\]")
_PRINTABLE = re.compile(r"[!-~]*")
_LOOPBACK = re.compile(r"(127(\.\d{1,3}){3}|localhost|\[::1\]):\d+")


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(
            "a name is made of letters, digits, dots, dashes and underscores, at most 63 of them"
        )
    return name


def _as_text(value: Any) -> Any:
    """A port alone is a number in YAML: what it lacks is the host, and not quotes."""
    return str(value) if type(value) is int else value


def _check_address(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or not 0 <= int(port) <= 65535 or (":" in host and host[0] != "["):
        raise ValueError("an address is host:port, such as 127.0.0.1:8080 or [::1]:8080")
    return value


def _check_url(value: str) -> str:
    if not _PRINTABLE.fullmatch(value):
        raise ValueError(
            "a URL has no spaces; characters beyond ASCII are written as %C3%BC, hosts as xn--..."
        )
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(
            "a URL names scheme and host, such as http://127.0.0.1:9001 or https://models:443/base"
        )
    try:
        _ = parts.port
    except ValueError:
        raise ValueError("the port of a URL lies between 0 and 65535") from None
    if parts.query or parts.fragment or parts.username or parts.password:
        raise ValueError("a URL here has no query, fragment, user or password")
    return value


Name = Annotated[str, AfterValidator(_check_name)]
Address = Annotated[str, BeforeValidator(_as_text), AfterValidator(_check_address)]
Url = Annotated[str, AfterValidator(_check_url)]


class ListenSpec(Spec):
    """One address the data plane listens on."""

    address: Address
    tls: Tls | None = None


def _listeners(value: Any) -> Any:
    items = value if isinstance(value, list) else [value]
    return [{"address": item} if isinstance(item, str | int) else item for item in items]


class _AddressOrMany:
    """Annotation for `listen`: an address, a mapping, or a list of either."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_listeners, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        many = handler(schema)
        one = [{"type": "string"}, many["items"]]
        return {"anyOf": [*one, {**many, "items": {"anyOf": one}}]}


class AdminToken(Spec):
    """Who may call the admin API: viewers read, operators act."""

    name: Name
    token: str = Field("", min_length=8, repr=False)
    token_file: str = Field("", description="A file that holds the token, read anew with each reload.")
    role: Literal["operator", "viewer"] = "viewer"

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, value: Any) -> Any:
        if not isinstance(value, dict) or not isinstance(value.get("token_file"), str):
            return value
        if "token" in value:
            raise ValueError("token and token_file exclude each other: remove one of them")
        try:
            token = Path(value["token_file"]).read_text().strip()
        except (OSError, UnicodeError) as error:
            raise ValueError(f"token_file {value['token_file']} can't be read: {error}") from None
        return {name: each for name, each in value.items() if name != "token_file"} | {"token": token}

    @model_validator(mode="after")
    def _some_token(self) -> Self:
        if not self.token:
            raise ValueError("a token is missing: write token, or token_file with the file that holds it")
        return self


class AdminSpec(Spec):
    """`admin`: where the API listens, and who may use it."""

    listen: Address = "127.0.0.1:8081"
    tls: Tls | None = None
    tokens: tuple[AdminToken, ...] = ()

    @model_validator(mode="after")
    def _no_open_door(self) -> Self:
        if not self.tokens and not _LOOPBACK.fullmatch(self.listen):
            raise ValueError(
                f"admin on {self.listen} is reachable from outside: add tokens, or listen on 127.0.0.1"
            )
        return self


class StateSpec(Spec):
    """`state`: where the journal lives."""

    path: str = Field("var/router.db", min_length=1)


class RotateSpec(Spec):
    """When a pair file is closed and a new one begun."""

    size: Size = 128 << 20
    every: Duration = 3600.0


class PairLogSpec(Spec):
    """`pairs`: where the pair log is written, how long it is kept, and where else pairs go."""

    path: str = Field("var/pairs", min_length=1)
    rotate: RotateSpec = RotateSpec()
    keep: Duration = 7 * 86400.0
    sinks: tuple[AnySink, ...] = ()

    @field_validator("sinks")
    @classmethod
    def _told_apart(cls, sinks: tuple[AnySink, ...]) -> tuple[AnySink, ...]:
        labels = [sink.label for sink in sinks]
        for label in labels:
            if labels.count(label) > 1:
                raise ValueError(f"two sinks are called {label}: give each a name of its own")
        return sinks


def _is_host(name: str) -> bool:
    """Whether the name can be written as labels of a domain, each of at most 63 characters."""
    try:
        return bool(name.encode("idna"))
    except UnicodeError:
        return False


class MatchSpec(Spec):
    """`match`: which requests belong to a deployment; all that is given must hold."""

    path: str | None = None
    host: str | None = Field(None, min_length=1)
    methods: tuple[str, ...] = ()
    headers: dict[str, str] = {}

    @field_validator("path")
    @classmethod
    def _path(cls, path: str | None) -> str | None:
        if path is None:
            return None
        if not path.startswith("/"):
            raise ValueError("a path begins with /")
        segments = path.split("/")[1:]
        for index, segment in enumerate(segments):
            if "*" in segment and segment not in ("*", "**"):
                raise ValueError("* stands for one whole segment and ** for the rest: write /a/*/b or /a/**")
            if segment == "**" and index != len(segments) - 1:
                raise ValueError("** stands last: it matches the rest of the path")
        if "?" in path or "#" in path:
            raise ValueError("a path is matched without query and fragment")
        return path

    @field_validator("host")
    @classmethod
    def _host(cls, host: str | None) -> str | None:
        if host is not None and not (_HOST.fullmatch(host) and _is_host(host)):
            raise ValueError("a host is one name or address without port, such as models.example.com")
        return host

    @field_validator("methods")
    @classmethod
    def _methods(cls, methods: tuple[str, ...]) -> tuple[str, ...]:
        for method in methods:
            if not _METHOD.fullmatch(method):
                raise ValueError(f"{method!r} is no method: write it in capitals, such as POST")
        return methods

    @field_validator("headers")
    @classmethod
    def _headers(cls, headers: dict[str, str]) -> dict[str, str]:
        for name in headers:
            if not _TOKEN.fullmatch(name):
                raise ValueError(f"{name!r} is no header name")
        if len({name.lower() for name in headers}) < len(headers):
            raise ValueError("header names do not differ by case alone: one of them stands here twice")
        return headers

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.path is None and self.host is None and not self.methods and not self.headers:
            raise ValueError("a match needs at least one of path, host, methods and headers")
        return self

    def compile(self) -> Match:
        """What `patterns.matching` looks requests up by."""
        headers = sorted((name.lower(), value) for name, value in self.headers.items())
        return Match((self.host or "").lower(), self.path or "", tuple(sorted(self.methods)), tuple(headers))


class HealthSpec(Spec):
    """`health`: an active check; an endpoint that fails it gets no requests."""

    path: str = Field(pattern="^/")
    every: Duration = Field(2.0, gt=0)
    timeout: Duration = Field(1.0, gt=0)


class VersionModel(Spec):
    """One model version: `url`, or several `urls`."""

    url: Url | None = None
    urls: tuple[Url, ...] = ()
    health: HealthSpec | None = None
    limits: LimitsSpec = LimitsSpec()
    tls: UpstreamTlsSpec | None = None

    @model_validator(mode="after")
    def _some_url(self) -> Self:
        if (self.url is None) == (not self.urls):
            raise ValueError("a version has either url or urls")
        return self

    @model_validator(mode="after")
    def _tls_where_it_is_spoken(self) -> Self:
        plain = [url for url in self.endpoints if not url.startswith("https:")]
        if self.tls is not None and plain:
            raise ValueError(f"tls is for https, and {plain[0]} is not: write https:// there, or remove tls")
        return self

    @property
    def endpoints(self) -> tuple[str, ...]:
        return self.urls or ((self.url,) if self.url is not None else ())


class TimeoutsSpec(Spec):
    """`timeouts`: to connect, to the first byte, between bytes, in all."""

    connect: Duration = Field(1.0, gt=0)
    first_byte: Duration = Field(30.0, gt=0)
    idle: Duration = Field(60.0, gt=0)
    total: Duration = Field(600.0, gt=0)


class ShadowRollout(ShadowPattern, ShadowWatch):
    """`rollout: {pattern: shadow}`."""


class CanaryRollout(CanaryPattern, Ramp):
    """`rollout: {pattern: canary}`."""


class BlueGreenRollout(BlueGreenPattern, Switch):
    """`rollout: {pattern: blue_green}`."""


Rollout = Annotated[ShadowRollout | CanaryRollout | BlueGreenRollout, Discriminator("pattern")]


class DeploymentSpec(Spec):
    """One entry of `deployments`."""

    match: MatchSpec
    versions: dict[Name, VersionModel] = Field(min_length=1)
    timeouts: TimeoutsSpec = TimeoutsSpec()
    limits: DeploymentLimitsSpec = DeploymentLimitsSpec()
    retries: RetriesSpec = RetriesSpec()
    pairs: PairSettings = PairSettings()
    rollout: Rollout | None = None

    @property
    def subject(self) -> SubjectSource | None:
        """Whom a request is about: what `pairs` says, else the sticky key. A client's address is in no capture."""
        if self.pairs.subject is not None or not isinstance(self.rollout, CanaryRollout):
            return self.pairs.subject
        sticky = self.rollout.sticky
        if not isinstance(sticky, StickySource):
            return None
        return SubjectSource(header=sticky.header, cookie=sticky.cookie)


class Config(Spec):
    """The whole file."""

    listen: Annotated[tuple[ListenSpec, ...], Field(min_length=1), _AddressOrMany()] = (
        ListenSpec(address="127.0.0.1:8080"),
    )
    workers: Annotated[int, Field(ge=1, le=256)] | Literal["auto"] = "auto"
    drain_timeout: Duration = 30.0
    orphan_timeout: Duration = 3600.0
    limits: ClientLimitsSpec = ClientLimitsSpec()
    admin: AdminSpec = AdminSpec()
    state: StateSpec = StateSpec()
    pairs: PairLogSpec = PairLogSpec()
    notify: tuple[NotifySpec, ...] = ()
    access_log: AccessLogSpec | None = None
    tracing: TracingSpec | None = None
    deployments: dict[Name, DeploymentSpec] = Field(min_length=1)

    @property
    def observing(self) -> Observing:
        """What workers tell of single requests."""
        return compile_observing(self.access_log, self.tracing)
