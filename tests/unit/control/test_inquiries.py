"""Gates that ask a real server, with a clock that the test moves where time matters."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

import msgspec
import pytest
from aiohttp import web
from msgspec.structs import replace

from router.control import inquiries, outbound
from router.control.inquiries import Inquiries, Stand, question_of, stand_of
from router.rollout.course import Course, Rung
from router.rollout.gates.asking import AskingGate, Call, Question
from router.rollout.gates.error_rate import ErrorRateGate
from router.rollout.gates.prometheus import PrometheusGate
from router.rollout.gates.webhook import WebhookGate
from router.rollout.phase import Phase
from router.rollout.state import RolloutState
from router.rollout.verdict import Ruling, Verdict
from tests.support.hooks import Hook, serving


class Oracle(AskingGate):
    """Passes on 200, fails on 400, trips over 418; anything else is an error."""

    tag: Literal["oracle"] = "oracle"
    url: str
    every: float = 0.02
    timeout: float = 5.0
    retries: int = 2

    def call(self, question: Question) -> Call:
        return Call("POST", self.url, body=msgspec.json.encode(question))

    def ruling(self, status: int, body: bytes) -> Ruling:
        if status == 418:
            raise RuntimeError("a mistake of ours")
        verdict = {200: Verdict.PASS, 400: Verdict.FAIL}.get(status, Verdict.ERROR)
        return Ruling(self.tag, verdict, f"it answers {status}")


class Clock:
    ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


def question(name: str) -> Question:
    return Question(name, "v2", "v1", 0, 3, 0.1, 0.0, {"v2": {"requests": 7}})


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inquiries, "_FIRST", 0.01)
    monkeypatch.setattr(outbound, "FIRST_PAUSE", 0.01)


@asynccontextmanager
async def asking(
    ask: Callable[[str], Question | None] = question, clock: Callable[[], float] = time.monotonic
) -> AsyncIterator[tuple[Hook, Inquiries]]:
    async with serving() as hook, asyncio.TaskGroup() as tasks:
        inquiries = Inquiries(tasks, ask, clock)
        try:
            yield hook, inquiries
        finally:
            await inquiries.close()


async def until(inquiries: Inquiries, *verdicts: Verdict) -> tuple[Ruling, ...]:
    async with asyncio.timeout(15):
        while tuple(ruling.verdict for ruling in inquiries.rulings("loan")) != verdicts:
            await asyncio.sleep(0.005)
    return inquiries.rulings("loan")


def stand(hook: Hook, step: int = 0, **settings: float) -> Stand:
    return Stand((step,), (Oracle(url=hook.url, **settings),))


async def test_the_question_tells_of_the_rollout_and_the_answer_is_kept() -> None:
    async with asking() as (hook, inquiries):
        inquiries.configure({"loan": stand(hook)})
        (first,) = inquiries.rulings("loan")
        assert (first.gate, first.verdict) == ("oracle", Verdict.INCONCLUSIVE)
        (ruling,) = await until(inquiries, Verdict.PASS)
        assert ruling.why == "it answers 200"
        assert hook.seen[0].json() == {
            "deployment": "loan",
            "candidate": "v2",
            "stable": "v1",
            "step": 0,
            "steps": 3,
            "share": 0.1,
            "mirror": 0.0,
            "counts": {"v2": {"requests": 7}},
        }
        hook.status = 400
        await until(inquiries, Verdict.FAIL)
        assert inquiries.rulings("other") == ()


async def test_an_error_is_tried_again_before_it_counts() -> None:
    async with asking() as (hook, inquiries):
        hook.answer(web.Response(status=500), web.Response(status=500))
        inquiries.configure({"loan": stand(hook, every=60)})
        await until(inquiries, Verdict.PASS)
        assert len(hook.seen) == 3


async def test_a_fail_is_an_answer_and_is_not_tried_again() -> None:
    async with asking() as (hook, inquiries):
        hook.status = 400
        inquiries.configure({"loan": stand(hook, every=60)})
        await until(inquiries, Verdict.FAIL)
        assert len(hook.seen) == 1


async def test_who_never_answers_well_is_an_error_and_is_asked_on() -> None:
    async with asking() as (hook, inquiries):
        hook.status = 500
        inquiries.configure({"loan": stand(hook, retries=0)})
        await until(inquiries, Verdict.ERROR)
        hook.status = 200
        await until(inquiries, Verdict.PASS)


async def test_who_is_not_there_and_who_hangs_is_an_error() -> None:
    async with asking() as (hook, inquiries):
        hook.hangs = True
        slow = Oracle(url=hook.url, timeout=0.05, retries=0)
        gone = Oracle(url="http://127.0.0.1:1/", retries=1)
        inquiries.configure({"loan": Stand((0,), (slow, gone))})
        await until(inquiries, Verdict.ERROR, Verdict.ERROR)
        async with asyncio.timeout(
            15
        ):  # an answer that is overdue is an error before anybody has given it up
            while inquiries.rulings("loan")[0].why != "no answer within 0.05 s":
                await asyncio.sleep(0.005)
        assert "can't be reached" in inquiries.rulings("loan")[1].why


async def test_a_pass_of_the_step_before_does_not_count_at_the_next() -> None:
    async with asking() as (hook, inquiries):
        inquiries.configure({"loan": stand(hook)})
        await until(inquiries, Verdict.PASS)
        hook.hangs = True
        inquiries.configure({"loan": stand(hook, step=1)})
        assert [ruling.verdict for ruling in inquiries.rulings("loan")] == [Verdict.INCONCLUSIVE]


async def test_the_same_stand_goes_on_undisturbed() -> None:
    async with asking() as (hook, inquiries):
        inquiries.configure({"loan": stand(hook, every=60)})
        await until(inquiries, Verdict.PASS)
        inquiries.configure({"loan": stand(hook, every=60), "other": stand(hook, every=60)})
        await hook.calls(2)
        assert [ruling.verdict for ruling in inquiries.rulings("loan")] == [Verdict.PASS]
        assert [seen.json()["deployment"] for seen in hook.seen] == ["loan", "other"]


async def test_what_is_no_longer_wanted_is_no_longer_asked() -> None:
    async with asking() as (hook, inquiries):
        inquiries.configure({"loan": stand(hook)})
        await until(inquiries, Verdict.PASS)
        inquiries.configure({})
        assert inquiries.rulings("loan") == ()
        await asyncio.sleep(0.02)  # a call that was on its way may still arrive
        before = len(hook.seen)
        await asyncio.sleep(0.1)
        assert len(hook.seen) == before


async def test_a_pass_grows_stale_when_nobody_answers_any_more() -> None:
    clock = Clock()
    async with asking(clock=clock) as (hook, inquiries):
        inquiries.configure({"loan": stand(hook, every=60, timeout=5)})
        await until(inquiries, Verdict.PASS)
        clock.ahead = 180
        await until(inquiries, Verdict.PASS)
        clock.ahead = 186
        (ruling,) = await until(inquiries, Verdict.ERROR)
        assert ruling.why.startswith("has not answered for 18")


async def test_a_mistake_of_ours_is_an_error_of_this_gate_alone() -> None:
    async with asking() as (hook, inquiries):
        hook.answer(web.Response(status=418))
        inquiries.configure({"loan": stand(hook)})
        (ruling,) = await until(inquiries, Verdict.ERROR)
        assert "its log says which" in ruling.why
        await until(inquiries, Verdict.PASS)


async def test_where_there_is_nothing_to_ask_nobody_is_asked() -> None:
    async with asking(lambda name: None) as (hook, inquiries):
        inquiries.configure({"loan": stand(hook)})
        await asyncio.sleep(0.1)
        assert hook.seen == []


# Where a rollout stands


def course(*gates: Any) -> Course:
    rungs = (Rung(100, hold=60.0, gates=gates), Rung(1000, hold=60.0))
    return Course("loan", "canary", "v1", ("v2",), rungs)


AT_THE_FIRST = RolloutState("loan", "canary", "v1", ("v2",), Phase.PROGRESSING, 0, 100, 500, cohort=7)


def test_a_stand_is_another_at_another_step_or_exposure_and_names_who_is_asked_there() -> None:
    asked = WebhookGate(url="http://a/")
    way = course(ErrorRateGate(), asked)
    assert stand_of(way, AT_THE_FIRST) == Stand((7, 0), (asked,))
    assert stand_of(way, replace(AT_THE_FIRST, step=1)) == Stand((7, 1), ())
    assert stand_of(way, replace(AT_THE_FIRST, cohort=8)).place == (8, 0)
    assert stand_of(way, replace(AT_THE_FIRST, phase=Phase.ROLLED_BACK)).gates == ()


def test_a_question_tells_where_the_rollout_is() -> None:
    asked = question_of(course(), AT_THE_FIRST, {"v2": {"requests": 3}})
    assert asked == Question("loan", "v2", "v1", 0, 2, 0.01, 0.05, {"v2": {"requests": 3}})


async def test_the_gates_of_the_yaml_are_asked() -> None:
    async with asking() as (hook, inquiries):
        webhook = WebhookGate(url=hook.url, headers={"x-key": "k"})
        prometheus = PrometheusGate(url=hook.url, query="up{job='$candidate'}", min=1)
        vector = '{"status": "success", "data": {"resultType": "vector", "result": [{"value": [0, "0"]}]}}'
        hook.text = vector
        inquiries.configure({"loan": Stand((0,), (webhook, prometheus))})
        first, second = await until(inquiries, Verdict.PASS, Verdict.FAIL)
        assert (first.gate, second.gate) == ("webhook", "prometheus")
        assert "0" in second.why
        (json_call,) = [seen for seen in hook.seen if seen.headers.get("x-key") == "k"]
        assert json_call.json()["candidate"] == "v2"
        assert any(b"job%3D%27v2%27" in seen.body for seen in hook.seen)
