"""The frames between the processes of one router, and the link they travel on.

Floor 1. A frame is a 4-byte big-endian length and a msgpack map tagged with its type. Counts are cumulative
since the sender started, so a lost or repeated frame does no harm.

    controller -> worker     Start, Publish, EndpointsDown, Drain
    worker -> controller     Applied, Tally
    worker -> recorder       Half; Capture is what the recorder makes of it
    recorder -> worker       Taken
    controller -> recorder   RecorderSettings, Erase, Drain
    recorder -> controller   RecorderTally, Erasing
    worker -> new controller Orphan (after the old one died; with the listening sockets attached)
"""

import asyncio
from collections.abc import Callable
from typing import cast

import msgspec

MAX_FRAME = 256 << 20
"""Bytes; what claims to be longer is no frame."""

_HEADER = 4


class Frame(msgspec.Struct, frozen=True, tag=True):
    """Base of all frames."""


class Listener(msgspec.Struct, frozen=True):
    """A listening socket handed to a worker: its descriptor there, and the TLS files (empty: plain)."""

    fd: int
    address: str
    cert: str = ""
    key: str = ""


class Start(Frame, frozen=True):
    """First frame to a worker: what it listens on, and where the recorder and its own rescue socket are."""

    index: int
    listeners: tuple[Listener, ...]
    recorder: str
    rescue: str


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


class Orphan(Frame, frozen=True):
    """A worker whose controller died tells the next one who it is; the sockets come as ancillary data."""

    pid: int
    index: int
    generation: int
    listeners: tuple[Listener, ...]


class Message(msgspec.Struct, frozen=True):
    """Headers and body of a captured message. `size` is the body's true size, `truncated` that the kept
    body is not the whole of it (cut at the limit, or broken off), `concealed` that redaction took something from
    it: what is left is JSON, or nothing."""

    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    size: int
    truncated: bool
    concealed: bool = False


class CapturedRequest(msgspec.Struct, frozen=True):
    """The request as the client sent it."""

    method: bytes
    target: bytes
    message: Message


class CapturedAnswer(msgspec.Struct, frozen=True):
    """One version's answer to it. `status` is 0 and `error` says why where none came; times in ms,
    `first_byte_ms` negative where no byte came.

    `error` also names what broke an answer off after its head.
    """

    version: str
    endpoint: str
    status: int
    message: Message
    latency_ms: float
    first_byte_ms: float
    error: str = ""


class Capture(Frame, frozen=True):
    """One half of a pair. Both halves carry the same `exchange` (unique for one request in one router).

    The half of the version that answered the client has `role` primary, brings the request and names the
    versions that got a copy in `copies`; each copy's half has role shadow. A version may be named in its own
    copies: how often it disagrees with itself is the noise. `cohort` is that of the request (`SeriesTally`).
    `subject` is who the request is about, hashed: the recorder adds it before redaction takes it away.
    """

    exchange: str
    role: str
    id: str
    time: float
    deployment: str
    generation: int
    answer: CapturedAnswer
    request: CapturedRequest | None = None
    copies: tuple[str, ...] = ()
    cohort: int = 0
    subject: str = ""


class Half(Frame, frozen=True, omit_defaults=True):
    """A Capture as a worker sends it: nothing is taken apart that the recorder can take apart (`pairs.halves`).

    `head` are the field lines of the answer as they came, `asked` the request's line and field lines (empty: this is
    the half of a copy). Times are in seconds, `first_byte` negative where no byte came.
    """

    exchange: bytes
    id: bytes
    time: float
    deployment: str
    generation: int
    cohort: int
    version: str
    endpoint: str
    status: int
    head: bytes
    body: bytes
    size: int
    truncated: bool
    latency: float
    first_byte: float
    error: str = ""
    asked: bytes = b""
    asked_body: bytes = b""
    asked_size: int = 0
    asked_truncated: bool = False
    copies: tuple[str, ...] = ()


class Taken(Frame, frozen=True):
    """So many more captures of this worker are the recorder's now: in its spool, or counted as dropped."""

    captures: int


class RecorderSettings(Frame, frozen=True):
    """What the recorder does with the captures of each deployment; replaces the settings before.

    `path`, `rotate_size` (bytes), `rotate_every` and `keep` (seconds) are the `pairs` section.
    `deployments` maps a name to its `pairs` section as JSON (`pairs.settings.PairSettings`), empty: defaults.
    `sinks` is the list of further sinks as JSON (`pairs.sinks`), empty: none.
    """

    path: str
    rotate_size: int
    rotate_every: float
    keep: float
    deployments: dict[str, bytes]
    sinks: bytes = b""


class Erase(Frame, frozen=True):
    """Take every record of the subject with this key out of a deployment's pair log; answered with Erasing."""

    number: int
    deployment: str
    key: str


class Erasing(Frame, frozen=True):
    """How far an erasure has come: bytes of the log looked at, of all there are; what it found (`pairs.erasure`).

    `removed` records are gone, from `segments` files that were written anew; `unattributed` records say of nobody
    whose they are; `busy` files are held by another process. With `finished` nothing more comes; `error` says what
    stopped it before its end.
    """

    number: int
    done: int = 0
    total: int = 0
    removed: int = 0
    segments: int = 0
    unattributed: int = 0
    busy: int = 0
    finished: bool = False
    error: str = ""


