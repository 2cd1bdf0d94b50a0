"""Confidence sequences: reference values, and that they hold at every look."""

import json
from collections.abc import Callable, Iterable
from math import ceil, comb, inf, log, nan, sqrt
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.rollout import inference
from router.rollout.inference import Terms, score_log_e, score_terms, total
from router.rollout.sequences import (
    bernoulli_cs,
    bounded_mean_cs,
    quantile_cs,
    quantile_cs_hist,
    quantile_ranks,
    rate_ratio_cs,
    two_proportion_cs,
)

REFERENCE = json.loads(Path(__file__).with_name("stats_vectors.json").read_text())
MEAN_GRID: Terms = tuple(REFERENCE["mean_grid"])
DRIFT = ("psi", "psi_noise_floor", "js_distance", "ks_stat", "wasserstein_hist", "multinomial_log_e")
HERE = [v for v in REFERENCE["vectors"] if v["fn"] not in DRIFT and not hasattr(inference, v["fn"])]


# Reference values


def uniforms(n: int, seed: int) -> list[float]:
    """The references' random numbers: Knuth's MMIX generator, the upper 53 bits."""
    state, drawn = seed, []
    for _ in range(n):
        state = (6364136223846793005 * state + 1442695040888963407) % 2**64
        drawn.append((state >> 11) / 2**53)
    return drawn


def latencies(fixture: dict[str, Any]) -> list[float]:
    n, seed, scale = fixture["latency_fixture"]
    return [scale / sqrt(1.02 - u) for u in uniforms(n, seed)]


def scores(fixture: dict[str, Any]) -> list[float]:
    n, seed, power = fixture["score_fixture"]
    return [u**power for u in uniforms(n, seed)]


def edge(index: int) -> float:
    return float(1.2 ** (index / 9))


