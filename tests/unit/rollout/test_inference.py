"""The kernel and its faces: reference values, and expectations enumerated exactly.

E must be 1 on average at the bound and at most 1 inside it, whatever the look; that is all a gate's promise rests on.
"""

import json
from collections.abc import Callable, Iterator
from itertools import product
from math import comb, exp, inf, isclose, log, prod
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.rollout import inference, sequences
from router.rollout.inference import (
    NOTHING,
    Restarts,
    Side,
    block_log_e,
    block_terms,
    e_bh,
    e_bonferroni,
    event_split_log_e,
    log_e,
    mean_log_e,
    odds_terms,
    plus,
    rate_log_e,
    restart_log_e,
    score_log_e,
    score_terms,
    split_terms,
    total,
    weighted_log_e,
)
from router.telemetry.grid import GRID

REFERENCE = json.loads(Path(__file__).with_name("stats_vectors.json").read_text())
VECTORS = REFERENCE["vectors"]
DRIFT = {"psi", "psi_noise_floor", "js_distance", "ks_stat", "wasserstein_hist", "multinomial_log_e"}
"""Measures of drift, which no gate asks for yet."""

SIDES: tuple[Side, ...] = ("above", "below")


def close(one: float, other: float, tolerance: float = 1e-9) -> bool:
    return isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)


# Reference values


HERE = [vector for vector in VECTORS if hasattr(inference, vector["fn"])]


@pytest.mark.parametrize("vector", HERE, ids=lambda vector: vector["fn"])
def test_reference_values_are_reproduced(vector: dict[str, Any]) -> None:
    found = getattr(inference, vector["fn"])(*vector["args"])
    assert found == pytest.approx(vector["out"], rel=REFERENCE["tolerance"], abs=0.0)


def test_the_grid_is_the_references() -> None:
    assert list(GRID) == REFERENCE["gate_grid"]


def test_no_reference_value_is_passed_over_but_those_of_drift() -> None:
    covered = {vector["fn"] for vector in VECTORS if hasattr(inference, vector["fn"])}
    covered |= {vector["fn"] for vector in VECTORS if hasattr(sequences, vector["fn"])}
    assert {vector["fn"] for vector in VECTORS} - covered == DRIFT
    assert len(VECTORS) == 97


# Expectations, enumerated


def binomial(n: int, p: float) -> Iterator[tuple[int, float]]:
    """Every count of `n` trials, and its probability."""
    return ((k, comb(n, k) * p**k * (1 - p) ** (n - k)) for k in range(n + 1))


def expected(n: int, p: float, log_e_of: Callable[[int], float]) -> float:
    return sum(weight * exp(log_e_of(k)) for k, weight in binomial(n, p))


def candidates_part(weight: float, ratio: float) -> float:
    """How often the failing request is the candidate's when its rate is `ratio` times stable's."""
    return weight * ratio / (weight * ratio + 1 - weight)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("ratio", [1.0, 1.2, 2.0])
@pytest.mark.parametrize("weight", [0.01, 0.05, 0.5, 0.9])
@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_event_split_is_fair_at_the_bound_and_loses_inside(
    n: int, weight: float, ratio: float, side: Side
) -> None:
    def mean_e(true_ratio: float) -> float:
        theta = candidates_part(weight, true_ratio)
        return expected(n, theta, lambda kc: event_split_log_e([(weight, kc, n - kc)], ratio, side))

    assert close(mean_e(ratio), 1.0)
    inside, outside = (0.8, 1.3) if side == "above" else (1.3, 0.8)
    assert mean_e(ratio * inside) < 1.0
    assert mean_e(ratio * outside) > 1.0


@pytest.mark.parametrize("side", SIDES)
def test_event_split_stays_fair_while_the_weight_and_the_rates_move(side: Side) -> None:
    epochs = [(0.01, 6), (0.05, 5), (0.5, 4)]
    mean = 0.0
    counts = [list(binomial(n, candidates_part(weight, 1.0))) for weight, n in epochs]
    for outcome in product(*counts):
        seen = [(weight, kc, n - kc) for (weight, n), (kc, _) in zip(epochs, outcome, strict=True)]
        mean += prod(chance for _, chance in outcome) * exp(event_split_log_e(seen, 1.0, side))
    assert close(mean, 1.0)