class ScoreSums(msgspec.Struct, frozen=True):
    """Sums over the scores y in [0, 1] of comparable pairs: all a gate on their mean needs, whatever its bound.

    `log_scores[j]` is the sum of ln(1 + (rho_j - 1) y) over `telemetry.grid`, `log_losses[j]` the same of 1 - y.
    """

    n: int
    total: float
    squares: float
    log_scores: tuple[float, ...]
    log_losses: tuple[float, ...]


class PairTally(msgspec.Struct, frozen=True):
    """Pairs of one (deployment, primary version, shadow version, cohort, slice), by verdict.

    The rows with an empty `slice` hold every pair once; those with a slice (`<name>=<value>`) count pairs again.
    `fields` maps fields (pointers) to the mismatches that differ there.
    """

    deployment: str
    primary: str
    shadow: str
    verdicts: dict[str, int]
    fields: dict[str, int]
    cohort: int = 0
    slice: str = ""
    scores: ScoreSums | None = None


class FieldTally(msgspec.Struct, frozen=True):
    """One field in which pairs differ: in how many, ids of a few, and when first and last (Unix seconds)."""

    count: int
    examples: tuple[str, ...]
    first: float
    last: float


class ValueSums(msgspec.Struct, frozen=True):
    """Sums over pairs of numbers (comparator `score`): how many, their means, the sums of squares and products of
    what they lie off these means, the sum of their distances, and distances by log bucket (`telemetry.moments`)."""

    n: int
    primary_mean: float
    shadow_mean: float
    primary_squares: float
    shadow_squares: float
    products: float
    distance: float
    distances: dict[int, int]


class PairDetail(msgspec.Struct, frozen=True):
    """What a person wants to know of the pairs of one (deployment, primary, shadow), beyond the counts.

    `flips` maps `<primary's label> -> <shadow's label>` to pairs, equal labels included (comparator `label`).
    `values` are the numbers both sides said, None where none were compared.
    """

    deployment: str
    primary: str
    shadow: str
    fields: dict[str, FieldTally]
    flips: dict[str, int]
    values: ValueSums | None = None


class SinkTally(msgspec.Struct, frozen=True):
    """What became of the pairs given to one sink beside the file: delivered, dropped by reason, still waiting.

    `error` says why the last attempt failed; empty while all is well.
    """

    sink: str
    delivered: int
    dropped: dict[str, int]
    waiting: int
    error: str = ""


class RecorderTally(Frame, frozen=True):
    """The recorder's counts; `dropped` maps (deployment, reason) to captures it could not keep."""

    pairs: tuple[PairTally, ...]
    dropped: tuple[tuple[tuple[str, str], int], ...]
    details: tuple[PairDetail, ...] = ()
    sinks: tuple[SinkTally, ...] = ()


AnyFrame = (
    Start
    | Publish
    | Applied
    | EndpointsDown
    | Drain
    | Tally
    | Orphan
    | Capture
    | Half
    | Taken
    | RecorderSettings
    | RecorderTally
    | Erase
    | Erasing
)

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(AnyFrame)


def encode(frame: Frame) -> bytes:
    """The frame with its length in front."""
    body = _encoder.encode(frame)
    return len(body).to_bytes(_HEADER, "big") + body


class FrameReader:
    """Cuts a byte stream into frames. Holds at most one incomplete frame."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """All frames that are complete now. Raises ValueError on an oversized or malformed one."""
        buffer = self._buffer
        buffer += data
        frames: list[Frame] = []
        start = 0
        while len(buffer) - start >= _HEADER:
            length = int.from_bytes(buffer[start : start + _HEADER], "big")
            if length > MAX_FRAME:
                raise ValueError(f"a frame of {length} bytes is over the limit of {MAX_FRAME}")
            end = start + _HEADER + length
            if len(buffer) < end:
                break
            with memoryview(buffer) as view:
                frames.append(cast(Frame, _decoder.decode(view[start + _HEADER : end])))
            start = end
        del buffer[:start]
        return frames


class Link(asyncio.Protocol):
    """One end of a channel: calls `on_frame` for each frame and `on_lost` once when the other end is gone.

    A malformed frame closes the link: the two ends no longer understand each other.
    """

    def __init__(self, on_frame: Callable[["Link", Frame], None], on_lost: Callable[["Link"], None]) -> None:
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            frames = self._reader.feed(data)
        except ValueError:
            self.close()
            return
        for frame in frames:
            self._on_frame(self, frame)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._on_lost(self)

    @property
    def connected(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def backlog(self) -> int:
        """Bytes sent that the other end has not taken yet."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def send(self, frame: Frame) -> None:
        """Hands the frame to the transport; silently nothing when the link is down (`connected` tells)."""
        self.write(encode(frame))

    def write(self, data: bytes) -> None:
        """`send` for frames that are encoded already."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
