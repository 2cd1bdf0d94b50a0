"""Places among the requests in flight: never more than there are, in turn, and none is lost."""

from hypothesis import given
from hypothesis import strategies as st

from router.dataplane.lanes import Lane


class Someone:
    """Waits for a place; gives it up at once where it is `brief`."""

    def __init__(self, lane: Lane, *, brief: bool = False) -> None:
        self.lane = lane
        self.brief = brief
        self.turns = 0

    def on_turn(self) -> None:
        self.turns += 1
        if self.brief:
            self.lane.leave()


def lane(limit: int, depth: int) -> Lane:
    made = Lane()
    made.limit, made.depth = limit, depth
    return made


def test_places_are_taken_and_given_in_turn() -> None:
    narrow = lane(1, 2)
    assert narrow.enter()
    assert not narrow.enter()
    first, second = Someone(narrow), Someone(narrow)
    narrow.wait(first)
    assert not narrow.full
    narrow.wait(second)
    assert narrow.full
    narrow.leave()
    assert (first.turns, second.turns) == (1, 0)
    assert not narrow.enter(), "who waits comes first"
    narrow.withdraw(second)
    narrow.leave()
    assert (second.turns, narrow.in_use) == (0, 0)


def test_a_long_queue_of_brief_ones_is_no_deep_recursion() -> None:
    narrow = lane(1, 100_000)
    assert narrow.enter()
    brief = [Someone(narrow, brief=True) for _ in range(50_000)]
    for each in brief:
        narrow.wait(each)
    narrow.leave()
    assert {each.turns for each in brief} == {1}
    assert narrow.in_use == 0


def test_a_wider_lane_lets_in_all_there_is_room_for() -> None:
    narrow = lane(1, 5)
    narrow.enter()
    waiting = [Someone(narrow) for _ in range(5)]
    for each in waiting:
        narrow.wait(each)
    narrow.limit = 3
    narrow.leave()
    assert [each.turns for each in waiting] == [1, 1, 1, 0, 0]


@given(st.lists(st.sampled_from(["come", "leave", "withdraw"])), st.integers(1, 3), st.integers(0, 3))
def test_no_order_of_events_loses_a_place(events: list[str], limit: int, depth: int) -> None:
    narrow = lane(limit, depth)
    inside, waiting = 0, []
    for event in events:
        if event == "come":
            if narrow.enter():
                inside += 1
            elif not narrow.full:
                waiting.append(Someone(narrow))
                narrow.wait(waiting[-1])
        elif event == "leave" and inside:
            narrow.leave()
            came = [each for each in waiting if each.turns]
            waiting = [each for each in waiting if not each.turns]
            inside += len(came) - 1
        elif event == "withdraw" and waiting:
            narrow.withdraw(waiting.pop())
        assert inside <= limit
        assert narrow.in_use == inside + len(waiting)
        assert not waiting or inside == limit
