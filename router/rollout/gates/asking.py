"""What every gate that asks somebody else shares: what it is told, how it asks, and when it asks again.

Floor 2, pure: `control.inquiries` sends the call and hands back what came. A gate of this kind says what to send
(`call`) and what an answer means (`ruling`); everything that went wrong before there was an answer is an error,
which is never a fail and never a pass.
"""

from abc import abstractmethod
from typing import Any

import msgspec
from pydantic import Field

from router.rollout.verdict import Ruling, Verdict
from router.spec import Duration, Spec


class Question(msgspec.Struct, frozen=True):
    """What whoever is asked is told of the rollout: `step` counted from 0, shares as fractions, counts by version."""

    deployment: str
    candidate: str
    stable: str
    step: int
    steps: int
    share: float
    mirror: float
    counts: dict[str, dict[str, Any]] = {}


class Call(msgspec.Struct, frozen=True):
    """One HTTP request to send."""

    method: str
    url: str
    headers: dict[str, str] = {}
    body: bytes = b""


class AskingGate(Spec):
    """Settings of every gate that asks: how often, how long an answer may take, and how often an error is tried
    again before it counts."""

    tag: str
    every: Duration = Field(30.0, ge=1.0)
    timeout: Duration = Field(5.0, gt=0)
    retries: int = Field(2, ge=0, le=10)

    @abstractmethod
    def call(self, question: Question) -> Call:
        """What to send."""

    @abstractmethod
    def ruling(self, status: int, body: bytes) -> Ruling:
        """What this answer means. `body` ends at `control.outbound.MAX_ANSWER` bytes, however long it was."""

    def trouble(self, why: str) -> Ruling:
        """There is no answer, or none that means anything."""
        return Ruling(self.tag, Verdict.ERROR, why)
