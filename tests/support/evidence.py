"""Counts as workers and recorders tell them, and gates as people write them."""

from typing import Any

from pydantic import TypeAdapter

from router.channel import Histogram, PairTally, ScoreSums, SeriesTally
from router.rollout.evidence import Evidence
from router.rollout.evidence_state import Trial
from router.rollout.gates import Gate
from router.rollout.inference import NOTHING, Terms, score_terms
from router.rollout.verdict import Ruling
from router.telemetry.counters import bucket_of

STABLE, CANDIDATE = "v1", "v2"
_GATES: TypeAdapter[tuple[Gate, ...]] = TypeAdapter(tuple[Gate, ...])


def gates(*written: dict[str, Any]) -> tuple[Gate, ...]:
    """The gates, each `{kind: {settings}}`."""
    return _GATES.validate_python(list(written))


def series(
    version: str,
    done: int,
    failed: int = 0,
    *,
    cohort: int = 1,
    role: str = "live",
    slice: str = "",
    took: dict[float, int] | None = None,
    in_flight: int = 0,
    fallbacks: int = 0,
    broken: int = 0,
    causes: tuple[int, ...] = (),
) -> SeriesTally:
    """`done` requests of which `failed` with a 500; `took` are seconds and how often."""
    durations = {bucket_of(seconds): count for seconds, count in (took or {}).items()}
    return SeriesTally(
        "loan",
        version,
        role,
        {200: done - failed, 500: failed},
        Histogram(durations, 0.0),
        Histogram({}, 0.0),
        in_flight,
        cohort,
        slice,
        fallbacks,
        broken,
        causes,
    )


def paired(
    match: int,
    mismatch: int,
    *,
    primary: str = STABLE,
    shadow: str = CANDIDATE,
    cohort: int = 1,
    slice: str = "",
    scores: dict[float, int] | None = None,
) -> PairTally:
    """Pairs by verdict; `scores` are scores and how often."""
    sums = None
    if scores is not None:
        sums = ScoreSums(
            sum(scores.values()),
            sum(y * n for y, n in scores.items()),
            sum(y * y * n for y, n in scores.items()),
            _summed({y: score_terms(y) for y in scores}, scores),
            _summed({y: score_terms(1.0 - y) for y in scores}, scores),
        )
    verdicts = {"match": match, "mismatch": mismatch}
    return PairTally("loan", primary, shadow, verdicts, {}, cohort, slice, sums)


def _summed(terms: dict[float, Terms], scores: dict[float, int]) -> Terms:
    return tuple(sum(terms[y][index] * n for y, n in scores.items()) for index in range(len(NOTHING)))


def evidence(*watching: Gate, share: int = 500, mirror: int = 0, **settings: Any) -> Evidence:
    """Evidence with one exposure, cohort 1, in force."""
    found = Evidence(Trial(STABLE, CANDIDATE, tuple(watching), **settings))
    found.expose(1, share, mirror)
    return found


ERRORS = gates({"error_rate": {}})


def ruling(found: Evidence, following: int = 10_000) -> Ruling:
    """What the first gate says."""
    return found.judge(found.trial.gates, following)[0]


def fed(found: Evidence, *tallies: SeriesTally, at: float, source: str = "w0") -> Ruling:
    """Told these counts and closed at that time; what the first gate says then."""
    for tally in tallies:
        found.take(source, tally)
    found.close(at)
    return ruling(found)
