"""Plans and snapshots: what the data plane executes, knowing nothing of patterns.

Floor 2. Everything here is an immutable value that travels from the controller to the workers as msgpack.
A pattern compiles itself and the present exposure to a Plan; all plans together are a Snapshot.
"""

from typing import Literal

import msgspec

from router.patterns.limits import ClientLimits, UpstreamTls
from router.patterns.observing import Observing


class Exposure(msgspec.Struct, frozen=True):
    """How far a rollout has come, as far as routing needs to know.

    `trusted` is the version that answers by default (stable, primary, live colour), `share` the part of
    the requests the other one answers and `mirror` the part that is copied, both of SHARE_PARTS.
    """

    trusted: str
    share: int = 0
    mirror: int = 0


class Key(msgspec.Struct, frozen=True):
    """Where the key of a sticky assignment is read. `name` is empty for client_ip."""

    kind: Literal["header", "cookie", "client_ip"]
    name: str = ""


class Force(msgspec.Struct, frozen=True):
    """A request header that names its version: exact values of `header` mapped to versions."""

    header: str
    versions: dict[str, str]


class Copies(msgspec.Struct, frozen=True):
    """Which versions get a copy of a sampled request, by the version that answers it; and their budget.

    `sample` is of SHARE_PARTS, drawn once a request so that all copies see the same requests.
    `timeout` in seconds; `max_in_flight` copies at once per worker; `max_body` bytes of a request's or
    an answer's body that are kept. Of the requests that are copied, `noise` (of SHARE_PARTS) go to the version
    that answers as well.
    """

    sample: int
    targets: dict[str, tuple[str, ...]]
    timeout: float
    max_in_flight: int
    max_body: int
    noise: int = 0


class Plan(msgspec.Struct, frozen=True):
    """Which requests go to which version, who gets a copy, who catches a failure.

    A request goes to `candidate` when its draw (of SHARE_PARTS; from `key` where given, else random) is
    below `share`, otherwise to `default`; `force` overrules both. `salt` goes into the hash of the key.
    `fallback` answers where the candidate could not. `cohort` numbers the exposure: requests are counted under
    it, and another share, mirror or candidate is another cohort; 0 where nothing is on trial. `count_causes`:
    failures of one client for one cause are told apart from others, so that they can count once.
    """

    default: str
    candidate: str = ""
    share: int = 0
    key: Key | None = None
    salt: bytes = b""
    force: Force | None = None
    copies: Copies | None = None
    fallback: str = ""
    cohort: int = 0
    count_causes: bool = False


class Segment(msgspec.Struct, frozen=True):
    """Requests are counted by the value of this header, at most `values` of them by themselves, the others as
    `other` and those without it as `none`."""

    name: str
    header: str
    values: int = 20


class VersionSpec(msgspec.Struct, frozen=True):
    """One model version: its base URLs, its limits for one worker (0: none), and how its endpoints are trusted.

    Requests beyond a limit wait, `queue` of them at most and for `queue_timeout` seconds.
    """

    name: str
    urls: tuple[str, ...]
    connections: int = 0
    in_flight: int = 0
    queue: int = 0
    queue_timeout: float = 1.0
    tls: UpstreamTls | None = None


class Timeouts(msgspec.Struct, frozen=True):
    """Seconds: to connect, to the first byte of the answer, between bytes, and in all."""

    connect: float = 1.0
    first_byte: float = 30.0
    idle: float = 60.0
    total: float = 600.0


class Match(msgspec.Struct, frozen=True):
    """Which requests belong to a deployment. Empty fields match everything.

    `path` is exact, or has segments `*` (one segment) and a last `**` (any rest, also none);
    `host` is lower case, without port; header names are lower case, values exact.
    """

    host: str = ""
    path: str = ""
    methods: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


class DeploymentPlan(msgspec.Struct, frozen=True):
    """All a worker needs to serve one deployment.

    `max_body` (0: no limit) is of a request, `answer_head` of an answer, both in bytes. Retries after a failed
    connection are at most `retry_budget` (of SHARE_PARTS) of its requests.
    """

    name: str
    match: Match
    versions: tuple[VersionSpec, ...]
    plan: Plan
    timeouts: Timeouts = Timeouts()
    retries: int = 1
    segment: Segment | None = None
    max_body: int = 64 << 20
    answer_head: int = 64 << 10
    retry_budget: int = 2000


class Snapshot(msgspec.Struct, frozen=True):
    """The whole routing state of the program at one moment."""

    generation: int
    deployments: tuple[DeploymentPlan, ...]
    clients: ClientLimits = ClientLimits()
    observing: Observing = Observing()


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Snapshot)


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """The snapshot as msgpack, as `channel.Publish` carries it."""
    return _encoder.encode(snapshot)


def decode_snapshot(data: bytes) -> Snapshot:
    """The reverse. Raises msgspec.DecodeError for anything else."""
    return _decoder.decode(data)
