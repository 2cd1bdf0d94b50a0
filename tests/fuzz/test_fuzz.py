"""The targets over their corpus, over what hypothesis makes of it, and over bytes of no origin."""

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.fuzz.registry import TARGETS, corpus
from tests.support.properties import examples

TRIES = {"config": 25}
"""Examples for hypothesis, where they take long; a few hundred otherwise."""

CASES = [
    pytest.param(name, data, id=f"{name}-{at}") for name in TARGETS for at, data in enumerate(corpus(name))
]


@pytest.mark.parametrize(("name", "data"), CASES)
def test_a_target_holds_for_its_corpus(name: str, data: bytes) -> None:
    TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_has_a_corpus(name: str) -> None:
    assert corpus(name)


def mutated(kept: list[bytes], seed: int, changes: int) -> bytes:
    """An input of the corpus, with some of its parts left out, doubled, exchanged or taken from another one."""
    rng = random.Random(seed)
    data = bytearray(rng.choice(kept)[:4096])
    for _ in range(changes):
        at = rng.randrange(len(data) + 1)
        to = min(at + rng.choice((1, 1, 2, 4, 16, 64)), len(data))
        other = rng.choice(kept)
        start = rng.randrange(len(other) + 1)
        part = (b"", bytes(data[at:to]) * 2, rng.randbytes(to - at), other[start : start + 16])[
            rng.randrange(4)
        ]
        data[at:to] = part
    return bytes(data)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_holds_for_what_is_like_its_corpus(name: str) -> None:
    kept = corpus(name)

    @settings(max_examples=examples(TRIES.get(name, 300)))
    @given(st.integers(0, 1 << 62), st.integers(0, 6))
    def holds(seed: int, changes: int) -> None:
        TARGETS[name](mutated(kept, seed, changes))

    holds()


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_holds_for_any_bytes(name: str) -> None:
    @settings(max_examples=examples(TRIES.get(name, 300)))
    @given(st.binary(max_size=200))
    @example(b"")
    def holds(data: bytes) -> None:
        TARGETS[name](data)

    holds()
