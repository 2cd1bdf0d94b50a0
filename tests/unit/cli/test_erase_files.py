"""Erasing in a log that no router writes: what a router would do, and say."""

import fcntl
from pathlib import Path

import pytest
from msgspec.structs import replace

from router.cli.client import Failed
from router.cli.erase_files import erase_files
from router.pairs.reading import read
from router.pairs.settings import PairSettings, SubjectSource
from router.pairs.sources import Sources
from router.pairs.subject import Subjects
from tests.support.pairlogs import pair, recorded, write

KEY = "k" * 16


def log(root: Path, deployment: str = "loan", key: str = "") -> Path:
    """Two records of alice and one of bob that are hashed, packed; one that can only be told by its request's body."""
    settings = PairSettings.model_validate({"hash": {"key": key}} if key else {})
    marked = [
        pair(replace(live, subject=Subjects.of(settings).hashed(who)), other)
        for number, who in enumerate(("7", "bob", "7"))
        for live, other in [recorded(number, 1, 1, deployment)]
    ]
    write(root, deployment, marked, pack=True)
    return write(root, deployment, [pair(*recorded(7, 1, 1, deployment))], "2")


def left(directory: Path) -> list[str]:
    return [found["id"] for found in read(directory)]


def test_packed_and_plain_and_by_what_named_the_subject_then(tmp_path: Path) -> None:
    directory = log(tmp_path)
    state = erase_files(tmp_path, "loan", "7", "")
    assert (state["removed"], state["segments"], state["unattributed"]) == (2, 1, 1)
    assert (state["finished"], state["error"], state["unconfigured"]) == (True, "", ("loan",))
    Sources(tmp_path).keep({"loan": SubjectSource.model_validate({"json": "/number"})})
    state = erase_files(tmp_path, "", "7", "")
    assert (state["removed"], state["segments"], state["unattributed"]) == (1, 1, 0)
    assert (left(directory), state["log"]) == (["id-1"], str(tmp_path))


def test_every_deployment_and_a_key_of_then(tmp_path: Path) -> None:
    one, two = log(tmp_path, "loan", KEY), log(tmp_path, "embed")
    assert erase_files(tmp_path, "", "7", "")["removed"] == 2
    assert (len(left(one)), len(left(two))) == (4, 2)
    assert erase_files(tmp_path, "", "7", KEY)["removed"] == 2
    assert len(left(one)) == 2


def test_a_file_that_a_recorder_writes_is_not_touched(tmp_path: Path) -> None:
    directory = log(tmp_path)
    with (directory / "2.jsonl").open("rb") as writer:
        fcntl.flock(writer.fileno(), fcntl.LOCK_EX)
        assert erase_files(tmp_path, "loan", "7", "")["busy"] == 1


def test_captures_that_a_killed_recorder_left_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log(tmp_path)
    (tmp_path / ".spool").mkdir()
    (tmp_path / ".spool" / "1-2-3.spool").write_bytes(b"captures")
    (tmp_path / ".spool" / "1-2-4.spool").touch()
    erase_files(tmp_path, "loan", "7", "")
    assert f"1 file of captures in {tmp_path}/.spool not looked at" in capsys.readouterr().err


def test_no_such_log(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="there is no pair log at"):
        erase_files(tmp_path, "", "7", "")
    log(tmp_path)
    with pytest.raises(Failed, match=r"there is no pair log of other at .*; there is one of: loan"):
        erase_files(tmp_path, "other", "7", "")
