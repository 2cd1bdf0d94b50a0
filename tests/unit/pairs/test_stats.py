from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from router.channel import Capture
from router.pairs.comparators.json import JsonComparator
from router.pairs.joining import Joined
from router.pairs.pair import build
from router.pairs.redaction import Redactor
from router.pairs.settings import RedactSpec
from router.pairs.stats import agreement, stats
from tests.support.captures import primary, shadow


def line(left: Capture | None, right: Capture | None, version: str) -> bytes:
    return build(Joined(left, right, version, ()), JsonComparator(), Redactor(RedactSpec())).line()


def test_a_log_summed_up(tmp_path: Path) -> None:
    rows = [line(primary("a", {"y": 1}), shadow("a", {"y": 1}), "v2") for _ in range(8)]
    rows += [line(primary("b", {"y": 1, "z": 1}), shadow("b", {"y": 2, "z": z}), "v2") for z in (1, 2)]
    rows += [line(primary("c"), None, "v2"), b"rubbish\n"]
    rows += [line(primary("d"), shadow("d", version="v1"), "v1")]
    (tmp_path / "1.jsonl").write_bytes(b"".join(rows))
    noise, trial = stats(tmp_path)
    assert (noise.primary, noise.shadow, noise.noise) == ("v1", "v1", True)
    assert (trial.primary, trial.shadow, trial.noise) == ("v1", "v2", False)
    assert trial.verdicts == {"match": 8, "mismatch": 2, "incomparable": 1}
    assert trial.agreement.ratio == 0.8
    assert trial.fields == (("/y", 2), ("/z", 1))
    assert trial.primary_latency_ms == pytest.approx(2.0, rel=0.03)
    assert trial.shadow_latency_ms == pytest.approx(2.0, rel=0.03)
    assert stats(tmp_path, top=1)[1].fields == (("/y", 2),)


def test_how_long_a_failure_took_is_no_latency_of_a_model(tmp_path: Path) -> None:
    late = shadow("a")
    late = structs.replace(
        late, answer=structs.replace(late.answer, status=0, error="timeout", latency_ms=5000.0)
    )
    (tmp_path / "1.jsonl").write_bytes(line(primary("a"), late, "v2"))
    (only,) = stats(tmp_path)
    assert only.shadow_latency_ms is None
    assert only.primary_latency_ms == pytest.approx(2.0, rel=0.03)


def test_an_empty_log(tmp_path: Path) -> None:
    assert stats(tmp_path) == []


def test_only_incomparable_pairs_say_nothing_about_agreement(tmp_path: Path) -> None:
    (tmp_path / "1.jsonl").write_bytes(line(None, shadow("a"), "v2"))
    (only,) = stats(tmp_path)
    assert (only.agreement.ratio, only.primary_latency_ms) == (None, None)


def test_wilson_agrees_with_published_values() -> None:
    # Newcombe 1998, table I: 81 of 263, and 0 of 20.
    found = agreement(81, 182)
    assert found.low == pytest.approx(0.2553, abs=1e-4)
    assert found.high == pytest.approx(0.3662, abs=1e-4)
    none = agreement(0, 20)
    assert none.low == 0.0
    assert none.high == pytest.approx(0.1611, abs=1e-4)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_the_interval_holds_the_ratio(match: int, mismatch: int) -> None:
    found = agreement(match, mismatch)
    if found.ratio is None or found.low is None or found.high is None:
        assert match + mismatch == 0
    else:
        assert 0.0 <= found.low <= found.ratio <= found.high <= 1.0
        assert found.low < found.high
