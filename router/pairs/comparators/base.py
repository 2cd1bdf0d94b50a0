"""What every comparator shares: what it gets, what it says, and the outcomes that need no look at the bodies."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from router.pairs.content import Content
from router.spec import Spec

Verdict = Literal["match", "mismatch", "incomparable"]
VERDICTS: tuple[Verdict, ...] = ("match", "mismatch", "incomparable")


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
    """The verdict on a pair. `score` is 1 for a match, below 1 for a mismatch, None for an incomparable pair.

    `differences` holds the first few, `more` how many were found beside them.
    """

    verdict: Verdict
    score: float | None
    differences: tuple[Difference, ...] = ()
    more: int = 0


MATCH = Comparison("match", 1.0)


def mismatch(at: str, primary: Any, shadow: Any) -> Comparison:
    """A mismatch with this one difference, and nothing alike."""
    return Comparison("mismatch", 0.0, (Difference(at, primary, shadow),))


def incomparable(primary: str | None, shadow: str | None) -> Comparison:
    """The verdict where a side is broken; the arguments name what broke each."""
    return Comparison("incomparable", None, (Difference("error", primary, shadow),))


class ComparatorSpec(Spec):
    """Base of the comparators: an error, a cut body and a different status are judged alike by all of them."""

    def compare(self, primary: Answer, shadow: Answer) -> Comparison:
        """The verdict on two answers to one request. Pure, and raises nothing for hostile bodies."""
        left, right = primary.broken, shadow.broken
        if left or right:
            return incomparable(left, right)
        if primary.status != shadow.status:
            return mismatch("status", primary.status, shadow.status)
        if primary.content.data == shadow.content.data:
            return MATCH
        try:
            return self.compare_contents(primary.content, shadow.content)
        except RecursionError:
            return incomparable("nested too deeply", "nested too deeply")

    @abstractmethod
    def compare_contents(self, primary: Content, shadow: Content) -> Comparison:
        """The verdict on two whole bodies that are not the same bytes."""
