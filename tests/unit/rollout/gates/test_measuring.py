from math import log

import pytest

from router.rollout.gates.measuring import Known, evidence, evidence_shown, part, percent, plain
from router.telemetry.counters import bucket_of


def test_stables_quantile_is_a_bucket_and_unknown_until_it_is_learned() -> None:
    assert Known({}).bucket(0.95) is None
    known = Known({bucket_of(0.1): 95, bucket_of(0.5): 5})
    assert known.bucket(0.95) == bucket_of(0.1)
    assert known.bucket(0.96) == bucket_of(0.5)


@pytest.mark.parametrize(("log_value", "shown"), [(0.0, 1.0), (log(877.4), 877.0), (-1000.0, 0.0)])
def test_evidence_is_shown_with_the_digits_that_matter(log_value: float, shown: float) -> None:
    assert evidence(log_value) == shown


def test_evidence_never_overflows() -> None:
    assert evidence(1e9) == 1e12
    assert (evidence_shown(1e12), evidence_shown(877.0)) == ("over a million", "877")


def test_numbers_for_people() -> None:
    assert (percent(0.01234), plain(1.2345), part(1, 4), part(3, 0)) == ("1.23%", "1.23", 0.25, 0.0)
