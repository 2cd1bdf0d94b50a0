"""What every comparator shares: what it gets, what it says, and the outcomes that need no look at the bodies."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from router.pairs.content import Content
from router.spec import Spec

Verdict = Literal["match", "mismatch", "incomparable"]
VERDICTS: tuple[Verdict, ...] = ("match", "mismatch", "incomparable")

FAILED_FROM = 500
"""From this status on an answer is a failure of its version, and no answer of the model."""

BELOW_ONE = 1.0 - 2.0**-53
"""The highest score of a mismatch: however little differs, it is not nothing."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One side of a pair as a comparator sees it. `error` says why there is no whole answer."""

    status: int
    content: Content
    error: str = ""
    truncated: bool = False

    @property
    def broken(self) -> str | None:
        """What makes this answer unfit for comparing, or None."""
        return self.error or ("truncated" if self.truncated else None) or self.content.problem or None


class Difference(msgspec.Struct, frozen=True):
    """One place where two answers differ.

    `at` is a JSON pointer into the primary's body (into the shadow's, for what only it has), or one of the
    words `status`, `body`, `error` for what lies outside of JSON. Values are short and hold no secret.
    """

    at: str
    primary: Any
    shadow: Any


class Comparison(msgspec.Struct, frozen=True):
    """The verdict on a pair.

    `score` lies in [0, 1] and is 1 where nothing differs, also below 1 for a match that a tolerance let pass,
    always for a mismatch, None for an incomparable pair. `differences` holds the first few, `more` how many
    were found beside them. `labels` are the primary's and the shadow's label, `values` their numbers, from the
    comparators that look at one label or one number, unless they are redacted.
    """

    verdict: Verdict
    score: float | None
    differences: tuple[Difference, ...] = ()
    more: int = 0
    labels: tuple[str, str] | None = None
    values: tuple[float, float] | None = None


MATCH = Comparison("match", 1.0)


def mismatch(at: str, primary: Any, shadow: Any) -> Comparison:
    """A mismatch with this one difference, and nothing alike."""
    return Comparison("mismatch", 0.0, (Difference(at, primary, shadow),))


def incomparable(primary: str | None, shadow: str | None) -> Comparison:
    """The verdict where a side is broken; the arguments name what broke each."""
    return Comparison("incomparable", None, (Difference("error", primary, shadow),))


class ComparatorSpec(Spec):
    """Base of the comparators: an error, a cut body and a different status are judged alike by all of them, and so are
    two failures: that both fail says nothing of what they would have answered, even in the same words."""

    def compare(self, primary: Answer, shadow: Answer) -> Comparison:
        """The verdict on two answers to one request. Pure, and raises nothing for hostile bodies."""
        left, right = primary.broken, shadow.broken
        if left or right:
            return incomparable(left, right)
        if min(primary.status, shadow.status) >= FAILED_FROM:
            return incomparable(f"status_{primary.status}", f"status_{shadow.status}")
        if primary.status != shadow.status:
            return mismatch("status", primary.status, shadow.status)
        try:
            return self.compare_contents(primary.content, shadow.content)
        except RecursionError:
            return incomparable("nested too deeply", "nested too deeply")

    @abstractmethod
    def compare_contents(self, primary: Content, shadow: Content) -> Comparison:
        """The verdict on two whole bodies."""


class WholeBodySpec(ComparatorSpec):
    """Base of the comparators for which the same bytes are a match, whatever they say."""

    def compare_contents(self, primary: Content, shadow: Content) -> Comparison:
        if primary.data == shadow.data:
            return MATCH
        return self.compare_different(primary, shadow)

    @abstractmethod
    def compare_different(self, primary: Content, shadow: Content) -> Comparison:
        """The verdict on two whole bodies that are not the same bytes."""
