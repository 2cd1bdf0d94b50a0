"""What controller and workers tell each other. Counts are cumulative since the sender started."""

import msgspec

from router.channel.frame import Frame


class Listener(msgspec.Struct, frozen=True):
    """A listening socket handed to a worker: its descriptor there, and the TLS files (empty: plain)."""

    fd: int
    address: str
    cert: str = ""
    key: str = ""


class Start(Frame, frozen=True):
    """First frame to a worker: what it listens on, and where the recorder and its own rescue socket are, and the
    file for its last counts.

    Without a controller for `orphan_timeout` seconds it drains itself, for `drain_timeout` seconds at most.
    """

    index: int
    listeners: tuple[Listener, ...]
    recorder: str
    rescue: str
    last_counts: str
    drain_timeout: float = 30.0
    orphan_timeout: float = 3600.0


class Certificates(Frame, frozen=True):
    """The files of certificate and key that handshakes use from now on, by address of the listener."""

    files: dict[str, tuple[str, str]]


class Publish(Frame, frozen=True):
    """A snapshot (`patterns.plan.encode_snapshot`) to put in force; answered with Applied."""

    generation: int
    snapshot: bytes


class Applied(Frame, frozen=True):
    """The worker has this generation in force: no request that arrives later sees an older one."""

    generation: int


class EndpointsDown(Frame, frozen=True):
    """All endpoint URLs whose active health check fails now."""

    urls: tuple[str, ...]


class Drain(Frame, frozen=True):
    """Stop accepting, finish what is in flight, leave after `grace` seconds at the latest.

    Idle client connections are closed at once where `close_idle` says so (the whole router stops), else they
    are told with their next answer (another worker took over the socket).
    """

    grace: float
    close_idle: bool = False


class LogLevel(Frame, frozen=True):
    """What the log says at least, from now on (`logs.LEVELS`)."""

    level: str


class Histogram(msgspec.Struct, frozen=True):
    """A log-bucket histogram (`telemetry.counters`): counts by bucket index, and the sum in seconds."""

    counts: dict[int, int]
    sum: float


class SeriesTally(msgspec.Struct, frozen=True):
    """What one worker counted for one (deployment, version, role, cohort, slice); every request in one of them.

    A cohort is the requests that were routed under one exposure (`patterns.plan.Plan.cohort`), stamped when they
    were routed. Cohort 0 is no evidence: requests that named their version, previews, and answers given in place
    of another version. `slice` is `<name>=<value>` where a gate asks for segments, else empty.

    `fallbacks` are requests this version could not answer, so that another one did; they are in no `codes`.
    `broken` are answers that the version broke off after their head: the code says nothing of it.
    `causes` are hashes of (client, kind of failure), each told when it is first seen: kept only where repeated
    failures of one client count once.
    """

    deployment: str
    version: str
    role: str
    codes: dict[int, int]
    duration: Histogram
    first_byte: Histogram
    in_flight: int
    cohort: int = 0
    slice: str = ""
    fallbacks: int = 0
    broken: int = 0
    causes: tuple[int, ...] = ()


class Tally(Frame, frozen=True):
    """A worker's counts: only the series that changed since the last frame, each in full.

    `events` are the rare counters: (metric name, *label values) -> count.
    `ejected` are the endpoint URLs this worker passes over after failures.
    """

    series: tuple[SeriesTally, ...]
    events: tuple[tuple[tuple[str, ...], int], ...]
    ejected: tuple[str, ...] = ()


class Ended(Frame, frozen=True):
    """What all workers that have ended had counted; those of `workers`, by name, may lie in files of their own too."""

    counts: Tally
    workers: tuple[str, ...]


class Orphan(Frame, frozen=True):
    """A worker whose controller died tells the next one who it is; the sockets come as ancillary data."""

    pid: int
    index: int
    generation: int
    listeners: tuple[Listener, ...]
