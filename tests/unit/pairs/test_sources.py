"""What names a deployment's subject outlives the deployment, as long as there is a log of it."""

from pathlib import Path

from router.pairs.settings import SubjectSource
from router.pairs.sources import Sources

HEADER, COOKIE = SubjectSource(header="x-user"), SubjectSource(cookie="id")
POINTER = SubjectSource.model_validate({"json": "/customer/id"})


def test_the_next_recorder_knows_them(tmp_path: Path) -> None:
    Sources(tmp_path).keep({"loan": HEADER, "embed": POINTER, "chat": COOKIE, "other": None})
    found = Sources(tmp_path)
    assert [found.of(name) for name in ("loan", "embed", "chat", "other")] == [HEADER, POINTER, COOKIE, None]
    assert (tmp_path / ".spool").stat().st_mode & 0o777 == 0o700


def test_one_that_is_gone_is_known_as_long_as_it_has_a_log(tmp_path: Path) -> None:
    (tmp_path / "loan").mkdir()
    Sources(tmp_path).keep({"loan": HEADER, "embed": POINTER})
    Sources(tmp_path).keep({"chat": COOKIE})
    assert Sources(tmp_path).of("loan") == HEADER
    assert Sources(tmp_path).of("embed") is None
    (tmp_path / "loan").rmdir()
    Sources(tmp_path).keep({"chat": COOKIE})
    assert Sources(tmp_path).of("loan") is None


def test_one_that_lost_its_subject_keeps_the_last(tmp_path: Path) -> None:
    Sources(tmp_path).keep({"loan": HEADER})
    Sources(tmp_path).keep({"loan": None})
    assert Sources(tmp_path).of("loan") == HEADER
    Sources(tmp_path).keep({"loan": COOKIE})
    assert Sources(tmp_path).of("loan") == COOKIE


def test_nothing_is_written_where_nothing_changed(tmp_path: Path) -> None:
    Sources(tmp_path).keep({"loan": None})
    assert list(tmp_path.iterdir()) == []
    Sources(tmp_path).keep({"loan": HEADER})
    (tmp_path / ".spool" / "subjects").unlink()
    sources = Sources(tmp_path)
    sources.keep({"loan": HEADER})
    (tmp_path / ".spool" / "subjects").unlink()
    sources.keep({"loan": HEADER})
    assert not (tmp_path / ".spool" / "subjects").exists()


def test_a_log_elsewhere_has_its_own(tmp_path: Path) -> None:
    sources = Sources(tmp_path / "a")
    sources.keep({"loan": HEADER})
    sources.move(tmp_path / "b")
    sources.keep({"embed": COOKIE})
    assert Sources(tmp_path / "a").of("loan") == HEADER
    assert (Sources(tmp_path / "b").of("loan"), Sources(tmp_path / "b").of("embed")) == (None, COOKIE)


def test_a_damaged_file_says_nothing(tmp_path: Path) -> None:
    (tmp_path / ".spool").mkdir()
    for text in ("", "{", "[]", '{"loan": {"shoe": "x"}}', '{"loan": {"header": "a", "cookie": "b"}}'):
        (tmp_path / ".spool" / "subjects").write_text(text)
        assert Sources(tmp_path).of("loan") is None
    assert Sources().of("loan") is None
    Sources().keep({"loan": HEADER})
