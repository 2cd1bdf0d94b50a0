"""A rollout on paper: the real rules, average traffic."""

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.rollout.course import Course, Rung
from router.rollout.evidence_state import Trial
from router.rollout.gates import Gate
from router.rollout.gates.agreement import AgreementGate
from router.rollout.gates.error_rate import ErrorRateGate
from router.rollout.gates.latency import LatencyGate
from router.rollout.gates.score import ScoreGate
from router.rollout.gates.segments import SegmentsGate
from router.rollout.gates.webhook import WebhookGate
from router.rollout.rehearsal import LONGEST, Leg, Traffic, rehearse
from tests.support.properties import examples

TRAFFIC = Traffic(rps=50.0)
ERRORS = ErrorRateGate()


def legs(
    *rungs: Rung,
    gates: tuple[Gate, ...] = (),
    traffic: Traffic = TRAFFIC,
    trial: Trial | None = None,
    **course: float,
) -> list[Leg]:
    way = Course("loan", "canary", "v1", ("v2",), rungs, gates=gates, **course)  # type: ignore[arg-type]
    everything = (*gates, *(gate for rung in rungs for gate in rung.gates))
    return list(rehearse(way, trial or Trial("v1", "v2", everything), traffic))


def test_without_gates_it_takes_what_it_holds() -> None:
    found = legs(Rung(100, hold=600.0), Rung(5000, hold=3600.0), soak=60.0)
    assert [(leg.step, leg.share, leg.least, leg.lasts, leg.gates) for leg in found] == [
        (0, 100, 600.0, 600.0, ()),
        (1, 5000, 3600.0, 3600.0, ()),
        (2, 10000, 60.0, 60.0, ()),
    ]
    assert all(leg.requests is None and not leg.why for leg in found)


def test_a_pause_and_a_step_without_a_hold_wait_for_a_person_who_is_quick() -> None:
    found = legs(Rung(100, hold=60.0), Rung(100, pause=True), Rung(1000, hold=inf), Rung(10000))
    assert [(leg.person, leg.lasts) for leg in found] == [
        (False, 60.0),
        (True, 0.0),
        (True, 0.0),
        (False, 0.0),
    ]


@pytest.mark.parametrize(("share", "median", "worst"), [(500, 428, 1160), (2500, 170, 360), (5000, 125, 280)])
def test_a_verdict_takes_about_the_median_of_what_was_simulated(
    share: int, median: float, worst: float
) -> None:
    """STATISTICS 3.2: 50 requests/s, 1 % fail, certify less than twice stable's rate with E = 20."""
    (leg,) = legs(Rung(share), gates=(ERRORS,))
    assert leg.shown is not None
    assert 0.6 * median <= leg.shown <= worst
    assert leg.requests == pytest.approx(leg.shown * 50 * share / 10_000, abs=1)


def test_requests_do_not_depend_on_how_fast_they_come() -> None:
    (quick,), (slow,) = (legs(Rung(1000), gates=(ERRORS,), traffic=Traffic(rps)) for rps in (50.0, 2.0))
    assert quick.requests is not None
    assert slow.requests == pytest.approx(quick.requests, rel=0.15)


def test_the_hold_is_kept_though_the_verdict_is_clear() -> None:
    (leg,) = legs(Rung(5000, hold=3600.0), gates=(ErrorRateGate(max=0.05),))
    assert leg.shown is not None
    assert leg.shown < 600 < leg.lasts == pytest.approx(3600.0)  # type: ignore[operator]


def test_where_nothing_ever_fails_it_says_what_to_give() -> None:
    (leg,) = legs(Rung(5000), gates=(ERRORS,), traffic=Traffic(50.0, error_rate=0.0))
    assert (leg.lasts, leg.shown) == (None, None)
    assert "give error_rate a max" in leg.why
    (leg,) = legs(Rung(5000), gates=(ErrorRateGate(max=0.01),), traffic=Traffic(50.0, error_rate=0.0))
    assert leg.lasts is not None


