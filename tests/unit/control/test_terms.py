"""Where no gate is asked elsewhere, nobody is troubled and nothing is said."""

from router.control.inquiries import Stand
from router.control.terms import NobodyAsked


def test_nobody_asked_says_nothing_wherever_rollouts_stand() -> None:
    nobody = NobodyAsked()
    nobody.configure({"loan": Stand((1, 0), ())})
    assert nobody.rulings("loan") == ()
