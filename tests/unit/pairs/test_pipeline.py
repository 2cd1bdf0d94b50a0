"""The way of a capture, with real files and a clock made of numbers."""

import errno
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from router.channel import Capture, RecorderSettings, encode
from router.pairs.joining import Joined, Joiner
from router.pairs.pair import Pair, build
from router.pairs.pipeline import RESENT_WITHIN, TOLD_AFTER, Pipeline
from router.pairs.spool import Spool
from tests.support.captures import message, primary, shadow


class MemorySink:
    """Keeps lines; fails as it is told."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, bytes]] = []
        self.batches = 0
        self.failure: OSError | None = None

    def write(self, deployment: str, lines: list[bytes], now: float) -> None:
        if self.failure is not None:
            raise self.failure
        self.batches += 1
        self.lines += [(deployment, line) for line in lines]

    def rotate(self, now: float) -> None: ...

    def settle(self) -> None: ...

    def close(self) -> None: ...

    def exchanges(self) -> list[str]:
        return [json.loads(line)["exchange"] for _, line in self.lines]


class Bench:
    """A pipeline with a spool on disk and its sink in sight."""

    def __init__(self, root: Path, *, spool_limit: int = 1 << 20, max_queue: int = 1 << 20) -> None:
        self.sink = MemorySink()
        self.spool = Spool(root, limit=spool_limit, segment_size=1)
        self.pipeline = Pipeline(self.spool, self.sink, Joiner(deadline=30), max_queue=max_queue)
        self.pipeline.configure(RecorderSettings("unused", 1, 1.0, 1.0, {"loan": b""}))
        self.root = root

    def take(self, *halves: Capture, now: float = 0.0) -> None:
        for half in halves:
            self.pipeline.take(half, now)

    def dropped(self) -> dict[tuple[str, str], int]:
        tally = self.pipeline.tally()
        return {} if tally is None else dict(tally.dropped)

    def pending(self) -> int:
        """Captures in the spool that are needed; segments hold one each here, and the last stays open."""
        for _ in range(TOLD_AFTER + 1):
            self.pipeline.expire(0.0)
        self.spool.close()
        return len(list((self.root / ".spool").glob("*.spool")))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_pair_is_written_counted_and_let_go(bench: Bench) -> None:
    bench.take(primary("a"), shadow("a"))
    assert bench.sink.lines == []
    assert bench.pipeline.work(0.0) is False
    assert bench.sink.exchanges() == ["a"]
    tally = bench.pipeline.tally()
    assert tally is not None
    assert tally.pairs[0].verdicts == {"match": 1}
    assert bench.pipeline.tally() is None
    assert bench.pending() == 0


def test_work_comes_in_slices_and_one_write_each(bench: Bench) -> None:
    for name in "abc":
        bench.take(primary(name), shadow(name))
    assert bench.pipeline.work(0.0, pairs=2) is True
    assert (bench.sink.exchanges(), bench.sink.batches) == (["a", "b"], 1)
    assert bench.pipeline.work(0.0, size=1) is False
    assert bench.sink.exchanges() == ["a", "b", "c"]


def test_each_deployment_has_its_own_settings_and_keeps_them_while_it_drains(bench: Bench) -> None:
    def settings(**deployments: object) -> RecorderSettings:
        texts = {name: json.dumps(each).encode() if each else b"" for name, each in deployments.items()}
        return RecorderSettings("unused", 1, 1.0, 1.0, texts)

    bench.pipeline.configure(settings(loan={"compare": {"bytes": {}}}, fraud=None))
    bench.pipeline.configure(settings(fraud=None))
    for deployment in ("loan", "fraud"):
        bench.take(
            primary(deployment, b"[1]", deployment=deployment),
            shadow(deployment, b"[1.0]", deployment=deployment),
        )
    bench.pipeline.work(0.0)
    verdicts = {deployment: json.loads(line)["verdict"] for deployment, line in bench.sink.lines}
    assert verdicts == {"loan": "mismatch", "fraud": "match"}


def test_deadlines_make_missing_pairs(bench: Bench) -> None:
    bench.take(primary("a"), now=0)
    bench.pipeline.expire(29.0)
    assert bench.pipeline.work(0.0) is False
    assert bench.pending() == 1
    bench.pipeline.expire(30.0)
    bench.pipeline.work(0.0)
    assert json.loads(bench.sink.lines[0][1])["shadow"]["error"] == "missing"
    assert bench.pending() == 0


def test_strays_are_counted_and_let_go(bench: Bench) -> None:
    bench.take(primary("a", copies=()))
    assert bench.dropped() == {("loan", "no_copies"): 1}
    assert bench.pending() == 0


def test_finishing_leaves_nothing(bench: Bench) -> None:
    bench.take(primary("a"), shadow("b"), primary("c"), shadow("c"))
    bench.pipeline.finish(0.0, 0.0)
    assert sorted(bench.sink.exchanges()) == ["a", "b", "c"]
    assert bench.pending() == 0


@pytest.mark.parametrize(
    ("number", "reason"),
    [(errno.ENOSPC, "disk_full"), (errno.EDQUOT, "disk_full"), (errno.EACCES, "write_error")],
)
def test_what_the_sink_refuses_is_counted_by_reason_and_judged_all_the_same(
    bench: Bench, number: int, reason: str
) -> None:
    bench.sink.failure = OSError(number, "no")
    bench.take(primary("a"), shadow("a"))
    bench.pipeline.work(0.0)
    tally = bench.pipeline.tally()
    assert tally is not None
    assert dict(tally.dropped) == {("loan", reason): 2}
    assert tally.pairs[0].verdicts == {"match": 1}
    assert bench.pending() == 0
    bench.sink.failure = None
    bench.take(primary("b"), shadow("b"))
    bench.pipeline.work(0.0)
    assert bench.sink.exchanges() == ["b"]


def test_nothing_is_written_of_a_deployment_whose_redaction_is_not_known(bench: Bench) -> None:
    bench.take(primary("a", deployment="fraud"), shadow("a", deployment="fraud"))
    bench.pipeline.finish(0.0, 0.0)
    assert bench.dropped() == {("fraud", "unknown_deployment"): 2}
    assert bench.sink.lines == []
    assert bench.pending() == 0


def test_a_full_spool_is_counted(tmp_path: Path) -> None:
    bench = Bench(tmp_path, spool_limit=10)
    bench.take(primary("a"))
    assert bench.dropped() == {("loan", "spool_full"): 1}


def test_a_spool_that_cannot_be_written_is_counted_and_heals(bench: Bench) -> None:
    (bench.root / ".spool").write_bytes(b"in the way")
    bench.take(primary("a"))
    assert bench.dropped() == {("loan", "spool_error"): 1}
    (bench.root / ".spool").unlink()
    bench.take(primary("b"), shadow("b"))
    bench.pipeline.work(0.0)
    assert bench.sink.exchanges() == ["b"]


def test_a_queue_that_is_full_takes_no_more_until_it_is_worked_off(tmp_path: Path) -> None:
    bench = Bench(tmp_path, max_queue=1)
    bench.take(primary("a"), shadow("a"), primary("b"))
    assert bench.dropped() == {("loan", "recorder_busy"): 1}
    bench.pipeline.work(0.0)
    bench.take(primary("c"), shadow("c"))
    bench.pipeline.work(0.0)
    assert bench.sink.exchanges() == ["a", "c"]


def test_a_pair_that_trips_the_comparator_does_not_stop_the_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(joined: Joined, *rules: Any) -> Pair:
        if joined.version == "v3":
            raise ZeroDivisionError
        return build(joined, *rules)

    monkeypatch.setattr("router.pairs.pipeline.build", stumble)
    bench.take(primary("a", copies=("v3",)), shadow("a", version="v3"), primary("b"), shadow("b"))
    bench.pipeline.work(0.0)
    assert bench.sink.exchanges() == ["b"]
    assert bench.dropped() == {("loan", "comparison_error"): 2}
    assert bench.pending() == 0


def test_the_spool_holds_no_secret(bench: Bench) -> None:
    settings = json.dumps({"redact": {"request": ["/card"]}}).encode()
    bench.pipeline.configure(RecorderSettings("unused", 1, 1.0, 1.0, {"loan": settings}))
    bench.take(primary("a"))
    text = b"".join(path.read_bytes() for path in (bench.root / ".spool").iterdir())
    assert text
    assert b"4111" not in text
    assert b"hunter2" not in text


def recovered(root: Path, halves: Iterable[Capture], written: set[tuple[str, str]]) -> Bench:
    """A pipeline that takes up a spool with these captures."""
    (root / ".spool").mkdir()
    (root / ".spool" / "1-1-1.spool").write_bytes(b"".join(encode(half) for half in halves))
    bench = Bench(root)
    for segment in bench.spool.leftovers():
        bench.pipeline.recover(segment, written, 0.0)
    bench.pipeline.work(0.0)
    return bench


def test_recovery_goes_on_where_the_dead_recorder_was(tmp_path: Path) -> None:
    bench = recovered(tmp_path, [primary("a"), primary("b"), shadow("b")], set())
    assert bench.sink.exchanges() == ["b"]
    assert bench.pending() == 1
    bench.take(shadow("a"))
    bench.pipeline.work(0.0)
    assert bench.sink.exchanges() == ["b", "a"]
    assert bench.pending() == 0


def test_recovery_writes_no_pair_twice(tmp_path: Path) -> None:
    halves = [
        primary("a"),
        shadow("a"),
        primary("b", copies=("v2", "v3")),
        shadow("b"),
        shadow("b", version="v3"),
    ]
    bench = recovered(tmp_path, halves, {("a", "v2"), ("b", "v2")})
    bench.pipeline.finish(0.0, 0.0)
    assert [
        (json.loads(line)["exchange"], json.loads(line)["shadow"]["version"]) for _, line in bench.sink.lines
    ] == [("b", "v3")]
    assert bench.pending() == 0


def test_recovery_of_half_of_a_written_pair_makes_no_missing_one(tmp_path: Path) -> None:
    bench = recovered(tmp_path, [shadow("a"), primary("b")], {("a", "v2"), ("b", "v2")})
    bench.pipeline.finish(0.0, 0.0)
    assert bench.sink.lines == []
    assert bench.pending() == 0


def test_what_the_dead_recorder_had_taken_is_not_taken_again_when_it_is_sent_again(tmp_path: Path) -> None:
    bench = recovered(tmp_path, [primary("a"), shadow("a"), primary("b")], {("a", "v2")})
    bench.take(primary("a"), shadow("a"), primary("b"), shadow("b"), now=1.0)
    bench.pipeline.finish(1.0, 0.0)
    assert bench.sink.exchanges() == ["b"]
    assert bench.dropped() == {}
    assert bench.pending() == 0


def test_what_was_recovered_is_forgotten_when_nobody_can_send_it_again(tmp_path: Path) -> None:
    bench = recovered(tmp_path, [primary("a"), shadow("a")], set())
    bench.pipeline.expire(RESENT_WITHIN + 1.0)
    bench.take(primary("a"), shadow("a"), now=RESENT_WITHIN + 1.0)
    bench.pipeline.work(0.0)
    assert bench.sink.exchanges() == ["a", "a"]


def test_a_written_pair_stays_in_the_spool_until_its_worker_knows_that_it_was_taken(bench: Bench) -> None:
    bench.take(primary("a"), shadow("a"))
    bench.pipeline.work(0.0)
    bench.pipeline.expire(0.0)
    assert sum(path.stat().st_size for path in (bench.root / ".spool").iterdir()) > 0
    assert bench.pending() == 0


def test_every_line_is_offered_to_the_other_sinks_also_when_the_file_fails(tmp_path: Path) -> None:
    offered: list[bytes] = []
    sink = MemorySink()
    sink.failure = OSError(errno.ENOSPC, "no")
    pipeline = Pipeline(Spool(tmp_path), sink, Joiner(), offered.append)
    pipeline.configure(RecorderSettings("unused", 1, 1.0, 1.0, {"loan": b""}))
    for half in (primary("a"), shadow("a")):
        pipeline.take(half, 0.0)
    pipeline.work(0.0)
    assert [json.loads(line)["exchange"] for line in offered] == ["a"]


def test_hostile_bodies_pass_through(bench: Bench) -> None:
    for number, body in enumerate((b"", b"\xff", b"NaN", b"[" * 10_000, b"\x1f\x8b", b'"\\ud800"')):
        bench.take(primary(str(number), message(body)), shadow(str(number), message(body + b" ")))
    bench.pipeline.work(0.0)
    assert len(bench.sink.lines) == 6
    assert bench.dropped() == {}