def test_where_the_bound_is_below_what_is_assumed_it_is_rolled_back() -> None:
    first, *more = legs(
        Rung(100, hold=60.0), Rung(1000), gates=(ErrorRateGate(max=0.01),), traffic=Traffic(50.0, 0.1)
    )
    assert first.why.startswith("rollback: error_rate")
    assert more == []


def test_giving_up_ends_it() -> None:
    way = Course(
        "loan",
        "canary",
        "v1",
        ("v2",),
        (Rung(5000),),
        gates=(ERRORS,),
        on_inconclusive="pause",
        give_up=3600.0,
    )
    (leg,) = rehearse(way, Trial("v1", "v2", (ERRORS,)), Traffic(50.0, 0.0))
    assert leg.why.startswith("pause: no verdict within give_up")
    assert leg.lasts == pytest.approx(3600.0, rel=0.02)


def test_every_kind_of_gate_passes_where_nothing_is_wrong() -> None:
    gates: tuple[Gate, ...] = (
        LatencyGate.model_validate({"max_ratio": 1.2, "max": "1s"}),
        AgreementGate(min=0.95),
        ScoreGate(min=0.95),
        SegmentsGate(by="tenant", values=5, gate=ErrorRateGate(max=0.05)),
        WebhookGate(url="http://a/"),
    )
    (leg,) = legs(Rung(1000, 10000, 60.0), gates=gates)
    assert leg.gates == ("latency", "agreement", "score", "segments", "webhook")
    assert leg.lasts is not None, leg.why
    assert not leg.why


def test_copies_are_evidence_before_the_first_share() -> None:
    first, second = legs(Rung(0, 10000, 60.0), Rung(1000, 0, 60.0), gates=(ErrorRateGate(max=0.03),))
    assert first.requests is not None
    assert 100 <= first.requests <= 1000
    assert second.lasts == pytest.approx(60.0)


def test_failures_counted_once_for_each_client_count_here_all() -> None:
    trial = Trial("v1", "v2", (ERRORS,), drawn=False, once_per_client=True)
    (leg,) = legs(Rung(2500), gates=(ERRORS,), trial=trial)
    assert leg.lasts is not None


def test_a_shadow_never_ends_and_a_colour_takes_over() -> None:
    way = Course("s", "shadow", "v1", ("v2",), (Rung(0, 10000, inf),))
    (leg,) = rehearse(way, Trial("v1", "v2", splits=False), TRAFFIC)
    assert leg.why == "copies go on until somebody stops them"
    way = Course(
        "b",
        "blue_green",
        "v1",
        ("v2",),
        (Rung(1000, 0, 60.0), Rung(10000)),
        colours={"blue": "v1", "green": "v2"},
    )
    assert [leg.lasts for leg in rehearse(way, Trial("v1", "v2"), TRAFFIC)] == [60.0, 0.0]


@settings(max_examples=examples(5))
@given(
    st.lists(st.tuples(st.integers(1, 10_000), st.floats(0, 7200)), min_size=1, max_size=5),
    st.floats(0.5, 1000),
    st.floats(0, 0.2),
)
def test_whatever_the_way_it_ends_and_no_step_is_shorter_than_it_says(
    steps: list[tuple[int, float]], rps: float, error_rate: float
) -> None:
    rungs = [Rung(share, hold=hold) for share, hold in sorted(steps)]
    found = legs(*rungs, gates=(ErrorRateGate(max=0.3),), traffic=Traffic(rps, error_rate))
    assert [leg.step for leg in found] == sorted({leg.step for leg in found})
    for leg in found:
        assert leg.lasts is None or leg.why or leg.lasts >= leg.least - 1e-6
        assert leg.lasts is None or leg.lasts <= LONGEST
    assert bool(found[-1].why) or found[-1].step == len(rungs) - 1