@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.01])
@pytest.mark.parametrize("weight", [0.05, 0.5])
def test_looking_at_every_event_errs_no_more_often_than_alpha(weight: float, alpha: float) -> None:
    """Ville's inequality, with exact probabilities: the chance that E reaches 1/alpha within 120 failures."""
    still = {0: 1.0}
    crossed = 0.0
    for n in range(1, 121):
        following: dict[int, float] = {}
        for kc, chance in still.items():
            for more, part in ((1, weight), (0, 1 - weight)):
                following[kc + more] = following.get(kc + more, 0.0) + chance * part
        over = [kc for kc in following if event_split_log_e([(weight, kc, n - kc)], 1.0) >= -log(alpha)]
        crossed += sum(following.pop(kc) for kc in over)
        still = following
    assert 0.1 * alpha < crossed <= alpha


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("nc", "ns"), [(1, 1), (3, 9), (9, 3), (1, 11)])
@pytest.mark.parametrize("ratio", [1.0, 1.5])
def test_block_split_needs_no_random_assignment(nc: int, ns: int, ratio: float, side: Side) -> None:
    def mean_e(pc: float, ps: float) -> float:
        return sum(
            a * b * exp(block_log_e([(nc, kc, ns, ks)], ratio, side))
            for (kc, a), (ks, b) in product(binomial(nc, pc), binomial(ns, ps))
        )

    inside = 0.8 if side == "above" else 1.25
    for ps in (0.001, 0.1, 0.4):
        assert mean_e(ps * ratio, ps) <= 1.0
        assert mean_e(ps * ratio * inside, ps) < 1.0
    assert mean_e(0.001 * ratio, 0.001) == pytest.approx(1.0, abs=5e-3), "nearly fair where failures are rare"


def test_block_split_holds_for_the_mean_rates_inside_a_block() -> None:
    """Requests of one block differ: only the arms' means have to obey the bound."""
    candidate, stable = (0.0, 0.05, 0.4), (0.3, 0.0, 0.1, 0.2)
    assert sum(candidate) / 3 == pytest.approx(sum(stable) / 4)
    mean = 0.0
    for fails in product((0, 1), repeat=7):
        chance = prod(p if failed else 1 - p for p, failed in zip(candidate + stable, fails, strict=True))
        mean += chance * exp(block_log_e([(3, sum(fails[:3]), 4, sum(fails[3:]))], 1.0))
    assert mean <= 1.0


def test_a_block_without_both_arms_says_nothing() -> None:
    assert block_terms(4, 3, 0, 0, 1.0) == NOTHING
    assert block_terms(0, 0, 9, 5, 1.0, "below") == NOTHING


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_where_nothing_was_drawn_there_is_no_evidence(weight: float) -> None:
    assert split_terms(weight, 7, 2, 1.0) == NOTHING


@pytest.mark.parametrize("bound", [0.01, 0.3, 0.98])
@pytest.mark.parametrize("n", [1, 5, 12])
def test_a_rate_at_its_bound_is_a_fair_bet_on_both_sides(n: int, bound: float) -> None:
    assert close(expected(n, bound, lambda k: rate_log_e(n, k, bound)), 1.0)
    assert close(expected(n, bound, lambda k: rate_log_e(n, k, bound, "below")), 1.0)
    assert expected(n, bound * 0.9, lambda k: rate_log_e(n, k, bound)) < 1.0
    assert expected(n, bound * 1.01, lambda k: rate_log_e(n, k, bound, "below")) < 1.0


@pytest.mark.parametrize("n", [1, 4, 8])
def test_a_mean_of_scores_is_fair_whatever_their_spread(n: int) -> None:
    """Scores 0, 1/2, 1 with the mean 0.3, spread in two ways; every one of the 3^n sequences."""
    for chances in ((0.7, 0.0, 0.3), (0.45, 0.5, 0.05)):
        mean = 0.0
        for seen in product((0, 1, 2), repeat=n):
            sums = total(score_terms(index / 2) for index in seen)
            mean += prod(chances[index] for index in seen) * exp(score_log_e(n, sums, 0.3))
        assert close(mean, 1.0)


