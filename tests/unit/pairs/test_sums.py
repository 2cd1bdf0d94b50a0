"""Sums over a log are those over its lines, whatever else is in the file."""

from pathlib import Path

import msgspec
import zstandard

from router.pairs.comparators.json import JsonComparator
from router.pairs.joining import Joined
from router.pairs.pair import build
from router.pairs.redaction import Redactor
from router.pairs.settings import RedactSpec
from router.pairs.slices import MAX_VALUES, OTHER
from router.pairs.sums import of_log, of_tallies
from tests.support.captures import primary, shadow


def line(number: int, version: str = "v2") -> bytes:
    joined = Joined(primary("a", number), shadow("a", number, version), version, ())
    pair = build(joined, JsonComparator(), Redactor(RedactSpec()))
    time = f"2026-01-01T00:00:{number % 60:02}.000000Z"
    return msgspec.structs.replace(pair, time=time, slices={"n": str(number)}).line()


def test_packed_torn_and_damaged_files(tmp_path: Path) -> None:
    packed = zstandard.ZstdCompressor().compress(line(1) + line(2))
    (tmp_path / "1.jsonl.zst").write_bytes(packed)
    (tmp_path / "2.jsonl").write_bytes(line(3) + b"rubbish\n" + line(4) + line(5)[:-20])
    read = of_log(tmp_path)
    assert (read.pairs, read.complete) == (4, True)
    assert (read.since, read.until) == ("2026-01-01T00:00:01.000000Z", "2026-01-01T00:00:04.000000Z")
    assert read.sums["v1", "v2"].verdicts["match"] == 4


def test_the_newest_files_are_read_until_there_is_enough(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number}.jsonl").write_bytes(line(10 * number) + line(10 * number + 1))
    for last, pairs in ((1, 2), (2, 2), (3, 4), (8, 8), (9, 8), (None, 8)):
        read = of_log(tmp_path, last)
        assert (read.pairs, read.complete) == (pairs, pairs == 8)
        assert read.until == "2026-01-01T00:00:31.000000Z"


def test_values_of_a_slice_are_bounded(tmp_path: Path) -> None:
    (tmp_path / "1.jsonl").write_bytes(b"".join(line(number) for number in range(MAX_VALUES + 5)))
    found = of_log(tmp_path).sums["v1", "v2"].slices
    assert len(found) == MAX_VALUES + 1
    assert found[f"n={OTHER}"] == {"match": 5}


def test_nothing_counted() -> None:
    assert of_tallies([], []) == {}
