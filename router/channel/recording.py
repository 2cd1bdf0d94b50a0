"""What is told to the recorder and by it: captured exchanges, its settings and orders, and what it counted."""

import msgspec

from router.channel.frame import Frame


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
    """Take every record of the subject with this key out of a deployment's pair log, or with an empty name out of
    every log there is; answered with Erasing. `hash_key`: one that subjects were hashed with and that no `pairs.hash`
    has any more."""

    number: int
    deployment: str
    key: str
    hash_key: str = ""


class Erasing(Frame, frozen=True):
    """How far an erasure has come, in bytes of the log, and what it found (`pairs.erasure.Erased`: records, files).
    `log` is the root of the files looked at; of deployments that are `unconfigured` no key of `pairs.hash` is known.
    With `finished` nothing more comes; `error` says what stopped it before its end."""

    number: int
    done: int = 0
    total: int = 0
    removed: int = 0
    segments: int = 0
    unattributed: int = 0
    undelivered: int = 0
    busy: int = 0
    log: str = ""
    unconfigured: tuple[str, ...] = ()
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
    """Sums over pairs of numbers: means, squares and products of what lies off them (`telemetry.moments`)."""

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

    `flips` maps `<primary's label> -> <shadow's label>` to pairs, equal labels included (comparator `label`); `values`
    are the numbers both sides said (comparator `score`).
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