@given(st.integers(0, 12), st.integers(0, 12), st.floats(0.001, 0.999))
def test_scores_of_nought_and_one_are_a_rate(misses: int, hits: int, bound: float) -> None:
    n = misses + hits
    sums = total([score_terms(1.0)] * hits + [score_terms(0.0)] * misses)
    losses = total([score_terms(0.0)] * hits + [score_terms(1.0)] * misses)
    assert close(score_log_e(n, sums, bound), rate_log_e(n, hits, bound))
    assert close(score_log_e(n, losses, 1.0 - bound), rate_log_e(n, hits, bound, "below"))


@pytest.mark.parametrize("weight", [0.05, 0.5])
def test_restarts_stay_fair_on_average(weight: float) -> None:
    """Three segments of three failures each, all 2^9 sequences."""
    mean = 0.0
    for fails in product((0, 1), repeat=9):
        segments = [(weight, sum(part), 3 - sum(part)) for part in (fails[:3], fails[3:6], fails[6:])]
        mean += weight ** sum(fails) * (1 - weight) ** (9 - sum(fails)) * exp(restart_log_e(segments, 1.0))
    assert close(mean, 1.0)


# Properties


def count_strategy() -> st.SearchStrategy[int]:
    return st.integers(0, 300)


EPOCHS = st.lists(
    st.tuples(st.sampled_from([0.01, 0.05, 0.25, 0.5]), count_strategy(), count_strategy()),
    min_size=1,
    max_size=6,
)


@given(EPOCHS, st.sampled_from([1.0, 1.2, 2.0]), st.sampled_from(SIDES))
def test_evidence_is_added_in_any_order(
    epochs: list[tuple[float, int, int]], ratio: float, side: Side
) -> None:
    terms = [split_terms(*epoch, ratio, side) for epoch in epochs]
    assert close(log_e(total(terms)), event_split_log_e(reversed(epochs), ratio, side))
    assert plus(terms[0], terms[-1]) == plus(terms[-1], terms[0])
    assert plus(terms[0], NOTHING) == terms[0]


@given(count_strategy(), count_strategy(), count_strategy(), count_strategy(), st.sampled_from(SIDES))
def test_counts_merge_exactly(kc: int, ks: int, more_c: int, more_s: int, side: Side) -> None:
    apart = plus(split_terms(0.05, kc, ks, 1.0, side), split_terms(0.05, more_c, more_s, 1.0, side))
    assert apart == pytest.approx(split_terms(0.05, kc + more_c, ks + more_s, 1.0, side), rel=1e-9, abs=1e-9)
    assert split_terms(0.05, kc + more_c, ks, 1.0, side) == split_terms(0.05, more_c + kc, ks, 1.0, side)


@given(st.sampled_from([0.01, 0.3, 0.5]), count_strategy(), count_strategy(), st.sampled_from([1.0, 2.0]))
def test_a_failure_of_the_candidate_speaks_against_it_and_one_of_stable_for_it(
    weight: float, kc: int, ks: int, ratio: float
) -> None:
    now = event_split_log_e([(weight, kc, ks)], ratio)
    assert event_split_log_e([(weight, kc + 1, ks)], ratio) > now
    assert event_split_log_e([(weight, kc, ks + 1)], ratio) < now
    passing = event_split_log_e([(weight, kc, ks)], ratio, "below")
    assert event_split_log_e([(weight, kc + 1, ks)], ratio, "below") < passing
    assert event_split_log_e([(weight, kc, ks + 1)], ratio, "below") > passing


