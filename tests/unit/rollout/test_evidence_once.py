"""Nothing is counted twice and nothing that was told is lost, whoever dies and in whatever order it comes."""

from itertools import permutations
from random import Random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from router.channel import SeriesTally
from router.rollout.evidence import Evidence
from router.rollout.evidence_counts import Arm, Block
from router.rollout.evidence_state import EvidenceState, Trial
from tests.support.evidence import CANDIDATE, ERRORS, STABLE, evidence, fed, ruling, series
from tests.support.properties import examples


def arms(blocks: list[Block]) -> tuple[Arm, Arm]:
    candidate, stable = Arm(), Arm()
    for block in blocks:
        candidate.add(block.whole.candidate)
        stable.add(block.whole.stable)
    return candidate, stable


class Fleet:
    """Workers that count, die and are replaced, and controllers that die and take up what was saved."""

    def __init__(self) -> None:
        self.trial = Trial(STABLE, CANDIDATE, ERRORS)
        self.evidence = Evidence(self.trial)
        self.evidence.expose(1, 500, 0)
        self.blocks: list[Block] = []
        self.saved: tuple[EvidenceState, list[Block]] = (self.evidence.state(), [])
        self.cohort = 1
        self.now = 0.0
        self.counts: dict[str, dict[tuple[str, int], list[int]]] = {}
        self.told: dict[str, dict[tuple[str, int], list[int]]] = {}
        self.frames: list[tuple[str, SeriesTally]] = []
        self.buried: list[int] = []
        self.died_since_saving = False

    def count(self, source: str, version: str, done: int, failed: int) -> None:
        row = self.counts.setdefault(source, {}).setdefault((version, self.cohort), [0, 0])
        row[0] += done
        row[1] += min(done, failed)

    def tell(self, source: str) -> None:
        for (version, cohort), (done, failed) in self.counts.get(source, {}).items():
            tally = series(version, done, failed, cohort=cohort, took={0.1: done})
            self.frames.append((source, tally))
            self.evidence.take(source, tally)
            self.told.setdefault(source, {})[version, cohort] = [done, failed]

    def tell_again(self, index: int) -> None:
        """An old frame once more."""
        if self.frames:
            source, tally = self.frames[index % len(self.frames)]
            if source in self.counts:
                self.evidence.take(source, tally)

    def tick(self) -> None:
        self.now += 1.0
        self.blocks += self.evidence.close(self.now)

    def step_up(self) -> None:
        if self.cohort < 3:
            self.cohort += 1
            self.evidence.expose(self.cohort, 500 * self.cohort, 0)

    def save(self) -> None:
        self.saved = (self.evidence.state(), list(self.blocks))
        self.died_since_saving = False

    def restart(self) -> None:
        state, blocks = self.saved
        self.evidence, self.blocks = Evidence(self.trial, state), list(blocks)
        for cohort in range(2, self.cohort + 1):
            if cohort > state.cohort:
                self.evidence.expose(cohort, 500 * cohort, 0)
        for source in list(self.counts):
            self.tell(source)

    def die(self, source: str) -> None:
        if source in self.counts:
            del self.counts[source]
            self.buried += [done for done, _ in self.told.pop(source, {}).values()]
            self.evidence.gone(source)
            self.died_since_saving = True


ACTIONS = st.one_of(
    st.tuples(
        st.just("count"), st.sampled_from("abc"), st.sampled_from([STABLE, CANDIDATE]), st.integers(1, 9)
    ),
    st.tuples(st.just("tell"), st.sampled_from("abc")),
    st.tuples(st.just("tell_again"), st.integers(0, 50)),
    st.tuples(st.just("die"), st.sampled_from("abc")),
    st.tuples(st.sampled_from(["tick", "step_up", "save", "restart"])),
)


