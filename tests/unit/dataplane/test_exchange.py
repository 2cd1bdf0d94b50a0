"""The state machine between the two sides: each way through it ends once, counted once, and leaves nothing."""

import re
from collections.abc import Callable

import msgspec
import pytest

from router.channel import SeriesTally
from router.dataplane.exchange import REPLAY_LIMIT
from router.patterns.plan import DeploymentPlan, Force, Plan, Segment, Timeouts, VersionSpec
from tests.support.wires import DataPlane, Wire, leftovers, settle
from tests.support.workers import deployment

V1, V2 = "http://192.0.2.1:1", "http://192.0.2.2:2"
GET = b"GET /x HTTP/1.1\r\nhost: h\r\n\r\n"
PART = b"POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\nfirst"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CANDIDATE = Plan("v1", "v2", 10_000)
FALLBACK = Plan("v1", "v2", 10_000, fallback="v1")
ROLLED_BACK = Plan("v1", "v2", 0)


def both(plan: Plan, **changes: object) -> DeploymentPlan:
    return msgspec.structs.replace(deployment({"v1": V1, "v2": V2}, plan), **changes)


class Talk:
    """One client and its deployment."""

    def __init__(self, plan: Plan, **changes: object) -> None:
        self.plane = DataPlane(both(plan, **changes))
        self.client, self.wire = self.plane.client()

    async def ask(self, data: bytes = GET) -> None:
        self.client.data_received(data)
        await settle()

    async def answer(self, data: bytes, number: int = -1) -> None:
        self.upstream(number).protocol.data_received(data)
        await settle()

    def upstream(self, number: int = -1) -> Wire:
        return self.plane.wires[number]

    def late(self, number: int = -1) -> None:
        """The deadline of an upstream connection comes."""
        protocol = self.upstream(number).protocol
        protocol.on_deadline(protocol.deadline)

    @property
    def statuses(self) -> list[int]:
        return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) ", self.wire.sent)]

    def at_rest(self) -> bool:
        assert leftovers(self.plane.engine) == []
        return True


async def connecting(talk: Talk) -> None:
    talk.plane.loop.stall = True
    await talk.ask()


async def sending(talk: Talk) -> None:
    await talk.ask(PART)


async def waiting(talk: Talk) -> None:
    await talk.ask()


async def answering(talk: Talk) -> None:
    await talk.ask()
    await talk.answer(OK[:-1])


async def early(talk: Talk) -> None:
    await talk.ask(PART)
    await talk.answer(OK[:-1])


STATES = [connecting, sending, waiting, answering, early]
Reach = Callable[[Talk], object]


def in_wheel(talk: Talk) -> None:
    exchange = talk.client._exchange
    assert exchange is not None
    exchange.on_deadline(exchange.deadline)


@pytest.mark.parametrize("plan", [Plan("v1"), FALLBACK], ids=["plain", "fallback"])
@pytest.mark.parametrize("reach", STATES)
async def test_a_client_that_goes_away_in_any_state(plan: Plan, reach: Reach) -> None:
    talk = Talk(plan)
    await reach(talk)  # type: ignore[misc]
    talk.wire.lose()
    await settle()
    assert all(wire.aborted for wire in talk.plane.wires)
    for endpoint in talk.plane.engine.runtime.endpoints.values():
        for task in endpoint._tasks:
            task.cancel()
        endpoint._connecting = 0
    assert talk.at_rest()
    assert talk.plane.codes("v2" if plan.fallback else "v1") == {499: 1}


@pytest.mark.parametrize(
    ("reach", "statuses", "codes"),
    [
        (sending, [502], {502: 1}),
        (waiting, [502], {502: 1}),
        (answering, [200], {200: 1}),
        (early, [200], {200: 1}),
    ],
)
async def test_an_upstream_that_goes_away_in_any_state(
    reach: Reach, statuses: list[int], codes: dict[int, int]
) -> None:
    talk = Talk(Plan("v1"))
    await reach(talk)  # type: ignore[misc]
    talk.upstream().lose()
    assert talk.statuses == statuses
    assert talk.plane.codes("v1") == codes
    assert talk.wire.ended or statuses == [502]
    assert talk.at_rest()


