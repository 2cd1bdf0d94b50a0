from pathlib import Path
from typing import Any

import pytest

from router.demo.picture import (
    EDGE,
    Agreement,
    Span,
    Timeline,
    agreement_in,
    measure,
    rows_of,
    spread,
    told,
)
from router.demo.traffic import Log, Request
from tests.support.captures import primary, shadow
from tests.support.pairlogs import pair, recorded, write

OLD, NEW = {"v1": 1.0, "v2": 0.0}, {"v1": 0.75, "v2": 0.25}


def log_of(*requests: tuple[float, str, bool]) -> Log:
    log = Log()
    for begun, version, ok in requests:
        log.add(Request(begun, version, ok, 0.01))
    return log


def at(number: int, when: float) -> dict[str, Any]:
    return {"id": number, "when": when}


def test_a_timeline_keeps_what_changed() -> None:
    timeline = Timeline()
    assert timeline.spans(9.0) == []
    assert timeline.present(9.0, OLD) == Span(9.0, 9.0, OLD)
    timeline.note([at(1, 1.0)], OLD)
    timeline.note([at(2, 2.0), at(1, 1.0)], OLD)
    timeline.note([at(3, 3.0), at(2, 2.0), at(1, 1.0)], NEW)
    old, new = timeline.spans(9.0)
    assert old == Span(1.0, 3.0 - EDGE, OLD)
    assert new == Span(3.0 + EDGE, 9.0, NEW) == timeline.present(9.0, OLD)
    assert timeline.spans(3.0)[1] == Span(3.0 + EDGE, 3.0 + EDGE, NEW), "too short to tell"


def test_what_happened_between_two_looks_is_not_guessed() -> None:
    timeline = Timeline()
    timeline.note([at(1, 1.0)], OLD)
    timeline.note([at(3, 5.0), at(2, 4.0), at(1, 1.0)], OLD)
    assert timeline.spans(9.0) == [Span(1.0, 4.0 - EDGE, OLD), Span(5.0 + EDGE, 9.0, OLD)]


def test_a_share_is_measured_in_its_own_stretch_only() -> None:
    log = log_of(
        (0.5, "v2", True), (1.0, "v1", True), (1.5, "v2", True), (1.6, "v1", True), (2.0, "v2", True)
    )
    measured = measure(log, Span(1.0, 2.0, NEW), "v2")
    assert (measured.wanted, measured.requests) == (0.25, 3)
    assert measured.share == pytest.approx(1 / 3)


def test_nothing_was_measured_where_nobody_asked() -> None:
    assert measure(Log(), Span(1.0, 2.0, NEW), "v2").share == 0.0


def test_rows_tell_totals_rates_and_shares() -> None:
    log = log_of((1.0, "v2", True), *((9.0, "v1", True) for _ in range(3)), (9.5, "v2", False))
    v1, v2 = rows_of(log, Span(5.0, 10.0, NEW), {"v2": {"shadow_requests": 40, "shadow_p50": 0.006}})
    assert (v1.version, v1.requests, v1.failed, v1.rate, v1.copies) == ("v1", 3, 0, 1.5, 0)
    assert (v2.requests, v2.failed, v2.copies, v2.copies_p50) == (2, 1, 40, 0.006)
    assert (v2.share_set, v2.share_measured, v2.counted) == (0.25, 0.25, 4)
    assert v1.p50 == v1.p95 == 0.01


def test_a_version_without_answers_has_no_latency() -> None:
    (row,) = rows_of(Log(), Span(0.0, 1.0, {"v1": 1.0}), {})
    assert (row.p50, row.p95, row.share_measured) == (None, None, 0.0)


def test_agreement_is_read_from_the_pair_log(tmp_path: Path) -> None:
    halves = [recorded(number, 1, label) for number, label in enumerate((1, 1, 2))]
    lost = shadow("lost", error="timeout")
    directory = write(tmp_path, "loan", [pair(*each) for each in halves] + [pair(primary("lost"), lost)])
    assert agreement_in(directory) == Agreement(pairs=4, compared=3, matched=2)


def test_the_spread_shrinks_with_more_draws() -> None:
    assert spread(0.9, 100) == pytest.approx(0.0588)
    assert spread(0.9, 10_000) == pytest.approx(0.00588)
    assert spread(0.9, 0) == 1.0


def test_an_event_is_told_in_one_line() -> None:
    event = {"when": 104.2, "what": "advance", "phase": "progressing", "share": 0.25, "why": "held 6 s",
             "generation": 3}  # fmt: skip
    assert told(event, 100.0, {}) == "  4.2 s  advance: progressing, 25% (held 6 s)"
    assert told(event | {"why": ""}, 105.0, {}) == "  0.0 s  advance: progressing, 25%"
    fast = told(event, 100.0, {3: 1.26})
    assert fast == "  4.2 s  advance: progressing, 25%, in force on every worker after 1.3 ms"
