"""The phase table: what must hold for every phase, and the diagram drawn from it."""

import re

import pytest

from router.errors import Refused
from router.rollout.phase import INSTEAD, TABLE, Event, Phase, diagram, follow, place


@pytest.mark.parametrize("phase", Phase)
def test_a_rollback_is_legal_in_every_phase(phase: Phase) -> None:
    expected = phase if phase in (Phase.STEADY, Phase.ROLLED_BACK) else Phase.ROLLED_BACK
    assert follow(phase, Event.ROLLBACK) is expected


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("event", [Event.RESTART, Event.REPLACE])
def test_every_phase_can_be_left_for_a_clean_slate(phase: Phase, event: Event) -> None:
    assert follow(phase, event) is Phase.STEADY


def test_nothing_but_restart_and_replace_leads_out_of_rolled_back() -> None:
    leaving = {event for event, target in TABLE[Phase.ROLLED_BACK].items() if target != Phase.ROLLED_BACK}
    assert leaving == {Event.RESTART, Event.REPLACE}


def test_every_phase_is_reached_and_every_event_used() -> None:
    reached, frontier = {Phase.STEADY}, [Phase.STEADY]
    while frontier:
        for target in TABLE[frontier.pop()].values():
            if target not in reached:
                reached.add(target)
                frontier.append(target)
    assert reached == set(Phase)
    assert {event for moves in TABLE.values() for event in moves} == set(Event)


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("event", Event)
def test_a_move_that_is_not_in_the_table_is_refused_with_what_works_instead(
    phase: Phase, event: Event
) -> None:
    if event in TABLE[phase]:
        assert follow(phase, event) is TABLE[phase][event]
        return
    with pytest.raises(Refused) as refused:
        follow(phase, event)
    assert (refused.value.status, refused.value.phase) == (409, phase)
    assert INSTEAD[phase] in refused.value.detail
    assert event.value in refused.value.detail


def test_the_diagram_has_an_arrow_for_every_move_and_no_other() -> None:
    drawn = {
        (start, event, end)
        for start, end, events in re.findall(r"^    (\w+) --> (\w+): (.+)$", diagram(), re.MULTILINE)
        for event in events.split(", ")
    }
    assert drawn == {(s.value, e.value, t.value) for s, moves in TABLE.items() for e, t in moves.items()}
    assert diagram().startswith("stateDiagram-v2\n    [*] --> steady\n")


def test_the_step_is_named_while_there_is_one() -> None:
    assert place("progressing", 1, 4) == place(Phase.PAUSED, 1, 4) == "step 2 of 4"
    assert place("soaking", 4, 4) == ""
    assert place("steady", 0, 4) == place("rolled_back", 1, 4) == ""
    assert place("progressing", 0, 0) == ""
