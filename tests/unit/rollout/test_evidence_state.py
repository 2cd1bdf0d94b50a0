import msgspec

from router.rollout.evidence_state import LEARNS_FOR, EvidenceState, Learning, Noise
from router.rollout.sequences import bernoulli_cs


def test_latency_is_learned_from_the_first_minute_and_then_frozen() -> None:
    learning = Learning()
    learning.begin(100.0)
    learning.add({10: 40}, 130.0)
    assert learning.learned == {}
    learning.add({10: 5, 11: 15}, 100.0 + LEARNS_FOR)
    assert learning.learned == {10: 45, 11: 15}
    learning.add({99: 1000}, 300.0)
    assert learning.learned == {10: 45, 11: 15}


def test_few_requests_are_learned_from_for_longer() -> None:
    learning = Learning()
    learning.begin(0.0)
    learning.add({10: 20}, 90.0)
    assert not learning.over
    learning.add({10: 30}, 300.0)
    assert learning.over


def test_the_next_step_starts_with_what_the_last_one_taught() -> None:
    learning = Learning()
    learning.begin(0.0)
    learning.add({10: 60}, 60.0)
    learning.begin(70.0)
    assert learning.learned == {10: 60}
    learning.add({20: 60}, 131.0)
    assert learning.learned == {20: 60}


def test_noise_that_is_expected_may_be_anything_before_the_first_pair() -> None:
    noise = Noise(expected=True)
    noise.add(0, 0, 0.001)
    assert noise.interval == (0.0, 1.0)
    noise.add(100, 7, 0.001)
    assert noise.interval == bernoulli_cs(100, 7, 0.001)
    noise.add(2, 2, 0.001)
    assert noise.interval == bernoulli_cs(100, 7, 0.001), "a few more pairs are not worth the cost"


def test_without_noise_pairs_there_is_no_noise() -> None:
    noise = Noise()
    noise.add(0, 0, 0.001)
    assert (noise.measured, noise.interval) == (False, (0.0, 0.0))


def test_the_state_survives_both_kinds_of_journal() -> None:
    state = EvidenceState(now=3.0, noise=Noise(True, 3, 1))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=EvidenceState) == state
    assert msgspec.json.decode(msgspec.json.encode(state), type=EvidenceState) == state
