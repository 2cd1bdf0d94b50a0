"""Halves meet in any order, wait no longer than they may, and none gets lost."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from router.channel import Capture
from router.pairs.joining import Joined, Joiner, Stray
from tests.support.captures import primary, shadow


def outline(settled: list[Joined | Stray]) -> list[tuple[str, ...]]:
    """Each pair as (exchange, shadow version, which halves), each stray as (exchange, reason)."""
    found: list[tuple[str, ...]] = []
    for each in settled:
        if isinstance(each, Stray):
            found.append((each.capture.exchange, each.reason))
        else:
            half = each.primary or each.shadow
            assert half is not None
            sides = ("p" if each.primary else "") + ("s" if each.shadow else "")
            found.append((half.exchange, each.version, sides))
    return found


def test_either_half_may_come_first() -> None:
    joiner = Joiner()
    assert joiner.add(primary("a"), 0) == []
    assert outline(joiner.add(shadow("a"), 0)) == [("a", "v2", "ps")]
    assert joiner.add(shadow("b"), 0) == []
    assert outline(joiner.add(primary("b"), 0)) == [("b", "v2", "ps")]
    assert (joiner.waiting, joiner.bytes) == (0, 0)


def test_one_pair_for_each_copy_and_the_primary_is_done_with_the_last() -> None:
    joiner = Joiner()
    main, two, three = primary("a", copies=("v2", "v3")), shadow("a"), shadow("a", version="v3")
    joiner.add(two, 0)
    assert joiner.add(main, 0) == [Joined(main, two, "v2", (two,))]
    assert joiner.add(three, 0) == [Joined(main, three, "v3", (three, main))]


def test_a_noise_copy_goes_to_the_primarys_own_version() -> None:
    joiner = Joiner()
    joiner.add(primary("a", copies=("v1",)), 0)
    assert outline(joiner.add(shadow("a", version="v1"), 0)) == [("a", "v1", "ps")]


def test_noise_and_shadows_of_one_request_are_pairs_of_their_own_whatever_becomes_of_each() -> None:
    joiner = Joiner(deadline=30)
    joiner.add(primary("a", copies=("v2", "v3", "v1")), 0)
    settled = joiner.add(shadow("a", b"", error="timeout"), 1)
    settled += joiner.add(shadow("a", version="v1"), 2)
    assert outline(settled) == [("a", "v2", "ps"), ("a", "v1", "ps")]
    assert outline(joiner.expire(30)) == [("a", "v3", "p")]
    assert outline(joiner.add(shadow("a", version="v3"), 31)) == [("a", "late")]
    assert (joiner.waiting, joiner.bytes) == (0, 0)


def test_the_deadline_counts_from_the_first_half() -> None:
    joiner = Joiner(deadline=30)
    joiner.add(primary("a", copies=("v2", "v3")), 0)
    joiner.add(shadow("b"), 1)
    assert joiner.expire(29.9) == []
    joiner.add(shadow("a"), 29.9)
    assert outline(joiner.expire(30)) == [("a", "v3", "p")]
    assert outline(joiner.expire(31)) == [("b", "v2", "s")]


def test_a_half_after_the_deadline_is_late_once_and_makes_no_second_pair() -> None:
    joiner = Joiner(deadline=30)
    joiner.add(primary("a"), 0)
    joiner.expire(30)
    assert outline(joiner.add(shadow("a"), 40)) == [("a", "late")]
    assert joiner.flush(41) == []


def test_what_is_closed_is_forgotten_in_time() -> None:
    joiner = Joiner(deadline=30)
    joiner.add(primary("a"), 0)
    joiner.expire(30)
    joiner.expire(91)
    assert joiner.add(shadow("a"), 92) == []


def test_strays_carry_their_reason() -> None:
    joiner = Joiner()
    assert outline(joiner.add(primary("a", copies=()), 0)) == [("a", "no_copies")]
    joiner.add(primary("b", copies=("v2", "v3")), 0)
    assert outline(joiner.add(primary("b"), 0)) == [("b", "duplicate")]
    joiner.add(shadow("b"), 0)
    assert outline(joiner.add(shadow("b"), 0)) == [("b", "duplicate")]
    joiner.add(shadow("c", version="v9"), 0)
    joiner.add(shadow("c"), 0)
    assert outline(joiner.add(primary("c"), 0)) == [("c", "v2", "ps"), ("c", "unexpected")]


def test_over_the_count_the_oldest_leave() -> None:
    joiner = Joiner(max_halves=2)
    joiner.add(primary("a"), 0)
    joiner.add(shadow("b"), 0)
    assert outline(joiner.add(primary("c"), 0)) == [("a", "v2", "p")]
    assert joiner.waiting == 2


def test_over_the_bytes_the_oldest_leave() -> None:
    joiner = Joiner(max_bytes=12_000)
    joiner.add(shadow("a", b"x" * 5000), 0)
    assert outline(joiner.add(shadow("b", b"x" * 8000), 0)) == [("a", "v2", "s")]
    assert outline(joiner.add(shadow("c", b"x" * 50_000), 0)) == [("b", "v2", "s"), ("c", "v2", "s")]
    assert (joiner.waiting, joiner.bytes) == (0, 0)


def test_heads_count_as_well_as_bodies() -> None:
    half = shadow("a")
    long = replace(half.answer.message, headers=((b"x-long", b"x" * 50_000),) * 2)
    joiner = Joiner(max_bytes=100_000)
    assert outline(joiner.add(replace(half, answer=replace(half.answer, message=long)), 0)) == [
        ("a", "v2", "s")
    ]
    assert joiner.bytes == 0


@st.composite
def arrivals(draw: st.DrawFn) -> list[Capture]:
    halves: list[Capture] = []
    for number in range(draw(st.integers(0, 6))):
        copies = draw(st.sets(st.sampled_from(("v1", "v2", "v3"))))
        halves.append(primary(str(number), copies=tuple(copies)))
        halves += [
            shadow(str(number), version=version) for version in draw(st.sets(st.sampled_from(("v2", "v3"))))
        ]
    return draw(st.permutations(halves))


@given(arrivals(), st.integers(1, 20), st.lists(st.integers(0, 2), max_size=20))
def test_every_capture_leaves_exactly_once(halves: list[Capture], room: int, steps: list[int]) -> None:
    joiner = Joiner(deadline=20, max_halves=room)
    now = 0.0
    settled: list[Joined | Stray] = []
    for index, half in enumerate(halves):
        now += steps[index % len(steps)] if steps else 0
        settled += joiner.expire(now)
        settled += joiner.add(half, now)
        assert joiner.waiting <= room
    settled += joiner.flush(now)
    done = [each.capture for each in settled if isinstance(each, Stray)]
    done += [half for each in settled if isinstance(each, Joined) for half in each.done]
    assert sorted(map(id, done)) == sorted(map(id, halves))
    assert (joiner.waiting, joiner.bytes) == (0, 0)
    pairs = [key[:2] for key in outline(settled) if len(key) == 3]
    assert len(pairs) == len(set(pairs))