@pytest.mark.parametrize(
    ("reach", "statuses"), [(sending, [408]), (waiting, [504]), (answering, [200]), (early, [200])]
)
async def test_an_upstream_that_is_late_in_any_state(reach: Reach, statuses: list[int]) -> None:
    talk = Talk(Plan("v1"))
    await reach(talk)  # type: ignore[misc]
    talk.late()
    assert talk.statuses == statuses
    assert talk.upstream().aborted
    assert talk.at_rest()


async def test_no_connection_in_time_is_tried_again_and_then_told() -> None:
    talk = Talk(Plan("v1"))
    await connecting(talk)
    in_wheel(talk)
    assert talk.statuses == []
    in_wheel(talk)
    assert talk.statuses == [502]
    assert talk.plane.engine.events.counts[("router_retries_total", "d", "v1")] == 1
    assert talk.plane.in_flight("v1") == 0


async def test_an_upstream_that_does_not_take_the_request_is_the_one_that_is_late() -> None:
    talk = Talk(FALLBACK)
    await sending(talk)
    talk.upstream().protocol.pause_writing()
    talk.late()
    await settle()
    assert talk.upstream(1).sent.endswith(b"first")
    await talk.ask(b"-rest")
    await talk.answer(OK)
    assert talk.statuses == [200]
    assert talk.plane.codes("v1") == {200: 1}
    assert talk.at_rest()


