from pathlib import Path

import msgspec
import pytest
from msgspec import structs

from router.channel import Capture
from router.pairs.comparators.json import JsonComparator
from router.pairs.intervals import newcombe, wilson
from router.pairs.joining import Joined
from router.pairs.pair import build
from router.pairs.redaction import Redactor
from router.pairs.settings import RedactSpec
from router.pairs.stats import Report, live, report, stats
from router.pairs.tallies import Tallies
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
    assert trial.agreement.share == 0.8
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
    assert (only.agreement.share, only.primary_latency_ms) == (None, None)


def noisy_log(tmp_path: Path, copies: int = 400, misses: int = 40, noise: int = 200, own: int = 20) -> None:
    """Both disagree in `/flaky` equally often, and the candidate in `/y` besides."""
    rows = []
    for number in range(copies):
        right = {"flaky": number < misses, "y": number % 8 == 0}
        rows.append(line(primary(f"a{number}", {"flaky": False, "y": False}), shadow("a", right), "v2"))
    for number in range(noise):
        right = {"flaky": number < own, "y": False}
        rows.append(line(primary("n", {"flaky": False, "y": False}), shadow("n", right, "v1"), "v1"))
    (tmp_path / "1.jsonl").write_bytes(b"".join(rows))


def test_noise_is_taken_off_as_a_whole_and_by_field(tmp_path: Path) -> None:
    noisy_log(tmp_path)
    itself, trial = stats(tmp_path)
    assert (itself.disagreement.noise, itself.disagreement.net, itself.noisy) == (None, None, ())
    assert itself.disagreement.raw == wilson(20, 200)
    found = trial.disagreement
    assert (found.raw, found.noise) == (wilson(85, 400), wilson(20, 200))
    assert found.net == newcombe(wilson(85, 400), wilson(20, 200))
    (difference,), (noise,) = trial.differences, trial.noisy
    assert (difference.field, difference.count, difference.is_noise) == ("/y", 50, False)
    assert (noise.field, noise.count, noise.is_noise) == ("/flaky", 40, True)
    assert noise.disagreement.noise == wilson(20, 200)
    assert trial.fields == (("/y", 50), ("/flaky", 40)), "as counted, noise or not"
    assert difference.examples == ("id-a0", "id-a8", "id-a16")
    assert difference.first == difference.last == "2023-11-14T22:13:20.250Z"


def test_a_field_that_is_much_noisier_with_the_candidate_is_a_difference(tmp_path: Path) -> None:
    noisy_log(tmp_path, misses=160, own=5)
    _, trial = stats(tmp_path)
    assert [each.field for each in trial.differences] == ["/flaky", "/y"]
    assert trial.noisy == ()


def test_without_noise_pairs_nothing_is_called_noise(tmp_path: Path) -> None:
    noisy_log(tmp_path, noise=0)
    (trial,) = stats(tmp_path)
    assert (trial.disagreement.noise, trial.disagreement.net) == (None, None)
    assert len(trial.differences) == 2


def sliced(region: str, miss: bool, **more: object) -> bytes:
    joined = Joined(primary("a", 1), shadow("a", 2 if miss else 1), "v2", ())
    pair = build(joined, JsonComparator(), Redactor(RedactSpec()))
    return structs.replace(pair, slices={"region": region}, **more).line()


def test_a_slice_that_differs_more_is_marked(tmp_path: Path) -> None:
    rows = [sliced("north", number % 50 == 0) for number in range(500)]
    rows += [sliced("south", number % 50 == 0) for number in range(300)]
    rows += [sliced("east", number % 4 == 0) for number in range(100)]
    (tmp_path / "1.jsonl").write_bytes(b"".join(rows))
    (trial,) = stats(tmp_path)
    found = {each.value: (sum(each.verdicts.values()), each.differs_more) for each in trial.slices["region"]}
    assert found == {"north": (500, False), "south": (300, False), "east": (100, True)}
    assert list(found) == ["north", "south", "east"], "most frequent first"


def test_labels_numbers_and_scores(tmp_path: Path) -> None:
    rows = [
        sliced("n", False, labels=("cat", "dog"), values=(float(x), 2.0 * x), score=0.5) for x in range(10)
    ]
    (tmp_path / "1.jsonl").write_bytes(b"".join(rows) + line(primary("a"), shadow("a"), "v2"))
    (trial,) = stats(tmp_path)
    assert trial.labels == {"cat -> dog": 10}
    assert trial.values is not None
    assert (trial.values.pairs, trial.values.primary_mean, trial.values.shadow_mean) == (10, 4.5, 9.0)
    assert trial.values.correlation == pytest.approx(1.0)
    assert trial.values.distance_mean == pytest.approx(4.5)
    assert trial.score == pytest.approx(6 / 11)


def test_a_report_says_what_it_was_made_of(tmp_path: Path) -> None:
    assert report(tmp_path) == Report([], 0, True)
    rows = [line(primary("a"), shadow("a"), "v2")] * 10
    for number in range(3):
        (tmp_path / f"{number}.jsonl").write_bytes(b"".join(rows))
    found = report(tmp_path, last=15)
    assert (found.pairs, found.complete) == (20, False)
    assert found.since == found.until == "2023-11-14T22:13:20.250000Z"
    whole = report(tmp_path, last=None)
    assert (whole.pairs, whole.complete) == (30, True)


def test_what_the_recorder_counted_says_the_same_as_the_log(tmp_path: Path) -> None:
    pairs, tallies = [], Tallies()
    for number in range(60):
        left, right = {"y": 1}, {"y": 1 + (number % 3 == 0)}
        version = "v1" if number % 5 == 0 else "v2"
        joined = Joined(primary("a", left), shadow("a", right, version), version, ())
        pair = build(joined, JsonComparator(), Redactor(RedactSpec()))
        more = {"slices": {"r": str(number % 4)}, "labels": ("a", "b"), "values": (1.0, float(number))}
        pairs.append(structs.replace(pair, cohort=number // 20, **more))
        tallies.pair(pairs[-1])
    (tmp_path / "1.jsonl").write_bytes(b"".join(pair.line() for pair in pairs))
    frame = tallies.frame()
    assert frame is not None
    counted = live(frame.pairs, frame.details).comparisons
    logged = [
        structs.replace(each, primary_latency_ms=None, shadow_latency_ms=None)
        for each in report(tmp_path).comparisons
    ]
    assert counted == logged


def test_lines_of_an_older_router_are_read(tmp_path: Path) -> None:
    old = msgspec.json.decode(line(primary("a", 1), shadow("a", 2), "v2"))
    for name in ("slices", "subject", "cohort", "labels", "values"):
        del old[name]
    (tmp_path / "1.jsonl").write_bytes(msgspec.json.encode(old) + b"\n")
    (trial,) = stats(tmp_path)
    assert (trial.verdicts["mismatch"], trial.slices) == (1, {})
