"""What DuckDB is given of segments that were cut, damaged, torn or gone."""

from pathlib import Path
from random import Random

import pytest
import zstandard

from router.cli.database import opened
from router.cli.sound import sound
from router.pairs.extract import Extract
from router.pairs.segments import lines
from tests.support.pairlogs import pair, recorded, write

COUNT = 400


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """One packed segment of several blocks."""
    numbers = Random(1)
    pairs = [pair(*recorded(number, 1, numbers.getrandbits(4000))) for number in range(COUNT)]
    return write(tmp_path, "loan", pairs, pack=True)


def packed(log: Path) -> Path:
    return log / "1.jsonl.zst"


def counted(path: Path) -> int:
    with opened([path]) as database:
        ((count,),) = database.query("select count(*) from pairs", lambda percent: None).rows
        assert isinstance(count, int)
    return count


def test_sound_segments_are_given_as_they_are(log: Path) -> None:
    with sound([packed(log)]) as found:
        assert found == ([packed(log)], [])
    assert counted(packed(log)) == COUNT


@pytest.mark.parametrize("kind", ["cut", "rubbish behind", "rubbish inside", "torn"])
def test_of_an_unsound_one_everything_that_other_commands_read(log: Path, kind: str) -> None:
    whole = packed(log).read_bytes()
    plain = b"".join(lines(packed(log)))
    assert len(plain) > 2 << 17, "more than one block"
    changed = {
        "cut": whole[:-1],
        "rubbish behind": whole + b"rubbish",
        "rubbish inside": whole[:-9] + b"\xff" * 9,
        "torn": zstandard.compress(plain[:-9]),
    }
    packed(log).write_bytes(changed[kind])
    extract = Extract([packed(log)])
    readable = len(list(extract))
    assert COUNT > readable > 0 or kind == "rubbish behind"
    with sound([packed(log)]) as found:
        assert found.torn == extract.torn
        assert len(found.torn) == 1
    assert counted(packed(log)) == readable


def test_nothing_of_it_outlives_the_query_or_lies_on_a_disk(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    packed(log).write_bytes(packed(log).read_bytes()[:-1])
    with sound([packed(log)]) as found:
        assert found.paths[0].read_bytes().count(b"\n") > 0
        assert list((tmp_path / "temporary").iterdir()) == []
    assert not found.paths[0].exists()


def test_one_that_is_gone_is_no_reason_to_fail_here(tmp_path: Path) -> None:
    with sound([tmp_path / "1.jsonl", tmp_path / "2.jsonl.zst"]) as found:
        assert found.torn == []
