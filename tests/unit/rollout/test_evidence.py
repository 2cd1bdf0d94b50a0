"""What is evidence and of what: which requests count, for whom, and how long they are waited for."""

from router.rollout.evidence_counts import Arm
from router.rollout.verdict import Verdict
from tests.support.evidence import CANDIDATE, ERRORS, STABLE, evidence, fed, ruling, series


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
