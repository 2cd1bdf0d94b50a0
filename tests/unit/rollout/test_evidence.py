import time
from itertools import permutations
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.channel import SeriesTally
from router.rollout.evidence import Evidence
from router.rollout.evidence_counts import Arm, Block
from router.rollout.evidence_state import EvidenceState, Trial
from router.rollout.judgement import Bets
from router.rollout.sequences import bernoulli_cs
from router.rollout.verdict import Ruling, Verdict
from tests.support.evidence import CANDIDATE, STABLE, evidence, gates, paired, series
from tests.support.properties import examples

ERRORS = gates({"error_rate": {}})


def ruling(found: Evidence, following: int = 10_000) -> Ruling:
    """What the first gate says."""
    return found.judge(found.trial.gates, following)[0]


def fed(found: Evidence, *tallies: SeriesTally, at: float, source: str = "w0") -> Ruling:
    for tally in tallies:
        found.take(source, tally)
    found.close(at)
    return ruling(found)


def bets_of(found: Evidence) -> Bets:
    """The bets of the first gate."""
    return found.state().bets[found.trial.gates[0].model_dump_json()][""]


def arms(blocks: list[Block]) -> tuple[Arm, Arm]:
    candidate, stable = Arm(), Arm()
    for block in blocks:
        candidate.add(block.whole.candidate)
        stable.add(block.whole.stable)
    return candidate, stable


# Nothing twice


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


# What is evidence, and of what


def test_cohort_zero_and_cohorts_that_nobody_exposed_are_no_evidence() -> None:
    found = evidence(*ERRORS)
    fed(found, series(CANDIDATE, 50, 50, cohort=0), series(CANDIDATE, 50, 50, cohort=7), at=1.0)
    assert found.state().step.candidate == Arm()


def test_copies_are_no_evidence_while_the_candidate_answers_and_are_while_it_does_not() -> None:
    answering, copied = evidence(*ERRORS), evidence(*ERRORS, share=0, mirror=10_000)
    for found in (answering, copied):
        fed(found, series(STABLE, 100, 1), series(CANDIDATE, 100, 3, role="shadow"), at=1.0)
    assert answering.state().step.candidate.done == 0
    assert copied.state().step.candidate.done == 100


def test_a_candidate_that_only_fails_is_found_after_a_few_requests() -> None:
    found = evidence(*ERRORS)
    assert fed(found, series(STABLE, 60), series(CANDIDATE, 3, 2), at=1.0).verdict is Verdict.INCONCLUSIVE
    said = fed(found, series(STABLE, 120), series(CANDIDATE, 6, 5), at=2.0)
    assert said.verdict is Verdict.FAIL
    assert "5 of 6 requests failed" in said.why


def test_as_copies_too() -> None:
    found = evidence(*ERRORS, share=0, mirror=10_000)
    said = fed(found, series(STABLE, 60, 0), series(CANDIDATE, 60, 30, role="shadow"), at=1.0)
    assert said.verdict is Verdict.FAIL