@pytest.mark.parametrize("end", ["lost", "late", "status", "malformed", "refused"])
async def test_stable_answers_for_the_candidate_in_any_state(end: str) -> None:
    talk = Talk(FALLBACK)
    if end == "refused":
        talk.plane.loop.refuse = ConnectionRefusedError(111, "refused")
        await talk.ask()
        talk.plane.loop.refuse = None
    else:
        await waiting(talk)
    await settle()
    if end == "lost":
        talk.upstream().lose()
    elif end == "late":
        talk.late()
    elif end != "refused":
        await talk.answer(b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n" if end == "status" else b"?\r\n")
    await settle()
    if end == "refused":
        assert talk.statuses == [502]
    else:
        await talk.answer(OK)
        assert talk.statuses == [200]
        assert talk.plane.codes("v1") == {200: 1}
    assert talk.plane.codes("v2") == {}
    assert talk.plane.engine.events.counts[("router_fallbacks_total", "d", "v2")] == 1
    assert talk.at_rest()


async def test_what_is_too_large_to_keep_is_neither_retried_nor_saved() -> None:
    talk = Talk(FALLBACK)
    size = REPLAY_LIMIT + 100
    await talk.ask(b"POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\n\r\n" % size)
    for _ in range(20):
        await talk.ask(b"x" * (size // 20))
    await talk.ask(b"x" * (size % 20))
    await talk.answer(b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n")
    assert talk.statuses == [500]
    assert talk.at_rest()


async def test_a_malformed_body_after_the_head_was_sent() -> None:
    for answered in (False, True):
        talk = Talk(Plan("v1"))
        await talk.ask(b"POST /x HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
        if answered:
            await talk.answer(OK[:-1])
        await talk.ask(b"xyz\r\n")
        assert talk.statuses == ([200] if answered else [400])
        assert talk.upstream().aborted
        assert talk.at_rest()


async def test_a_101_nobody_asked_for_is_a_bad_answer() -> None:
    talk = Talk(Plan("v1"))
    await talk.ask()
    await talk.answer(b"HTTP/1.1 101 S\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhello")
    assert talk.statuses == [502]
    assert b"bad_upstream_answer" in talk.wire.sent
    assert talk.at_rest()


async def test_many_1xx_pass_in_bounded_memory_and_only_the_last_answer_counts() -> None:
    talk = Talk(Plan("v1"))
    await talk.ask()
    await talk.answer(b"HTTP/1.1 103 Early\r\nlink: a\r\n\r\n" * 500)
    assert talk.statuses == [103] * 500
    talk.client.pause_writing()
    await talk.answer(b"HTTP/1.1 102 Still\r\n\r\n")
    assert talk.upstream().paused
    talk.client.resume_writing()
    assert not talk.upstream().paused
    await talk.answer(OK)
    assert talk.plane.codes("v1") == {200: 1}
    assert talk.at_rest()


async def test_a_client_that_does_not_read_pauses_its_model_and_is_given_up() -> None:
    talk = Talk(Plan("v1"))
    await talk.ask()
    talk.client.pause_writing()
    await talk.answer(OK[:-1])
    assert talk.upstream().paused
    talk.late()
    assert talk.wire.closed
    assert talk.at_rest()


async def test_an_answer_to_head_and_an_old_client() -> None:
    talk = Talk(Plan("v1"))
    await talk.ask(b"HEAD /x HTTP/1.1\r\nhost: h\r\n\r\n")
    await talk.answer(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    await talk.ask(b"GET /x HTTP/1.0\r\n\r\n")
    await talk.answer(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
    assert talk.statuses == [200, 200]
    assert talk.wire.sent.endswith(b"\r\n\r\nok")
    assert talk.wire.ended
    assert talk.at_rest()


async def test_a_request_that_waited_for_the_candidate_goes_to_stable_after_a_rollback() -> None:
    talk = Talk(CANDIDATE)
    talk.client.data_received(GET)
    talk.plane.publish(both(ROLLED_BACK))
    await settle()
    candidate, stable = talk.plane.wires
    assert (candidate.sent, stable.sent[:6]) == (b"", b"GET /x")
    await talk.answer(OK)
    assert talk.plane.codes("v1") == {200: 1}
    assert len(talk.plane.endpoint(V2)._idle) == 1, "the connection that came too late is kept, not leaked"
    assert talk.at_rest()


@pytest.mark.parametrize("names_it", [False, True])
async def test_a_preview_does_not_keep_the_door_open_for_others(names_it: bool) -> None:
    """Blue-green keeps its preview after a switch back; who did not ask for it must not reach that colour."""
    preview = Force("x-preview", {"green": "v2"})
    talk = Talk(Plan("v2", "v1", 0, force=preview))
    talk.client.data_received(GET[:-2] + (b"x-preview: green\r\n\r\n" if names_it else b"\r\n"))
    talk.plane.publish(both(Plan("v1", "v2", 0, force=preview)))
    await settle()
    await talk.answer(OK)
    assert talk.plane.codes("v2" if names_it else "v1") == {200: 1}
    assert talk.at_rest()


async def test_a_retry_after_a_rollback_goes_to_stable() -> None:
    talk = Talk(CANDIDATE)
    await talk.ask()
    await talk.answer(OK)
    await talk.ask()
    talk.plane.publish(both(ROLLED_BACK))
    talk.upstream(0).lose()
    await settle()
    assert talk.upstream(1).sent.startswith(b"GET /x")
    await talk.answer(OK)
    assert talk.statuses == [200, 200]
    assert talk.plane.codes("v1") == {200: 1}
    assert talk.at_rest()


async def test_an_answer_under_way_is_not_disturbed_by_a_rollback() -> None:
    talk = Talk(CANDIDATE)
    await answering(talk)
    talk.plane.publish(both(ROLLED_BACK))
    await talk.answer(OK[-1:])
    assert talk.wire.sent.endswith(b"\r\n\r\nok")
    assert talk.at_rest()


async def test_a_full_version_sheds_or_falls_back() -> None:
    versions = (VersionSpec("v1", (V1,)), VersionSpec("v2", (V2,), 0, 1))
    talk = Talk(FALLBACK, versions=versions)
    await talk.ask()
    other, wire = talk.plane.client()
    other.data_received(GET)
    await settle()
    assert talk.upstream(1).sent.startswith(b"GET /x")
    await talk.answer(OK, 1)
    await talk.answer(OK, 0)
    assert b"200 OK" in wire.sent
    assert (talk.plane.codes("v1"), talk.plane.codes("v2")) == ({200: 1}, {200: 1})
    assert talk.at_rest()


async def test_the_time_in_all_bounds_every_deadline() -> None:
    talk = Talk(Plan("v1"), timeouts=Timeouts(first_byte=50.0, idle=50.0, total=1.0))
    await talk.ask()
    assert talk.upstream().protocol.deadline <= talk.plane.engine.time + 1.0
    await talk.answer(OK[:-1])
    assert talk.upstream().protocol.deadline <= talk.plane.engine.time + 1.0


def told(talk: Talk, version: str) -> dict[tuple[int, str], SeriesTally]:
    """What the worker tells of a version's live answers, by cohort and slice."""
    tally = talk.plane.engine.tally()
    assert tally is not None
    return {
        (row.cohort, row.slice): row
        for row in tally.series
        if (row.deployment, row.version, row.role) == ("d", version, "live")
    }


async def test_an_answer_in_place_of_another_is_no_evidence_for_who_gave_it() -> None:
    talk = Talk(msgspec.structs.replace(FALLBACK, cohort=5, count_causes=True))
    await talk.ask()
    await talk.answer(b"HTTP/1.1 503 S\r\ncontent-length: 0\r\n\r\n")
    await talk.answer(OK)
    candidate, stable = told(talk, "v2"), told_again(talk, "v1")
    assert (candidate[5, ""].fallbacks, candidate[5, ""].codes) == (1, {})
    assert len(candidate[5, ""].causes) == 1
    assert (stable[0, ""].codes, stable[5, ""].codes) == ({200: 1}, {})
    assert talk.at_rest()


def told_again(talk: Talk, version: str) -> dict[tuple[int, str], SeriesTally]:
    talk.plane.engine.retell()
    return told(talk, version)


@pytest.mark.parametrize(
    ("answer", "lose", "codes", "broken", "causes"),
    [
        (OK, False, {200: 1}, 0, 0),
        (b"HTTP/1.1 404 N\r\ncontent-length: 0\r\n\r\n", False, {404: 1}, 0, 0),
        (b"HTTP/1.1 500 E\r\ncontent-length: 0\r\n\r\n", False, {500: 1}, 0, 1),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", True, {200: 1}, 1, 1),
        (b"", True, {502: 1}, 0, 1),
    ],
)
async def test_what_counts_as_a_failure_of_the_version(
    answer: bytes, lose: bool, codes: dict[int, int], broken: int, causes: int
) -> None:
    talk = Talk(msgspec.structs.replace(CANDIDATE, cohort=2, count_causes=True))
    await talk.ask()
    if answer:
        await talk.answer(answer)
    if lose:
        talk.upstream().lose()
    row = told(talk, "v2")[2, ""]
    assert (row.codes, row.broken, len(row.causes)) == (codes, broken, causes)


async def test_a_client_that_sends_nonsense_is_no_failure_of_the_version() -> None:
    talk = Talk(msgspec.structs.replace(CANDIDATE, cohort=2, count_causes=True))
    await talk.ask(b"POST /x HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
    await talk.answer(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
    await talk.ask(b"nonsense\r\n")
    row = told(talk, "v2")[2, ""]
    assert (row.codes, row.broken, row.causes) == ({200: 1}, 0, ())


async def test_requests_are_counted_by_segment_where_that_is_asked_for() -> None:
    talk = Talk(msgspec.structs.replace(CANDIDATE, cohort=2), segment=Segment("region", "x-region"))
    for _ in range(2):
        await talk.ask(b"GET /x HTTP/1.1\r\nhost: h\r\nx-region: eu\r\n\r\n")
        await talk.answer(OK)
    await talk.ask()
    await talk.answer(OK)
    rows = told(talk, "v2")
    assert (rows[2, "region=eu"].codes, rows[2, "region=none"].codes) == ({200: 2}, {200: 1})
    assert talk.at_rest()


async def test_a_limit_holds_over_all_cohorts_of_a_version() -> None:
    versions = (VersionSpec("v1", (V1,)), VersionSpec("v2", (V2,), in_flight=1))
    talk = Talk(msgspec.structs.replace(CANDIDATE, cohort=1), versions=versions)
    await talk.ask()
    talk.plane.publish(both(msgspec.structs.replace(CANDIDATE, cohort=2), versions=versions))
    other, wire = talk.plane.client()
    other.data_received(GET)
    await settle()
    assert b" 503 " in wire.sent