@given(EPOCHS, st.sampled_from([1.0, 1.2]))
def test_restarts_looked_at_step_by_step_are_the_mixture_from_scratch(
    segments: list[tuple[float, int, int]], ratio: float
) -> None:
    count = len(segments)
    parts = [event_split_log_e(segments[j:], ratio) - log((j + 1) * (j + 2)) for j in range(count)] + [
        -log(count + 1)
    ]
    scratch = mean_log_e(parts) + log(len(parts))
    mixture = Restarts()
    for index, (weight, kc, ks) in enumerate(segments):
        mixture = mixture.begin() if index else mixture
        mixture = mixture.add(split_terms(weight, kc // 2, ks, ratio))
        mixture = mixture.add(split_terms(weight, kc - kc // 2, 0, ratio))
    assert close(mixture.log_e, scratch, 1e-8)
    assert close(restart_log_e(segments, ratio), scratch, 1e-8)


def test_restarts_begin_with_nothing_and_cost_nothing_while_idle() -> None:
    mixture = Restarts()
    for _ in range(500):
        assert close(mixture.log_e, 0.0)
        mixture = mixture.begin()
    assert mixture.segments == 501


def test_a_long_good_past_hides_no_change() -> None:
    past = [(0.05, 7, 143)] * 144  # twelve hours without a difference
    change = [(0.05, 30, 142)]
    assert restart_log_e(past + change, 1.0) > log(100)
    assert event_split_log_e(past + change, 1.0) < 0.0


@given(st.lists(st.floats(-700, 700), min_size=1, max_size=9))
def test_the_mean_of_e_values_lies_between_them(log_es: list[float]) -> None:
    mean = mean_log_e(log_es)
    assert min(log_es) - 1e-9 <= mean <= max(log_es) + 1e-9
    assert close(weighted_log_e(log_es, [3.0] * len(log_es)), mean)


def test_weights_decide_how_much_each_counts() -> None:
    assert close(weighted_log_e([log(8.0), 0.0, 50.0], [1.0, 3.0, 0.0]), log(11 / 4))
    assert weighted_log_e([0.0, -inf], [1.0, 1.0]) == pytest.approx(-log(2.0))
    assert mean_log_e([-inf, -inf]) == -inf


def test_e_bh_names_what_e_bonferroni_names_and_perhaps_more() -> None:
    several = [log(4 / 0.05), log(2 / 0.05), 0.0, log(5.0)]
    assert e_bonferroni(several, 0.05) == [0]
    assert e_bh(several, 0.05) == [0, 1]
    assert e_bh([], 0.05) == e_bonferroni([], 0.05) == []
    assert e_bh([1.0, 2.0], 0.05) == e_bonferroni([1.0, 2.0], 0.05) == []
    assert e_bh([9.0, 0.0, 1.0, 9.0, 2.0], 0.05) == [0, 3]


def test_evidence_against_the_candidate_is_what_is_meant_unless_it_is_said() -> None:
    assert split_terms(0.05, 3, 1, 1.0) == split_terms(0.05, 3, 1, 1.0, "above")
    assert block_terms(9, 3, 90, 1, 1.0) == block_terms(9, 3, 90, 1, 1.0, "above")
    assert block_log_e([(9, 3, 90, 1)], 1.0) == block_log_e([(9, 3, 90, 1)], 1.0, "above")


def test_terms_of_another_grid_are_refused() -> None:
    short = NOTHING[1:]
    with pytest.raises(ValueError, match="zip"):
        plus(NOTHING, short)
    with pytest.raises(ValueError, match="zip"):
        score_log_e(3, short, 0.5)
    with pytest.raises(ValueError, match="zip"):
        weighted_log_e([0.0, 0.0], [1.0])


def test_nothing_overflows_and_nothing_is_forgotten_in_large_counts() -> None:
    assert rate_log_e(10**9, 10**9, 1e-6) > 1e9
    assert event_split_log_e([(0.5, 10**9, 10**9)], 1.0) < -1e6
    assert Restarts().add(odds_terms(0, 10**9, 0.5)).begin().log_e == pytest.approx(log(1 / 6 + 1 / 3))


def test_no_data_is_no_evidence() -> None:
    assert total([]) == NOTHING == odds_terms(0, 0, 0.3)
    assert log_e(NOTHING) == pytest.approx(0.0, abs=1e-12)
