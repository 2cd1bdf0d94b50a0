"""Merging cumulative tallies: exact in any order, and never backwards."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from router.channel import Histogram, PairTally, RecorderTally, SeriesTally, SinkTally, Tally
from router.telemetry.counters import VersionCounter
from router.telemetry.events import RETRIES, EventCounter
from router.telemetry.ledger import Ledger, SinkTotals


def series(requests: int, *, code: int = 200, in_flight: int = 0, version: str = "v1") -> SeriesTally:
    return SeriesTally(
        "d", version, "live", {code: requests}, Histogram({5: requests}, requests * 0.5), Histogram({}, 0.0), in_flight
    )  # fmt: skip


def tally(*many: SeriesTally, events: tuple[tuple[tuple[str, ...], int], ...] = ()) -> Tally:
    return Tally(many, events)


def pairs(match: int, mismatch: int = 0, shadow: str = "v2") -> RecorderTally:
    verdicts = {"match": match, "mismatch": mismatch, "incomparable": 7}
    return RecorderTally((PairTally("d", "v1", shadow, verdicts, {"/x": mismatch}),), ((("d", "full"), 1),))


def test_the_latest_tally_of_a_worker_replaces_the_one_before() -> None:
    ledger = Ledger()
    for requests in (1, 5, 5):
        ledger.tally("a", tally(series(requests, in_flight=2)))
    ledger.tally("b", tally(series(10, code=503, in_flight=1)))
    totals = ledger.series()["d", "v1", "live"]
    assert (totals.requests, totals.errors, totals.in_flight) == (15, 10, 3)
    assert totals.duration == Histogram({5: 15}, 7.5)


def test_a_tally_brings_only_what_changed() -> None:
    ledger = Ledger()
    ledger.tally("a", tally(series(1), series(2, version="v2"), events=((("e", "x"), 1),)))
    ledger.tally("a", tally(series(3), events=((("f",), 4),)))
    assert {key[1]: totals.requests for key, totals in ledger.series().items()} == {"v1": 3, "v2": 2}
    assert ledger.events() == {("e", "x"): 1, ("f",): 4}


def test_the_dead_keep_their_counts_but_nothing_in_flight() -> None:
    ledger = Ledger()
    ledger.tally("a", tally(series(4, in_flight=3), events=((("e",), 2),)))
    ledger.gone("a")
    ledger.gone("a")
    ledger.tally("a2", tally(series(1, in_flight=1), events=((("e",), 5),)))
    totals = ledger.series()["d", "v1", "live"]
    assert (totals.requests, totals.in_flight) == (5, 1)
    assert ledger.events() == {("e",): 7}


def test_what_a_dead_worker_had_ejected_is_forgotten() -> None:
    ledger = Ledger()
    ledger.tally("a", Tally((), (), ("http://x",)))
    ledger.tally("b", Tally((), (), ("http://y",)))
    assert ledger.ejected() == {"http://x", "http://y"}
    ledger.gone("a")
    ledger.tally("b", Tally((), ()))
    assert ledger.ejected() == frozenset()


def test_recorders_are_merged_the_same_way() -> None:
    ledger = Ledger()
    ledger.recorder_tally("r1", pairs(1))
    ledger.recorder_tally("r1", pairs(6, 2))
    ledger.gone("r1")
    ledger.recorder_tally("r2", pairs(3, 1))
    totals = ledger.pairs()["d", "v1", "v2"]
    assert totals.verdicts == {"match": 9, "mismatch": 3, "incomparable": 14}
    assert totals.fields == {"/x": 3}
    assert totals.agreement == 0.75
    assert ledger.dropped() == {("d", "full"): 2}


def test_sinks_of_all_recorders_count_together_and_only_the_living_have_records_waiting() -> None:
    ledger = Ledger()
    for source, delivered in (("r1", 3), ("r1", 5), ("r2", 1)):
        sink = SinkTally("webhook", delivered, {"refused": 1}, 2, "away")
        ledger.recorder_tally(source, RecorderTally((), (), sinks=(sink,)))
    assert ledger.sinks() == {"webhook": SinkTotals(6, {"refused": 2}, 4, "away")}
    ledger.gone("r1")
    ledger.gone("r2")
    assert ledger.sinks() == {"webhook": SinkTotals(6, {"refused": 2}, 0, "")}


def test_a_sink_that_was_removed_and_came_back_counts_as_one() -> None:
    ledger = Ledger()
    sinks = (SinkTally("webhook", 2, {}, 1), SinkTally("webhook", 3, {"removed": 1}, 0))
    ledger.recorder_tally("r", RecorderTally((), (), sinks=sinks))
    assert ledger.sinks() == {"webhook": SinkTotals(5, {"removed": 1}, 1, "")}


def test_there_is_no_agreement_without_comparable_pairs() -> None:
    ledger = Ledger()
    ledger.recorder_tally("r", pairs(0))
    assert ledger.pairs()["d", "v1", "v2"].agreement is None


def test_summary_of_a_deployment() -> None:
    live, shadow = VersionCounter("d", "v2", "live"), VersionCounter("d", "v2", "shadow")
    for counter, code in ((live, 200), (live, 502), (shadow, 500)):
        counter.start()
        counter.finish(code, 0.1, -1.0)
    live.start()
    ledger = Ledger()
    ledger.tally("a", Tally(tuple(filter(None, (live.tally(), shadow.tally()))), ()))
    ledger.tally(
        "b", tally(SeriesTally("other", "v2", "live", {200: 9}, Histogram({}, 0), Histogram({}, 0), 0))
    )
    ledger.recorder_tally("r", pairs(3, 1))
    noise = PairTally("d", "v2", "v2", {"match": 1, "mismatch": 9}, {})
    again = PairTally("d", "v1", "v2", {"mismatch": 1}, {}, slice="eu")
    ledger.recorder_tally("r", RecorderTally((noise, again), ()))
    (version, numbers), = ledger.summary("d").items()  # fmt: skip
    assert version == "v2"
    assert (numbers.requests, numbers.errors, numbers.in_flight) == (2, 1, 1)
    assert (numbers.shadow_requests, numbers.shadow_errors, numbers.agreement) == (1, 1, 0.75)
    assert numbers.p50 == numbers.p95
    assert numbers.p50 is not None
    assert 0.1 <= numbers.p50 < 0.103
    assert ledger.summary("unknown") == {}


def test_what_fell_back_counts_once_as_the_failure_of_the_version_that_could_not_answer() -> None:
    stable, candidate = VersionCounter("d", "v1", "live"), VersionCounter("d", "v2", "live", cohort=3)
    stable.start()
    stable.finish(200, 0.1, -1.0)
    candidate.start()
    candidate.fall_back()
    ledger = Ledger()
    rows = (stable.tally(), candidate.tally())
    ledger.tally("a", Tally(rows, ((("router_fallbacks_total", "d", "v2"), 1),)))  # type: ignore[arg-type]
    ledger.tally("b", Tally((), ((("router_fallbacks_total", "other", "v2"), 5),)))
    assert {name: (seen.requests, seen.errors) for name, seen in ledger.summary("d").items()} == {
        "v1": (1, 0),
        "v2": (1, 1),
    }


STEPS = st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["count", "tell", "die"])), max_size=60)


@given(STEPS)
def test_totals_never_go_backwards_and_miss_nothing_that_was_told(steps: list[tuple[int, str]]) -> None:
    ledger, told, last = Ledger(), 0, 0
    life, counts, reported = Counter[int](), Counter[int](), Counter[int]()
    for worker, step in steps:
        name = f"{worker}-{life[worker]}"
        if step == "count":
            counts[worker] += 1
        elif step == "tell":
            ledger.tally(name, tally(series(counts[worker])))
            told += counts[worker] - reported[worker]
            reported[worker] = counts[worker]
        else:
            ledger.gone(name)
            life[worker] += 1
            counts[worker] = reported[worker] = 0
        now = sum(totals.requests for totals in ledger.series().values())
        assert now == told >= last
        last = now


def test_events_of_a_counter_arrive() -> None:
    events, ledger = EventCounter(), Ledger()
    events.add(RETRIES, "d", "v1")
    events.add(RETRIES, "d", "v1", by=2)
    ledger.tally("a", Tally((), tuple(events.counts.items())))
    assert ledger.events() == {("router_retries_total", "d", "v1"): 3}


def test_cohorts_and_slices_of_one_version_are_one_to_whoever_looks() -> None:
    ledger = Ledger()
    rows = [
        replace(series(requests), cohort=cohort, slice=slice, fallbacks=1, broken=1)
        for requests, cohort, slice in ((10, 0, ""), (20, 3, "tenant=a"), (30, 3, "tenant=b"), (40, 4, ""))
    ]
    ledger.tally("a", tally(*rows))
    totals = ledger.series()["d", "v1", "live"]
    assert (totals.requests, totals.errors, totals.fallbacks) == (104, 8, 4)
    assert totals.duration == Histogram({5: 100}, 50.0)
    # A worker folds an old cohort into what is no evidence: the sum stays, and the row goes.
    folded = VersionCounter("d", "v1", "live", 3, "tenant=a")
    folded.touch()
    gone = folded.tally()
    assert gone is not None
    ledger.tally("a", tally(replace(series(30), fallbacks=2, broken=2), gone))
    assert ledger.series()["d", "v1", "live"].codes == {200: 100}
    assert [(row.cohort, row.slice) for _, row in ledger.rows("d")] == [(0, ""), (3, "tenant=b"), (4, "")]


def test_whoever_listens_hears_all_as_it_comes_and_rows_tell_what_came_before() -> None:
    ledger, heard = Ledger(), Heard()
    ledger.tally("a", tally(series(1)))
    ledger.listen(heard)
    ledger.tally("a", tally(series(2), replace(series(5), cohort=4)))
    ledger.recorder_tally("r", pairs(3))
    assert [(source, row.cohort, row.codes) for source, row in ledger.rows("d")] == [
        ("a", 0, {200: 2}),
        ("a", 4, {200: 5}),
    ]
    assert list(ledger.rows("other")) == []
    ledger.gone("a")
    assert heard.seen == ["tally a", "recorder r", "gone a"]
    assert list(ledger.rows("d")) == []


class Heard:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def tally(self, source: str, tally: Tally) -> None:
        self.seen.append(f"tally {source}")

    def recorder_tally(self, source: str, tally: RecorderTally) -> None:
        self.seen.append(f"recorder {source}")

    def gone(self, source: str) -> None:
        self.seen.append(f"gone {source}")


def test_what_the_dead_had_counted_goes_on_in_the_next_ledger() -> None:
    first, second = Ledger(), Ledger()
    row = replace(series(4, in_flight=3), fallbacks=2, broken=1, cohort=7, slice="a=b")
    first.tally("a", tally(row, series(5), events=((("e",), 2),)))
    first.tally("b", tally(series(1, in_flight=1)))
    first.gone("a")
    second.restore(first.ended())
    second.tally("b", tally(series(6, in_flight=1), events=((("e",), 1),)))  # it tells all it counts anew
    totals = second.series()["d", "v1", "live"]
    assert (totals.codes, totals.in_flight, totals.fallbacks, totals.broken) == ({200: 15}, 1, 2, 1)
    assert totals.duration == Histogram({5: 15}, 7.5)
    assert second.events() == {("e",): 3}