@settings(max_examples=examples(150))
@given(st.lists(ACTIONS, max_size=40))
def test_nothing_is_counted_twice_and_what_was_told_once(actions: list[tuple[object, ...]]) -> None:
    fleet, lost, born = Fleet(), False, 0
    for name, *arguments in actions:
        if name == "count":
            source, version, done = arguments
            fleet.count(f"{source}{born}", str(version), int(str(done)), 1)
        elif name in ("tell", "die"):
            getattr(fleet, str(name))(f"{arguments[0]}{born}")
            born += name == "die"  # who comes next has another name
        else:
            lost = lost or (name == "restart" and fleet.died_since_saving)
            getattr(fleet, str(name))(*arguments)
    for source in list(fleet.counts):
        fleet.tell(source)
    fleet.tick()
    candidate, stable = arms(fleet.blocks)
    alive = sum(done for rows in fleet.counts.values() for done, _ in rows.values())
    counted = candidate.done + stable.done
    assert alive <= counted <= alive + sum(fleet.buried)
    assert lost or counted == alive + sum(fleet.buried)
    assert candidate.timed + stable.timed == counted


@settings(max_examples=examples(30))
@given(st.randoms(use_true_random=False))
def test_the_order_of_tallies_within_a_block_does_not_matter(random: Random) -> None:
    tallies = [
        (source, series(version, 100 + at, at, took={0.1: 100 + at}))
        for at, (source, version) in enumerate(
            [("a", STABLE), ("a", CANDIDATE), ("b", STABLE), ("b", CANDIDATE)]
        )
    ]
    states = []
    for _ in range(2):
        random.shuffle(tallies)
        found = evidence(*ERRORS)
        for source, tally in tallies:
            found.take(source, tally)
        found.close(1.0)
        states.append(found.state().bets)
    assert states[0] == states[1]


def test_all_orders_of_two_workers_come_to_the_same_verdict() -> None:
    tallies = [
        ("a", series(CANDIDATE, 40, 12)),
        ("b", series(STABLE, 800, 9)),
        ("b", series(CANDIDATE, 10, 1)),
    ]
    said = set()
    for order in permutations(tallies):
        found = evidence(*ERRORS)
        for source, tally in order:
            found.take(source, tally)
        found.close(1.0)
        said.add(msgspec.json.encode(ruling(found)))
    assert len(said) == 1


def test_a_saved_state_goes_on_as_if_nothing_had_happened() -> None:
    through, saved = evidence(*ERRORS), evidence(*ERRORS)
    for second in range(1, 400):
        for each in (through, saved):
            each.take("w", series(STABLE, 50 * second, second // 2, took={0.1: 50 * second}))
            each.take("w", series(CANDIDATE, 3 * second, second // 20, took={0.1: 3 * second}))
            each.close(float(second))
        if second % 37 == 0:
            saved = Evidence(saved.trial, saved.state())
    assert saved.state() == through.state()
    assert ruling(saved) == ruling(through)


def test_what_comes_after_saving_does_not_reach_the_saved_state() -> None:
    found = evidence(*ERRORS)
    fed(found, series(STABLE, 100, 1), at=1.0)
    saved = found.state()
    before = msgspec.msgpack.encode(saved)
    fed(found, series(STABLE, 300, 3), series(CANDIDATE, 30), at=2.0)
    assert msgspec.msgpack.encode(saved) == before


def replay(told: Evidence, block: Block) -> None:
    """Takes a block that another evidence has closed, with the exposure and the time it was closed at."""
    told.expose(block.cohort, block.exposed.share, block.exposed.mirror)
    told.close(block.closed)
    told.apply(block)


def test_blocks_replayed_under_the_same_gates_come_to_the_same_sums() -> None:
    found, again, other = evidence(*ERRORS), evidence(*ERRORS), Evidence(Trial(STABLE, CANDIDATE, ERRORS))
    again = Evidence(found.trial)
    for second in range(1, 200):
        if second == 100:
            found.expose(2, 2500, 0)
        cohort = 1 if second < 100 else 2
        found.take("w", series(STABLE, 50 * second, second // 3, cohort=cohort))
        found.take("w", series(CANDIDATE, 3 * second, second // 30, cohort=cohort))
        for block in found.close(float(second)):
            replay(again, block)
            replay(other, msgspec.msgpack.decode(msgspec.msgpack.encode(block), type=Block))
    assert again.state().bets == found.state().bets == other.state().bets
    assert again.state().step == found.state().step
