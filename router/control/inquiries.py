"""Asks the gates that ask somebody else, in the background, and keeps what each said last. Floor 4.

The controller says where every rollout is and which gates hold there; it reads what is known and never waits. An
answer counts only for the place it was asked at: when a rollout moves on, everything is asked anew. And it counts
for a while only: who has fallen silent is an error, whatever was said before.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from router.control.outbound import NoAnswer, Outbound, pause
from router.rollout.course import Course
from router.rollout.gates.asking import AskingGate, Question
from router.rollout.state import RolloutState
from router.rollout.verdict import Ruling, Verdict
from router.rollout.watch import watching
from router.shares import SHARE_PARTS

_log = logging.getLogger(__name__)

STALE = 3
"""An answer counts for so many of the gate's periods, and the time one call may take."""

_JITTER = 0.1
_FIRST = 0.5
"""Seconds within which the first question of each gate is asked, so that they spread out."""


class Stand(NamedTuple):
    """Where a rollout stands, as any value that is another at another step or exposure, and the gates asked there."""

    place: tuple[int, ...]
    gates: tuple[AskingGate, ...]


def stand_of(course: Course, state: RolloutState) -> Stand:
    """Where the rollout is, and who is asked there; nobody, most often."""
    gates = tuple(gate for gate in watching(course, state) if isinstance(gate, AskingGate))
    return Stand((state.cohort, state.step), gates)


def question_of(course: Course, state: RolloutState, counts: Mapping[str, Mapping[str, Any]]) -> Question:
    """What whoever is asked is told of it; `counts` by version."""
    return Question(
        deployment=state.deployment,
        candidate=", ".join(state.candidates),
        stable=state.trusted,
        step=state.step,
        steps=len(course.rungs),
        share=state.share / SHARE_PARTS,
        mirror=state.mirror / SHARE_PARTS,
        counts={version: dict(each) for version, each in counts.items()},
    )


class Inquiries:
    """Runs in `tasks`. `question` tells of a deployment as it is now, None when there is nothing to ask any more;
    `clock` is monotonic, in seconds."""

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        question: Callable[[str], Question | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tasks = tasks
        self._question = question
        self._clock = clock
        self._outbound = Outbound()
        self._stands: dict[str, Stand] = {}
        self._running: dict[str, tuple[_Inquiry, ...]] = {}

    def configure(self, stands: Mapping[str, Stand]) -> None:
        """Asks exactly this from now on, by deployment. A stand that is the same goes on undisturbed; any other
        begins without answers. Cheap where nothing changed."""
        for name in [name for name, stand in self._stands.items() if stands.get(name) != stand]:
            del self._stands[name]
            for inquiry in self._running.pop(name):
                inquiry.end()
        for name, stand in stands.items():
            if name not in self._stands:
                self._stands[name] = stand
                self._running[name] = tuple(self._begin(name, gate) for gate in stand.gates)

    def rulings(self, name: str) -> tuple[Ruling, ...]:
        """What is known now, one for each gate asked there, in their order."""
        now = self._clock()
        return tuple(inquiry.ruling(now) for inquiry in self._running.get(name, ()))

    async def close(self) -> None:
        """Asks nobody any more."""
        self.configure({})
        await self._outbound.close()

    def _begin(self, name: str, gate: AskingGate) -> "_Inquiry":
        self._outbound.prepare()
        inquiry = _Inquiry(name, gate, self._question, self._outbound, self._clock)
        inquiry.task = self._tasks.create_task(inquiry.run())
        return inquiry


class _Inquiry:
    """One gate of one deployment, asked again and again."""

    task: "asyncio.Task[None]"

    def __init__(
        self,
        name: str,
        gate: AskingGate,
        question: Callable[[str], Question | None],
        outbound: Outbound,
        clock: Callable[[], float],
    ) -> None:
        self._name = name
        self._gate = gate
        self._question = question
        self._outbound = outbound
        self._clock = clock
        self._asked = clock()
        self._ruling = Ruling(gate.tag, Verdict.INCONCLUSIVE, "was asked, and has not answered yet")

    def ruling(self, now: float) -> Ruling:
        silent = now - self._asked
        if silent > STALE * self._gate.every + self._gate.timeout:
            return self._gate.trouble(f"has not answered for {silent:.0f} s")
        return self._ruling

    def end(self) -> None:
        self.task.cancel()

    async def run(self) -> None:
        await asyncio.sleep(random.uniform(0, _FIRST))
        while True:
            began = self._clock()
            try:
                await self._ask()
            except Exception:
                _log.exception("%s: asking the gate %s failed", self._name, self._gate.tag)
                self._note(began, self._gate.trouble("the router made a mistake; its log says which"))
            rest = self._gate.every * random.uniform(1 - _JITTER, 1.0) - (self._clock() - began)
            await asyncio.sleep(max(rest, 0.0))

    async def _ask(self) -> None:
        """Until there is an answer that means something, or it was tried often enough."""
        for attempt in range(self._gate.retries + 1):
            if attempt:
                await asyncio.sleep(pause(attempt))
            question = self._question(self._name)
            if question is None:
                return
            asked = self._clock()
            ruling = await self._answer(question)
            if ruling.verdict is not Verdict.ERROR:
                self._note(asked, ruling)
                return
        self._note(asked, ruling)

    async def _answer(self, question: Question) -> Ruling:
        try:
            reply = await self._outbound.send(self._gate.call(question), self._gate.timeout)
        except NoAnswer as error:
            return self._gate.trouble(str(error))
        return self._gate.ruling(reply.status, reply.body)

    def _note(self, asked: float, ruling: Ruling) -> None:
        if ruling.verdict is not self._ruling.verdict:
            level = logging.WARNING if ruling.verdict is Verdict.ERROR else logging.INFO
            _log.log(level, "%s: %s: %s: %s", self._name, ruling.gate, ruling.verdict.value, ruling.why)
        self._asked, self._ruling = asked, ruling
