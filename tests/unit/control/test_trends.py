"""What is kept of the last quarter of an hour: all that was counted, once, and no more than fits."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.channel import Histogram, SeriesTally
from router.control import trends
from router.control.trends import KEPT, RECENT, Moment, Trends, told
from router.telemetry.counters import bucket_of
from router.telemetry.ledger import PairTotals
from router.telemetry.pairing import PairKey

NOTHING = Histogram({}, 0.0)


def row(version: str, requests: int, *, errors: int = 0, role: str = "live", **more: Any) -> SeriesTally:
    codes = {200: requests - errors, 500: errors}
    times = Histogram({bucket_of(0.01): requests}, 0.01 * requests)
    return SeriesTally("m", version, role, codes, times, times, 0, **more)


class FakeCounts:
    def __init__(self) -> None:
        self.told: dict[str, list[SeriesTally]] = {}
        self.compared: dict[PairKey, PairTotals] = {}

    def rows(self, deployment: str) -> Iterable[tuple[str, SeriesTally]]:
        return [(source, each) for source, rows in self.told.items() for each in rows if deployment == "m"]

    def pairs(self) -> Mapping[PairKey, PairTotals]:
        return dict(self.compared)


def moments(found: Trends, since: float = 0.0) -> list[Moment]:
    return [msgspec.json.decode(each, type=Moment) for each in found.moments("m", since)]


def look(found: Trends, names: list[str], at: float) -> None:
    for _ in found.look(names, at):
        pass


@pytest.mark.parametrize("left", [[], [SeriesTally("m", "v2", "live", {}, NOTHING, NOTHING, 0, cohort=3)]])
def test_a_cohort_that_is_counted_elsewhere_from_now_on_is_nothing_new(left: list[SeriesTally]) -> None:
    counts = FakeCounts()
    found = Trends(counts)
    counts.told = {"w": [row("v2", 10), row("v2", 900, errors=40, cohort=3)], "x": [row("v2", 500)]}
    look(found, ["m"], 100.0)
    counts.told = {"w": [row("v2", 913, errors=41), *left]}  # and a worker has gone
    look(found, ["m"], 103.0)
    (moment,) = moments(found)
    assert (moment.live["v2"].requests, moment.live["v2"].errors) == (3, 1)
    assert moment.live["v2"].p95 == pytest.approx(0.01, rel=0.03)


def test_a_moment_has_what_came_since_the_last_look_by_version_and_role() -> None:
    counts = FakeCounts()
    found = Trends(counts)
    counts.told["w"] = [row("v1", 10), row("v2", 3, role="shadow")]
    look(found, ["m"], 100.0)
    assert moments(found) == []  # what came before nobody knows when
    counts.told["w"] = [row("v1", 16, errors=2), row("v2", 7, role="shadow")]
    look(found, ["m"], 103.0)
    (moment,) = moments(found)
    assert (moment.at, moment.seconds) == (103.0, 3.0)
    assert (moment.live["v1"].requests, moment.live["v1"].errors) == (6, 2)
    assert moment.copies["v2"].requests == 4
    assert moment.live["v1"].p95 == pytest.approx(0.01, rel=0.03)
    assert moment.live["v1"].first_byte_p50 == moment.live["v1"].p50


def test_where_nothing_came_there_is_nothing_and_not_zero() -> None:
    counts = FakeCounts()
    found = Trends(counts)
    counts.told["w"] = [row("v1", 10)]
    look(found, ["m"], 100.0)
    look(found, ["m"], 103.0)
    assert moments(found) == [Moment(103.0, 3.0)]


def test_a_new_worker_brings_all_it_counted_and_one_that_goes_takes_nothing() -> None:
    counts = FakeCounts()
    found = Trends(counts)
    counts.told["old"] = [row("v1", 5)]
    look(found, ["m"], 100.0)
    counts.told["new"] = [row("v1", 3)]
    counts.told["old"] = [row("v1", 6)]
    look(found, ["m"], 103.0)
    del counts.told["old"]
    counts.told["new"] = [row("v1", 5), row("v2", 1)]
    look(found, ["m"], 106.0)
    first, second = moments(found)
    assert first.live["v1"].requests == 4
    assert {version: each.requests for version, each in second.live.items()} == {"v1": 2, "v2": 1}


def test_pairs_are_counted_for_the_copy_and_those_of_a_version_with_itself_are_not() -> None:
    counts = FakeCounts()
    found = Trends(counts)
    key = ("m", "v1", "v2")
    counts.compared[key] = PairTotals({"match": 90, "mismatch": 10}, {})
    look(found, ["m"], 100.0)
    counts.compared[key] = PairTotals({"match": 93, "mismatch": 11, "incomparable": 5}, {})
    counts.compared["m", "v1", "v1"] = PairTotals({"match": 50}, {})
    counts.compared["m", "v2", "v1"] = PairTotals({"match": 2}, {})
    look(found, ["m"], 103.0)
    (moment,) = moments(found)
    assert moment.pairs == {"v2": (4, 3), "v1": (2, 2)}
    pulse = found.pulses()["m"]
    assert (pulse.compared, pulse.matched) == (6, 5)


def test_only_what_is_newer_is_told() -> None:
    found = Trends(FakeCounts())
    for at in (100.0, 103.0, 106.0, 109.0):
        look(found, ["m"], at)
    assert [each.at for each in moments(found, 103.0)] == [106.0, 109.0]
    assert told(found.moments("m", 109.0)) == {"every": trends.EVERY, "moments": []}


def test_the_line_is_bounded_and_shorter_where_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Trends(FakeCounts())
    for index in range(KEPT + 10):
        look(found, ["m"], 3.0 * index)
    assert len(moments(found)) == len(found.pulses()["m"].line) == KEPT
    monkeypatch.setattr(trends, "MOST", 20)
    look(found, ["m", "other"], 10_000.0)
    assert len(moments(found)) == 10
    look(found, ["other"], 10_003.0)
    assert moments(found) == []
    assert set(found.pulses()) == {"other"}


def test_pairs_of_moments_that_are_no_longer_kept_are_in_no_pulse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trends, "MOST", 2)
    counts = FakeCounts()
    found = Trends(counts)
    matches, mismatches = 0, 0
    for index, (matching, differing) in enumerate([(0, 0), (5, 1), (3, 0), (0, 2), (7, 4)]):
        matches, mismatches = matches + matching, mismatches + differing
        counts.compared["m", "v1", "v2"] = PairTotals({"match": matches, "mismatch": mismatches}, {})
        look(found, ["m"], 3.0 * index)
    pulse = found.pulses()["m"]
    assert (pulse.compared, pulse.matched) == (2 + 11, 0 + 7)


def test_a_clock_that_is_set_back_hurts_nobody() -> None:
    counts = FakeCounts()
    found = Trends(counts)
    for index, at in enumerate((1000.0, 1000.0, 400.0, 403.0)):
        counts.told["w"] = [row("v1", 10 * index)]
        look(found, ["m"], at)
    assert [each.live["v1"].requests for each in moments(found)] == [10, 10, 10]
    assert found.pulses()["m"].versions["v1"].rate > 0


def test_a_pulse_is_of_the_last_half_minute() -> None:
    counts = FakeCounts()
    found = Trends(counts)
    counts.told["w"] = [row("v1", 0)]
    look(found, ["m"], 0.0)
    for index in range(1, RECENT + 2):  # the first one is too old
        counts.told["w"] = [row("v1", 300 + 6 * index, errors=index)]
        look(found, ["m"], 3.0 * index)
    beat = found.pulses()["m"].versions["v1"]
    assert beat.rate == pytest.approx(2.0)
    assert beat.errors == pytest.approx(1 / 3, rel=1e-2)
    assert beat.p95 == pytest.approx(0.01, rel=0.03)
    assert found.pulses()["m"].line[-1] == pytest.approx(2.0)


Adding = st.lists(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["v1", "v2"]), st.integers(0, 9)))


@given(st.lists(Adding, max_size=8))
def test_every_request_is_in_exactly_one_moment(rounds: list[Any]) -> None:
    counts = FakeCounts()
    found = Trends(counts)
    total: Counter[tuple[str, str]] = Counter()
    look(found, ["m"], 0.0)
    for index, adding in enumerate(rounds, 1):
        for source, version, more in adding:
            total[source, version] += more
        for source in ("a", "b"):
            counts.told[source] = [row(version, total[source, version]) for version in ("v1", "v2")]
        look(found, ["m"], float(index))
    seen: Counter[str] = Counter()
    for moment in moments(found):
        seen.update({version: each.requests for version, each in moment.live.items()})
    assert +seen == +Counter({v: sum(n for (_, w), n in total.items() if w == v) for v in ("v1", "v2")})
