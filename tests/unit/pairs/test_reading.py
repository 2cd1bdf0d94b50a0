"""Reading a log in every state it can be in: being written, torn, packed, expired."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import zstandard

from router.pairs.comparators.json import JsonComparator
from router.pairs.joining import Joined
from router.pairs.pair import build
from router.pairs.reading import Wanted, newest, read, written
from router.pairs.redaction import Redactor
from router.pairs.segments import Torn
from router.pairs.settings import RedactSpec
from router.pairs.sinks import jsonl
from tests.support.captures import primary, shadow


def line(name: str, right: object = 1, version: str = "v2") -> bytes:
    joined = Joined(primary(name), shadow(name, right, version), version, ())
    return build(joined, JsonComparator(), Redactor(RedactSpec())).line()


class Log:
    """Three segments: one packed, one torn by a crash, one being written."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        self.add("1", line("a"), line("b", 2))
        jsonl.pack(directory / "1.jsonl")
        self.add("2", line("c"), line("d", 2), b'{"id": "torn", "verdict": "match"')
        self.add("3", line("e"), line("f", 2))

    def add(self, segment: str, *rows: bytes) -> None:
        with (self.directory / f"{segment}.jsonl").open("ab") as file:
            file.write(b"".join(rows))


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "loan")


def names(pairs: Iterator[dict[str, object]] | list[dict[str, object]]) -> str:
    return "".join(str(pair["exchange"]) for pair in pairs)


def test_in_order_and_newest_first(log: Log) -> None:
    assert names(read(log.directory)) == "abcdef"
    assert names(newest(log.directory, 100)) == "fedcba"


def test_what_is_torn_is_named_where_it_was_looked_for(log: Log) -> None:
    packed = log.directory / "0.jsonl.zst"
    packed.write_bytes(zstandard.compress(line("z"))[:-1])
    for look in (read, lambda directory, note: newest(directory, 100, note=note)):
        notes: list[Torn] = []
        assert sorted(names(look(log.directory, note=notes.append))) == list("abcdef")
        assert sorted(torn.path.name for torn in notes) == ["0.jsonl.zst", "2.jsonl"]
    notes = []
    newest(log.directory, 1, note=notes.append)
    assert notes == []


def test_limits_cross_segments(log: Log) -> None:
    assert names(newest(log.directory, 1)) == "f"
    assert names(newest(log.directory, 5)) == "fedcb"
    assert newest(log.directory, 0) == []


def test_filters(log: Log) -> None:
    mismatches = Wanted(verdict="mismatch")
    assert names(read(log.directory, mismatches)) == "bdf"
    assert names(newest(log.directory, 2, mismatches)) == "fd"
    assert names(read(log.directory, Wanted(verdict="match", id="id-c"))) == "c"
    assert names(read(log.directory, Wanted(verdict="match", id="id-d"))) == ""


def test_a_field_finds_the_pairs_that_differ_there_however_old(log: Log) -> None:
    log.add("3", *(line("n") for _ in range(60)))
    (place,) = {
        each["at"] for pair in newest(log.directory, 9, Wanted(id="id-b")) for each in pair["differences"]
    }
    assert names(newest(log.directory, 10, Wanted(field=place))) == "fdb"
    assert names(newest(log.directory, 10, Wanted(field=place, verdict="match"))) == ""
    assert newest(log.directory, 10, Wanted(field="/elsewhere")) == []


def test_a_field_stands_for_every_position_in_a_list(log: Log) -> None:
    log.add(
        "3",
        b'{"id":"i","exchange":"p","verdict":"mismatch","shadow":{"version":"v2"},'
        b'"differences":[{"at":"/scores/7"}]}\n',
    )
    log.add(
        "3", b'{"id":"i","exchange":"q","verdict":"mismatch","shadow":{"version":"v2"},"differences":0}\n'
    )
    assert names(newest(log.directory, 10, Wanted(field="/scores/*"))) == "p"


def test_a_body_that_speaks_of_a_verdict_does_not_count(log: Log) -> None:
    log.add("3", line("g", {"verdict": "match", "id": "id-x"}))
    assert names(newest(log.directory, 1, Wanted(verdict="match"))) == "e"


def test_an_id_finds_one_pair_for_each_shadow(log: Log) -> None:
    log.add("2", b"\n", line("z"), line("z", version="v3"))
    found = newest(log.directory, 10, Wanted(id="id-z"))
    assert [pair["shadow"]["version"] for pair in found] == ["v3", "v2"]
    assert newest(log.directory, 10, Wanted(id="id-q")) == []


def test_damage_in_the_middle_is_skipped(log: Log) -> None:
    log.add("3", b"rubbish\n", b"{}\n", b"\xff\n", line("g"))
    assert names(read(log.directory)) == "abcdefg"
    assert names(newest(log.directory, 3)) == "gfe"


def test_no_log_no_pairs(tmp_path: Path) -> None:
    assert list(read(tmp_path / "absent")) == []
    assert newest(tmp_path / "absent", 5) == []


def test_a_segment_packed_or_expired_while_one_reads(log: Log) -> None:
    pairs = read(log.directory)
    assert next(pairs)["exchange"] == "a"
    jsonl.pack(log.directory / "2.jsonl")
    (log.directory / "3.jsonl").unlink()
    assert names(pairs) == "bcd"


def test_written_looks_only_for_what_is_asked_and_not_long_ago(log: Log) -> None:
    asked = {"a", "d", "x"}
    assert written(log.directory, 0.0, asked) == {("a", "v2"), ("d", "v2")}
    assert written(log.directory, 4e9, asked) == set()


def test_every_line_is_strict_json(log: Log) -> None:
    for row in (log.directory / "3.jsonl").read_bytes().splitlines():
        assert msgspec.json.decode(row)["deployment"] == "loan"