def test_sticky_splits_are_judged_as_they_came_out() -> None:
    """A hash that sends twice the intended share to the candidate proves nothing against it."""
    drawn, sticky = evidence(*ERRORS), evidence(*ERRORS, drawn=False)
    for second in range(1, 121):
        for found in (drawn, sticky):
            fed(
                found,
                series(STABLE, 85 * second, second),
                series(CANDIDATE, 15 * second, second // 5),
                at=second,
            )
    assert ruling(drawn).numbers["evidence_against"] > 1.0
    assert ruling(sticky).numbers["evidence_against"] < 1.0


def test_a_realised_block_waits_for_both_arms_and_not_for_ever() -> None:
    found = evidence(*ERRORS, drawn=False)
    found.take("w", series(STABLE, 10))
    assert found.close(1.0) == ()
    assert found.close(30.0) == ()
    found.take("w", series(CANDIDATE, 1))
    assert len(found.close(31.0)) == 1
    found.take("w", series(STABLE, 20))
    assert found.close(60.0) == ()
    assert len(found.close(91.0)) == 1


def test_what_comes_back_late_is_judged_by_the_split_it_was_sent_under() -> None:
    """Five failures at an even split say little; at 1 % they say much."""
    found = evidence(*ERRORS, share=100)
    fed(found, series(STABLE, 495), series(CANDIDATE, 0, in_flight=5), at=1.0)
    found.expose(2, 5000, 0)
    said = fed(found, series(CANDIDATE, 5, 5), at=2.0)
    assert said.verdict is Verdict.FAIL
    assert found.state().step.candidate.done == 0, "they are no requests of this step"


def test_only_the_latest_exposures_are_remembered() -> None:
    found = evidence(*ERRORS)
    fed(found, series(CANDIDATE, 5), at=1.0)
    for cohort in range(2, 8):
        found.expose(cohort, 100 * cohort, 0)
    assert list(found.state().cohorts) == [4, 5, 6, 7]
    assert found.state().sources["w0"].arms == {}


def test_repeated_failures_of_one_client_count_once_over_all_workers() -> None:
    found = evidence(*ERRORS, drawn=False, once_per_client=True)
    found.take("a", series(CANDIDATE, 50, 20, causes=(1,)))
    found.take("a", series(CANDIDATE, 60, 30))
    found.take("b", series(CANDIDATE, 20, 20, causes=(1, 2)))
    found.take("b", series(STABLE, 900, 3, causes=(3,)))
    found.close(1.0)
    step = found.state().step
    assert (step.candidate.failed, step.candidate.counted, step.stable.counted) == (50, 2, 1)
    assert ruling(found).verdict is not Verdict.FAIL


def test_clients_count_anew_on_both_sides_of_another_exposure() -> None:
    found = evidence(*ERRORS, drawn=False, once_per_client=True)
    fed(found, series(STABLE, 900, 3, causes=(1, 2, 3)), at=1.0)
    found.expose(2, 2500, 0)
    fed(found, series(STABLE, 900, 2, causes=(1, 2), cohort=2), at=2.0)
    fed(found, series(CANDIDATE, 90, 1, causes=(3,), cohort=2), at=3.0)
    step = found.state().step
    assert (step.candidate.counted, step.stable.counted) == (1, 2)


def test_a_client_that_is_on_both_sides_counts_where_it_failed_first() -> None:
    found = evidence(*ERRORS, drawn=True, once_per_client=True)
    fed(found, series(STABLE, 900, 1, causes=(1,)), at=1.0)
    fed(found, series(CANDIDATE, 90, 2, causes=(1, 2)), at=2.0)
    step = found.state().step
    assert (step.candidate.counted, step.stable.counted) == (1, 1)


def test_of_copies_every_failure_counts_since_both_sides_see_the_same_clients() -> None:
    found = evidence(*ERRORS, share=0, mirror=10_000, drawn=False, once_per_client=True)
    fed(found, series(STABLE, 50, 2, causes=(1,)), series(CANDIDATE, 50, 20, role="shadow"), at=1.0)
    step = found.state().step
    assert (step.candidate.counted, step.stable.counted) == (20, 2)


def test_a_worker_that_ended_is_waited_for_no_longer() -> None:
    found = evidence(*ERRORS, min_requests=10)
    fed(found, series(STABLE, 900, 9), series(CANDIDATE, 40, 0, in_flight=30), at=1.0)
    assert "30 requests are not answered yet" in ruling(found, 500).why
    found.gone("w0")
    found.close(2.0)
    assert ruling(found, 500).verdict is Verdict.PASS


# Time


def test_a_late_change_is_found_as_soon_as_segments_begin_anew() -> None:
    """Two hours as good as stable, then five times as bad."""
    found = evidence(*ERRORS)
    second = failed = 0
    while second < 12 * 3600:
        second += 60
        failed = second // 40 if second <= 7200 else 180 + (second - 7200) // 8
        fed(
            found,
            series(STABLE, 48 * second, 48 * second // 100),
            series(CANDIDATE, 5 * second // 2, failed),
            at=second,
        )
        if ruling(found).verdict is Verdict.FAIL:
            break
    assert 7200 < second < 7200 + 900


def test_a_segment_begins_with_each_exposure_and_every_five_minutes() -> None:
    found = evidence(*ERRORS)
    assert found.state().segments == 1
    fed(found, series(STABLE, 100, 1), series(CANDIDATE, 10), at=299.0)
    assert found.state().segments == 1
    found.close(300.0)
    assert found.state().segments == 2
    found.expose(2, 2500, 0)
    assert found.state().segments == 2, "one has just begun"
    found.close(400.0)
    found.expose(3, 5000, 0)
    found.close(699.0)
    assert found.state().segments == 3
    found.close(700.0)
    assert found.state().segments == bets_of(found).failing["ratio"].segments == 4


def test_the_wait_is_reckoned_from_the_pace_of_this_step() -> None:
    found = evidence(*ERRORS)
    fed(found, series(STABLE, 4_700, 47), series(CANDIDATE, 250, 2), at=100.0)
    found.expose(2, 2500, 0)
    assert bets_of(found).entered == bets_of(found).passing
    assert found.state().entered == 100.0
    fed(found, series(STABLE, 1_000, 10, cohort=2), series(CANDIDATE, 330, 3, cohort=2), at=120.0)
    assert ruling(found).wait == pytest.approx(79, abs=1)


def test_the_same_exposure_told_again_changes_nothing() -> None:
    found = evidence(*ERRORS)
    fed(found, series(STABLE, 100, 1), series(CANDIDATE, 10), at=50.0)
    before = found.state()
    found.expose(1, 500, 0)
    assert found.state() == before


def test_knowing_the_noise_costs_a_tenth_of_what_may_go_wrong() -> None:
    watching = gates({"agreement": {"min": "98%"}})
    assert evidence(*watching).judge(watching, 0)[0].numbers["fails_at"] == 100.0
    assert evidence(*watching, noise=True).judge(watching, 0)[0].numbers["fails_at"] == 111.0


def test_time_that_goes_back_is_not_believed() -> None:
    found = evidence(*ERRORS)
    found.close(10.0)
    found.close(3.0)
    assert found.state().now == 10.0


def test_a_rollout_without_traffic_says_so() -> None:
    found = evidence(*ERRORS)
    found.close(60.0)
    said = ruling(found)
    assert (said.verdict, said.wait) == (Verdict.INCONCLUSIVE, None)
    assert "0 of the 100 requests that are asked for" in said.why


# Gates that change, and other gates


def test_a_changed_gate_gathers_anew_and_the_others_go_on() -> None:
    first = gates({"error_rate": {}}, {"latency": {"max": "300ms"}})
    found = evidence(*first)
    fed(found, series(STABLE, 900, 9, took={0.1: 900}), series(CANDIDATE, 90, 4, took={0.1: 90}), at=1.0)
    later = gates({"error_rate": {}}, {"latency": {"max": "400ms"}})
    edited = Evidence(Trial(STABLE, CANDIDATE, later), found.state())
    before, after = found.judge(first, 10_000), edited.judge(later, 10_000)
    assert after[0] == before[0]
    assert before[1].numbers["evidence_for"] > 1.0 == after[1].numbers["evidence_for"]


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


def test_the_sample_ratio_is_looked_at_unasked_where_there_is_a_split() -> None:
    found = evidence()
    fed_ = [series(STABLE, 9_000), series(CANDIDATE, 1_000)]
    for tally in fed_:
        found.take("w", tally)
    found.close(1.0)
    (said,) = found.judge((), 10_000)
    assert (said.gate, said.verdict, said.hold) == ("sample_ratio", Verdict.INCONCLUSIVE, True)
    assert evidence(share=10_000).judge((), 10_000) == ()
    assert evidence(splits=False, share=0, mirror=100).judge((), 10_000) == ()
    off = gates({"sample_ratio": {"enabled": False}})
    assert evidence(*off).judge((), 10_000) == ()


def split(*, candidate: tuple[int, int], stable: tuple[int, int], gate: dict[str, Any]) -> Ruling:
    """Of a share of 5 %, requests and failures of each side, in one block."""
    asked = gates(gate)
    found = evidence(*asked)
    found.take("w", series(CANDIDATE, *candidate))
    found.take("w", series(STABLE, *stable))
    found.close(1.0)
    return found.judge(asked, 10_000)[0]


def test_with_another_split_than_intended_a_gate_fails_only_by_the_requests_as_they_came() -> None:
    """8 % of the requests, and 8 % of the failures: nothing is wrong with the candidate but its share."""
    alike = split(candidate=(8_000, 400), stable=(92_000, 4_600), gate={"error_rate": {}})
    assert (alike.verdict, alike.hold) == (Verdict.INCONCLUSIVE, True)
    assert "but the split is not the intended one" in alike.why
    assert alike.numbers["evidence_against"] > 100 > alike.numbers["evidence_as_it_came"]
    worse = split(candidate=(8_000, 4_000), stable=(92_000, 4_600), gate={"error_rate": {}})
    assert worse.verdict is Verdict.FAIL
    bounded = split(candidate=(8_000, 800), stable=(92_000, 9_200), gate={"error_rate": {"max": "5%"}})
    assert bounded.verdict is Verdict.FAIL


def test_nobody_doubts_a_split_that_nobody_checks() -> None:
    asked = gates({"error_rate": {}}, {"sample_ratio": {"enabled": False}})
    found = evidence(*asked)
    fed(found, series(CANDIDATE, 8_000, 400), series(STABLE, 92_000, 4_600), at=1)
    assert found.judge(asked, 10_000)[0].verdict is Verdict.FAIL


def test_the_noise_is_known_at_a_tenth_of_what_may_be_wrong() -> None:
    found = evidence(*gates({"agreement": {"min": "90%"}}), mirror=1_000, confidence=0.95)
    found.take_pairs("r", paired(30, 10, primary=STABLE, shadow=STABLE))
    found.close(1.0)
    assert found.state().noise.interval == pytest.approx(bernoulli_cs(40, 10, 0.005))


def test_the_intended_split_is_not_doubted() -> None:
    said = split(candidate=(5_000, 500), stable=(95_000, 4_750), gate={"error_rate": {}})
    assert said.verdict is Verdict.FAIL
    assert "split" not in said.why


def test_what_they_said_last_is_said_again_while_no_verdict_is_another() -> None:
    found = evidence(*ERRORS)
    fed(found, series(STABLE, 900, 9), series(CANDIDATE, 50), at=1)
    first = found.judge(ERRORS, 10_000)
    fed(found, series(STABLE, 1_800, 18), series(CANDIDATE, 90), at=2)
    assert found.judge(ERRORS, 10_000, first) is first
    assert found.judge(ERRORS, 10_000)[0].numbers["requests"] == 90
    fed(found, series(STABLE, 1_800, 18), series(CANDIDATE, 190, 90), at=3)
    assert found.judge(ERRORS, 10_000, first)[0].verdict is Verdict.FAIL


def test_a_new_failure_of_the_candidate_is_worth_a_tick_where_any_moment_will_do() -> None:
    drawn, sticky = evidence(), evidence(drawn=False)
    assert not drawn.take("w", series(CANDIDATE, 9))
    assert not drawn.take("w", series(STABLE, 9, 3))
    assert drawn.take("w", series(CANDIDATE, 10, 1))
    assert not drawn.take("w", series(CANDIDATE, 11, 1))
    assert drawn.take("w", series(CANDIDATE, 11, 1, fallbacks=1))
    assert not sticky.take("w", series(CANDIDATE, 10, 1))
    sticky.expose(2, 10_000, 0)
    assert sticky.take("w", series(CANDIDATE, 10, 1, cohort=2))


def test_gates_that_ask_others_are_passed_over() -> None:
    watching = gates({"webhook": {"url": "http://127.0.0.1:1/x"}}, {"error_rate": {}})
    assert [each.gate for each in evidence(*watching).judge(watching, 500)] == ["error_rate", "sample_ratio"]


def test_pairs_by_slice_count_again_and_only_there() -> None:
    by_region = gates({"segments": {"by": "region", "gate": {"agreement": {"min": "90%"}}}})
    found = evidence(*by_region, mirror=1_000)
    found.take_pairs("r", paired(30, 10))
    found.take_pairs("r", paired(10, 10, slice="region=eu"))
    found.take_pairs("r", paired(30, 1, primary=STABLE, shadow=STABLE))
    found.take_pairs("r", paired(30, 1, primary="v0"))
    found.close(1.0)
    state = found.state()
    assert (state.step.pairs.match, state.step.noise.match) == (30, 30)
    assert state.slices["region=eu"].pairs.mismatch == 10


# Cost


@pytest.mark.slow
def test_two_hundred_ramping_rollouts_cost_less_than_a_twentieth_of_a_core() -> None:
    watching = gates({"error_rate": {"max": "2%"}}, {"latency": {"max_ratio": 1.2}})
    rollouts = [evidence(*watching) for _ in range(200)]
    spent = 0.0
    random = Random(1)
    took: dict[float, int] = {}
    for second in range(1, 71):
        for _ in range(60):
            seconds = random.lognormvariate(-3, 0.7)
            took[seconds] = took.get(seconds, 0) + 1
        tallies = [
            series(STABLE, 30 * second, second // 3, took=took),
            series(CANDIDATE, 2 * second, second // 50, took=dict(list(took.items())[::20])),
        ]
        for found in rollouts:
            began = time.process_time()
            for source in ("w0", "w1"):
                for tally in tallies:
                    found.take(source, tally)
            found.close(float(second))
            found.judge(watching, 2500)
            spent += time.process_time() - began if second > 50 else 0.0
    assert spent / 20 < 0.05
