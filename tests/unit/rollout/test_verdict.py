import msgspec

from router.rollout.verdict import Ruling, Verdict


def test_a_ruling_survives_the_journal() -> None:
    ruling = Ruling("error_rate", Verdict.INCONCLUSIVE, "12 of 100 requests", {"requests": 12}, wait=30.0)
    assert msgspec.json.decode(msgspec.json.encode(ruling), type=Ruling) == ruling


def test_an_error_is_neither_a_pass_nor_a_fail() -> None:
    assert {verdict.value for verdict in Verdict} == {"pass", "fail", "inconclusive", "error"}