def histogram(values: Iterable[float]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for value in values:
        bucket = ceil(log(value) / log(1.2) * 9)
        counts[bucket] = counts.get(bucket, 0) + 1
    return counts


def sums(values: list[float], grid: Terms = MEAN_GRID) -> list[float]:
    columns = zip(*[score_terms(value, grid) for value in values], strict=True)
    return [sum(column) for column in columns] or [0.0] * len(grid)


def mean_facts(fixture: dict[str, Any], alpha: float, bound: float) -> dict[str, Any]:
    """As the reference tells it, for its bound `m0`."""
    ys = scores(fixture)
    log_scores, log_losses = sums(ys), sums([1.0 - y for y in ys])
    return {
        "n": len(ys),
        "mean": sum(ys) / len(ys) if ys else None,
        "cs": list(bounded_mean_cs(len(ys), log_scores, log_losses, alpha, MEAN_GRID)),
        "log_e_mean_gt": score_log_e(len(ys), log_scores, bound, MEAN_GRID),
        "log_e_mean_lt": score_log_e(len(ys), log_losses, 1.0 - bound, MEAN_GRID),
        "m0": bound,
    }


def two_rates(*args: Any) -> dict[str, Any]:
    found = two_proportion_cs(*args)
    return {
        "diff": list(found.difference),
        "ratio": list(found.ratio),
        "log_e_p1_gt_p2": found.log_e_greater,
    }


FACES: dict[str, Callable[..., Any]] = {
    "bernoulli_cs": bernoulli_cs,
    "rate_ratio_cs": rate_ratio_cs,
    "two_proportion_cs": two_rates,
    "bounded_mean_cs": mean_facts,
    "quantile_ranks": quantile_ranks,
    "quantile_cs": lambda fixture, q, alpha: quantile_cs(sorted(latencies(fixture)), q, alpha),
    "quantile_cs_hist": lambda fixture, q, alpha: quantile_cs_hist(
        histogram(latencies(fixture)), edge, q, alpha
    ),
}


def flat(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [found for key in sorted(value) for found in flat(value[key])]
    if isinstance(value, (list, tuple)):
        return [found for each in value for found in flat(each)]
    return [nan if value is None else float(value)]


@pytest.mark.parametrize("vector", HERE, ids=lambda vector: vector["fn"])
def test_reference_values_are_reproduced(vector: dict[str, Any]) -> None:
    args, out = vector["args"], vector["out"]
    found = FACES[vector["fn"]](*args, *([out["m0"]] if isinstance(out, dict) and "m0" in out else []))
    assert flat(found) == pytest.approx(flat(out), rel=REFERENCE["tolerance"], abs=0.0, nan_ok=True)


# What they promise


@pytest.mark.parametrize(("p", "alpha"), [(0.1, 0.1), (0.5, 0.1), (0.98, 0.05)])
def test_the_rate_is_missed_at_any_of_150_looks_at_most_alpha_often(p: float, alpha: float) -> None:
    """Exact, not sampled: the probability of every count that has never yet excluded the truth."""
    still = {0: 1.0}
    missed = 0.0
    for n in range(1, 151):
        following: dict[int, float] = {}
        for k, chance in still.items():
            following[k] = following.get(k, 0.0) + chance * (1 - p)
            following[k + 1] = following.get(k + 1, 0.0) + chance * p
        for k in list(following):
            low, high = bernoulli_cs(n, k, alpha)
            if not low <= p <= high:
                missed += following.pop(k)
        still = following
    assert 0.0 < missed <= alpha


@pytest.mark.parametrize("ratio", [1.0, 3.0])
def test_the_ratio_is_missed_at_any_of_60_failures_at_most_alpha_often(ratio: float) -> None:
    weight, alpha = 0.2, 0.1
    theta = weight * ratio / (weight * ratio + 1 - weight)
    still = {0: 1.0}
    missed = 0.0
    for n in range(1, 61):
        following: dict[int, float] = {}
        for kc, chance in still.items():
            following[kc] = following.get(kc, 0.0) + chance * (1 - theta)
            following[kc + 1] = following.get(kc + 1, 0.0) + chance * theta
        for kc in list(following):
            low, high = rate_ratio_cs([(weight, kc, n - kc)], alpha)
            if not low <= ratio <= high:
                missed += following.pop(kc)
        still = following
    assert 0.0 < missed <= alpha


@pytest.mark.parametrize(("n", "q", "alpha"), [(40, 0.5, 0.1), (200, 0.95, 0.05)])
def test_ranks_hold_the_true_quantile(n: int, q: float, alpha: float) -> None:
    low, high = quantile_ranks(n, q, alpha)
    outside = sum(comb(n, k) * q**k * (1 - q) ** (n - k) for k in range(n + 1) if not low <= k <= high)
    assert outside <= alpha


def test_an_upper_bound_of_p95_needs_119_observations_and_of_p99_410() -> None:
    for q, n in ((0.95, 119), (0.99, 410)):
        assert quantile_ranks(n - 1, q, 0.05)[1] == n - 1
        assert quantile_ranks(n, q, 0.05)[1] < n


@given(st.integers(0, 400), st.integers(0, 400), st.sampled_from([0.1, 0.01]))
def test_what_was_seen_is_inside(hits: int, misses: int, alpha: float) -> None:
    n = hits + misses
    low, high = bernoulli_cs(n, hits, alpha)
    assert 0.0 <= low <= (hits / n if n else 0.5) <= high <= 1.0
    wide_low, wide_high = bernoulli_cs(n, hits, alpha / 10)
    assert wide_low <= low
    assert high <= wide_high


@given(st.tuples(st.integers(0, 40), st.integers(0, 40)), st.tuples(st.integers(0, 40), st.integers(0, 40)))
def test_two_rates_turn_around_when_they_are_swapped(one: tuple[int, int], other: tuple[int, int]) -> None:
    (k1, misses1), (k2, misses2) = one, other
    there = two_proportion_cs(k1 + misses1, k1, k2 + misses2, k2, 0.05)
    back = two_proportion_cs(k2 + misses2, k2, k1 + misses1, k1, 0.05)
    assert there.difference == pytest.approx((-back.difference[1], -back.difference[0]), abs=1e-7)
    low, high = there.ratio
    assert low <= high
    assert (1 / high if high else inf) == pytest.approx(back.ratio[0], rel=1e-6, abs=1e-11)


def test_a_ratio_without_failures_or_without_a_draw_is_unknown() -> None:
    assert rate_ratio_cs([], 0.05) == (0.0, inf)
    assert rate_ratio_cs([(0.0, 3, 9), (1.0, 4, 0)], 0.05) == (0.0, inf)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30))
def test_the_mean_is_inside_also_on_the_grid_of_the_gates(ys: list[float]) -> None:
    log_scores, log_losses = total(map(score_terms, ys)), total(score_terms(1.0 - y) for y in ys)
    low, high = bounded_mean_cs(len(ys), log_scores, log_losses, 0.05)
    mean = sum(ys) / len(ys)
    assert 0.0 <= low <= mean + 1e-9
    assert mean - 1e-9 <= high <= 1.0


def test_a_histogram_bounds_its_quantile_by_the_edges_outside() -> None:
    counts = histogram(latencies({"latency_fixture": [500, 3, 20.0]}))
    low, high = quantile_cs_hist(counts, edge, 0.5, 0.05)
    inner = quantile_cs(sorted(latencies({"latency_fixture": [500, 3, 20.0]})), 0.5, 0.05)
    assert low < inner[0] <= low * edge(1)
    assert high / edge(1) < inner[1] <= high
    assert quantile_cs_hist({}, edge, 0.5, 0.05) == (0.0, inf)
