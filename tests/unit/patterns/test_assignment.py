"""The draw: the same for ever, even, monotone, independent between rollouts."""

from hypothesis import given
from hypothesis import strategies as st

from router.patterns.assignment import bucket, salt_of
from router.shares import SHARE_PARTS

KEYS = [f"user-{number}".encode() for number in range(20_000)]
SALT = salt_of("loan", "v2")


def test_fixed_vectors() -> None:
    """Another value here moves every user of every running rollout: never change one."""
    assert salt_of("loan", "v2").hex() == "53e2c98c1d4963411627ba6ae8bc93e6"
    assert [bucket(SALT, key) for key in (b"", b"alice", b"bob", "zoë".encode(), b"x" * 1000)] == [
        8808,
        6372,
        1284,
        2773,
        3844,
    ]
    assert bucket(salt_of("loan", "v3"), b"alice") == 6878


def test_names_do_not_run_into_each_other() -> None:
    assert salt_of("ab", "c") != salt_of("a", "bc")


@given(st.binary(max_size=200), st.binary(max_size=16))
def test_a_bucket_is_in_range_and_repeats(key: bytes, salt: bytes) -> None:
    assert 0 <= bucket(salt, key) < SHARE_PARTS
    assert bucket(salt, key) == bucket(salt, key)


@given(st.integers(0, SHARE_PARTS), st.integers(0, SHARE_PARTS), st.binary(max_size=20))
def test_a_higher_share_takes_nobody_from_the_candidate(one: int, other: int, key: bytes) -> None:
    low, high = sorted((one, other))
    drawn = bucket(SALT, key)
    assert not (drawn < low and drawn >= high)


def test_a_share_is_met_within_binomial_error() -> None:
    for share in (1, 100, 500, 2500, 5000, 9900):
        p = share / SHARE_PARTS
        taken = sum(bucket(SALT, key) < share for key in KEYS)
        deviation = (len(KEYS) * p * (1 - p)) ** 0.5
        assert abs(taken - len(KEYS) * p) <= 4.5 * deviation


def test_another_candidate_draws_anew() -> None:
    """Of the tenth that one rollout takes, the next takes a tenth again, not the same users."""
    other = salt_of("loan", "v3")
    first = [key for key in KEYS if bucket(SALT, key) < 1000]
    again = sum(bucket(other, key) < 1000 for key in first)
    assert abs(again - len(first) * 0.1) <= 4.5 * (len(first) * 0.09) ** 0.5
