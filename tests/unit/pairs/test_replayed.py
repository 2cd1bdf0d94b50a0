import pytest
from msgspec.structs import replace

from router.pairs.joining import Joined
from router.pairs.pair import Pair, build
from router.pairs.redaction import Redactor
from router.pairs.replay import Selector
from router.pairs.replayed import Report, Tally, shortfalls
from router.pairs.settings import PairSettings
from tests.support.captures import primary, shadow

SETTINGS = PairSettings()


def pair(today: object = 1, error: str = "", latency: float = 4.0) -> Pair:
    """A recorded answer of 1 after 2 ms, and that of today."""
    half = shadow("a", today, "v3", error)
    half = replace(half, answer=replace(half.answer, latency_ms=latency))
    return build(Joined(primary("a"), half, "v3", ()), SETTINGS.compare, Redactor.of(SETTINGS))


def report(*pairs: Pair, fit: int = 0, unfit: dict[str, int] | None = None) -> Report:
    tally, selector = Tally(), Selector()
    for each in pairs:
        tally.add(each)
    selector.unfit.update(unfit or {})
    return tally.report(fit or len(pairs), selector, 2.0)


def test_it_adds_up_verdicts_fields_errors_and_versions() -> None:
    found = report(pair(), pair(2), pair({"x": 1}), pair(error="timeout"), unfit={"request truncated": 3})
    assert (found.requests, found.sent, found.comparable) == (7, 4, 3)
    assert found.verdicts == {"match": 1, "mismatch": 2, "incomparable": 1}
    assert (found.agreement.count, found.agreement.of) == (1, 3)
    assert found.agreement.low is not None
    assert found.agreement.low < 1 / 3 < (found.agreement.high or 0)
    assert found.errors == {"timeout": 1}
    assert found.recorded == {"v1": 4}
    assert sum(count for _, count in found.fields) == 2


def test_latencies_are_those_of_comparable_pairs() -> None:
    found = report(*[pair(latency=10.0)] * 19, pair(latency=100.0), pair(error="timeout", latency=30_000.0))
    assert found.then.median_ms == pytest.approx(2.0, rel=0.03)
    assert found.now.median_ms == pytest.approx(10.0, rel=0.03)
    assert found.now.p95_ms == pytest.approx(10.0, rel=0.03)
    assert report(pair(error="timeout")).now.median_ms is None


def test_an_answer_that_cannot_be_compared_says_why() -> None:
    half = shadow("a", 1, "v3")
    cut = replace(half.answer, message=replace(half.answer.message, truncated=True))
    found = build(
        Joined(primary("a"), replace(half, answer=cut), "v3", ()), SETTINGS.compare, Redactor.of(SETTINGS)
    )
    assert report(found).errors == {"new answer: truncated": 1}


def test_without_a_bound_only_nothing_is_a_failure() -> None:
    assert shortfalls(report(pair(2)), None, 0.9) == []
    assert shortfalls(report(), None, 0.9) == ["nothing could be compared"]
    assert shortfalls(report(pair(error="timeout")), None, 0.0) == ["nothing could be compared"]


def test_agreement_is_held_against_its_bound_exactly() -> None:
    found = report(*[pair()] * 98, *[pair(2)] * 2)
    assert shortfalls(found, 0.98, 0.9) == []
    assert shortfalls(found, 0.9801, 0.9) == [
        "agreement is 98% (98 of 100 pairs); --min-agreement asks for 98.01%"
    ]


def test_a_version_that_fails_does_not_pass_for_one_that_agrees() -> None:
    found = report(*[pair()] * 8, pair(error="timeout"), fit=10, unfit={"request truncated": 10})
    assert shortfalls(found, 0.98, 0.4) == []
    assert shortfalls(found, 0.98, 0.5) == [
        "too few pairs could be compared: 40% (8 of 20 requests); --min-comparable asks for 50%"
    ]
