"""A rollout's state: what it says of shares and of the live version, and that it survives being written."""

import msgspec
import pytest

from router.rollout.phase import Phase
from router.rollout.state import RolloutState


def test_shares_add_up_to_one_and_name_every_version() -> None:
    state = RolloutState("loan", "canary", "v1", ("v2",), Phase.PROGRESSING, share=2500)
    assert state.shares() == {"v1": 0.75, "v2": 0.25}


def test_shadows_answer_nothing() -> None:
    state = RolloutState("loan", "shadow", "v1", ("v2", "v3"), Phase.PROGRESSING, mirror=10_000)
    assert state.shares() == {"v1": 1.0, "v2": 0.0, "v3": 0.0}


def test_without_a_rollout_one_version_has_all() -> None:
    assert RolloutState("loan", "", "v1").shares() == {"v1": 1.0}


@pytest.mark.parametrize("phase", Phase)
def test_the_candidate_is_live_only_once_promoted(phase: Phase) -> None:
    state = RolloutState("loan", "blue_green", "v1", ("v2",), phase, share=10_000)
    assert state.live == ("v2" if phase is Phase.PROMOTED else "v1")


def test_a_state_is_the_same_after_a_round_trip_through_json() -> None:
    state = RolloutState(
        "loan", "canary", "v1", ("v2",), Phase.SOAKING, 3, 10_000, 0, 12.5, "anna", "why not", 1.5
    )
    again = msgspec.json.decode(msgspec.json.encode(state), type=RolloutState)
    assert again == state
    assert again.phase is Phase.SOAKING


def test_an_unknown_phase_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(
            b'{"deployment":"loan","pattern":"canary","trusted":"v1","phase":"lost"}', type=RolloutState
        )
