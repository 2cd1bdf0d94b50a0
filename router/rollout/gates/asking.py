"""What every gate that asks somebody else shares: what it is told, how it asks, and when it asks again.

Floor 2, pure: `control.inquiries` sends the call and hands back what came. A gate of this kind says what to send
(`call`) and what an answer means (`ruling`); everything that went wrong before there was an answer is an error,
which is never a fail and never a pass.
"""

import re
from abc import abstractmethod
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from pydantic import AfterValidator, Field

from router.rollout.verdict import Ruling, Verdict
from router.spec import Duration, Spec

_URL = re.compile(r"https?://[!-~]+")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t -~]*")


def _check_url(url: str) -> str:
    rule = (
        "a URL that is called names scheme and host and has no spaces, such as https://checks:443/loan?key=a"
    )
    if not _URL.fullmatch(url):
        raise ValueError(rule)
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError("the port of a URL lies between 0 and 65535") from None
    if not parts.hostname or parts.fragment:
        raise ValueError(f"{rule}, and no fragment")
    if parts.username or parts.password:
        raise ValueError("a URL here has no user or password: send them as a header")
    return url


def _check_headers(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not _HEADER.fullmatch(name):
            raise ValueError(f"{name!r} is no header name")
        if not _VALUE.fullmatch(value):
            raise ValueError(f"the value of {name} has characters that no header may have")
    return headers


CallUrl = Annotated[str, AfterValidator(_check_url)]
"""Where a call of ours goes: http or https. Path and query may hold secrets, and are shown to nobody."""

CallHeaders = Annotated[dict[str, str], AfterValidator(_check_headers)]
"""What a call of ours brings. Values may hold secrets, and are shown to nobody."""


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
