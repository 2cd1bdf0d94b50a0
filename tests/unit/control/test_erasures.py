"""Erasures by number: what became of each, also when the recorder dies."""

from router.channel import Erase, Erasing
from router.control.erasures import DIED, DOWN, Erasures


def test_an_erasure_from_its_beginning_to_its_end() -> None:
    sent: list[Erase] = []

    def send(order: Erase) -> bool:
        sent.append(order)
        return True

    erasures = Erasures(send)
    begun = erasures.start("loan", "alice")
    assert (begun, sent) == (Erasing(1), [Erase(1, "loan", "alice")])
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
