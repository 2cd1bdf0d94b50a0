"""Erasures by number: what became of each, also when the recorder dies."""

from pathlib import Path

import pytest

from router.channel import Erase, Erasing
from router.config.schema import Config
from router.control.erasures import DIED, DOWN, Erasures, check
from router.errors import Refused


def test_an_erasure_from_its_beginning_to_its_end() -> None:
    sent: list[Erase] = []

    def send(order: Erase) -> bool:
        sent.append(order)
        return True

    erasures = Erasures(send)
    begun = erasures.start("loan", "alice", "an older key")
    assert (begun, sent) == (Erasing(1), [Erase(1, "loan", "alice", "an older key")])
    erasures.take(Erasing(1, 5, 10))
    assert erasures.find("loan", 1) == Erasing(1, 5, 10)
    assert erasures.find("other", 1) is None, "it belongs to a deployment"
    erasures.take(Erasing(1, removed=3, finished=True))
    erasures.recorder_gone()
    assert erasures.find("loan", 1) == Erasing(1, removed=3, finished=True)
    assert erasures.start("loan", "bob").number == 2


def test_without_a_recorder_it_ends_at_once() -> None:
    erasures = Erasures(lambda order: False)
    assert erasures.start("loan", "alice") == Erasing(1, finished=True, error=DOWN)


def test_a_recorder_that_dies_takes_its_erasures_with_it() -> None:
    erasures = Erasures(lambda order: True)
    erasures.start("loan", "alice")
    erasures.recorder_gone()
    assert erasures.find("loan", 1) == Erasing(1, finished=True, error=DIED)


def test_only_so_many_are_remembered() -> None:
    erasures = Erasures(lambda order: True)
    for _ in range(150):
        erasures.start("loan", "alice")
    assert erasures.find("loan", 50) is None
    assert erasures.find("loan", 51) is not None
    erasures.take(Erasing(1, finished=True))
    assert erasures.find("loan", 1) is None


def config(path: Path, more: str = "") -> Config:
    pairs = {"subject": {"header": "x-user"}} if more else {}
    one = {"match": {"path": "/"}, "versions": {"v1": {"url": "http://127.0.0.1:1"}}, "pairs": pairs}
    return Config.model_validate({"pairs": {"path": str(path)}, "deployments": {"loan": one}})


def test_of_a_deployment_in_the_file_it_must_be_known_whose_records_they_are(tmp_path: Path) -> None:
    check(config(tmp_path, "subject"), "loan")
    with pytest.raises(Refused, match=r"set pairs\.subject") as refused:
        check(config(tmp_path), "loan")
    assert refused.value.status == 409


def test_one_that_is_in_the_file_no_more_has_its_log_still(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / ".spool").mkdir()
    check(config(tmp_path), "old")
    for name in ("nobody", ".spool", "..", "old/.."):
        with pytest.raises(Refused) as refused:
            check(config(tmp_path), name)
        assert (refused.value.status, refused.value.known) == (404, ("loan", "old"))
