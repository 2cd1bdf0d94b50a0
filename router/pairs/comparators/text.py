"""Compares the texts of answers by how much of them is the same."""

import re
import unicodedata
from functools import cache, cached_property
from typing import Any, Literal

from rapidfuzz.distance import Indel, Prefix

from router.pairs.comparators.base import (
    MATCH,
    ComparatorSpec,
    Comparison,
    Difference,
    incomparable,
)
from router.pairs.comparators.place import OnePlace, find_both, unveil
from router.pairs.content import Content
from router.pairs.pointer import split
from router.pairs.values import REDACTED
from router.spec import Share, Spec

NO_TEXT = "[no text]"
"""Stands in a difference for a side that has no text there."""

PIECE = 4096
"""Characters that are aligned at once: the time of it grows with the square."""

_PUNCTUATION = re.compile(r"[^\w\s]|_")
_SHOWN = 200
_BEFORE = 40
"""Characters shown, and how many of them stand before the first one that differs."""

MOST_MARKS = 30
"""Combining marks on one character, as in UAX #15's stream-safe text: putting n of them in order takes n² steps."""

_MARKS = range(0x300, 0x20000)
"""Where combining marks stand."""


@cache
def _long_run() -> re.Pattern[str]:
    """Finds more marks in a row than any language has."""
    marks = "".join(chr(code) for code in _MARKS if unicodedata.combining(chr(code)))
    return re.compile(f"[{marks}]{{{MOST_MARKS + 1}}}")


class Normalize(Spec):
    """`normalize`: what makes no difference between texts.

    `unicode`: how a character is composed (NFC); a text with more than 30 combining marks in a row is taken as it is.
    `whitespace`: how much and which of it, but whether there is some does. `case`. `punctuation`: all that is neither
    letter, digit nor whitespace, the minus of a number too.
    """

    unicode: bool = True
    whitespace: bool = True
    case: bool = False
    punctuation: bool = False

    def apply(self, text: str) -> str:
        """The text without what makes no difference."""
        if self.unicode and not text.isascii() and _long_run().search(text) is None:
            text = unicodedata.normalize("NFC", text)
        if self.case:
            text = text.casefold()
        if self.punctuation:
            text = _PUNCTUATION.sub("", text)
        return " ".join(text.split()) if self.whitespace else text


class TextComparator(ComparatorSpec):
    """`{text: {at: /choices/0/message/content, min_similarity: 0.9}}`: normalised texts are similar enough.

    Without `at`: of an OpenAI completion, streamed or not, the texts of its choices, of other answers the whole
    body. The score is the similarity: 1 - d / (n + m), where d is how many characters must be left out of the two
    texts of n and m characters to make them equal (Indel distance; 2 · LCS / (n + m)). Texts longer than PIECE are
    cut into as many pieces each, which are aligned in order: never more similar than the whole, and in linear time.

    A side without text there is a mismatch, two such sides are incomparable.
    """

    tag: Literal["text"] = "text"
    at: OnePlace | None = None
    min_similarity: Share = 1.0
    normalize: Normalize = Normalize()

    def compare_contents(self, primary: Content, shadow: Content) -> Comparison:
        if self.at is None and primary.data == shadow.data:
            return MATCH
        (left, secret), (right, also_secret) = self._texts(primary, shadow)
        if left is None and right is None:
            reason = f"no text at {self._place}"
            return incomparable(reason, reason)
        if left is None or right is None:
            return Comparison("mismatch", 0.0, self._difference(left, right, secret or also_secret))
        if left != right:
            left, right = self.normalize.apply(left), self.normalize.apply(right)
        if left == right:
            return MATCH
        score = similarity(left, right)
        if score >= self.min_similarity:
            return Comparison("match", score)
        return Comparison("mismatch", score, self._difference(left, right, secret or also_secret))

    def _texts(self, primary: Content, shadow: Content) -> tuple[tuple[str | None, bool], ...]:
        """Each side's text, None where it has none, and whether it must not be told."""
        if self.at is None:
            return _said(primary), _said(shadow)
        both = find_both(primary, shadow, self._segments)
        return tuple((each.value if isinstance(each.value, str) else None, each.secret) for each in both)

    def _difference(self, left: str | None, right: str | None, secret: bool) -> tuple[Difference]:
        shown = (REDACTED, REDACTED) if secret else _excerpts(left, right)
        return (Difference(self._place, *shown),)

    @property
    def _place(self) -> str:
        return self.at or "body"

    @cached_property
    def _segments(self) -> tuple[str, ...]:
        return split(self.at or "")


def similarity(left: str, right: str) -> float:
    """How much of two texts is the same, from 0 to 1 and the same either way round."""
    pieces = -(-max(len(left), len(right)) // PIECE)
    if pieces <= 1:
        return Indel.normalized_similarity(left, right)
    distance = sum(
        Indel.distance(_piece(left, number, pieces), _piece(right, number, pieces))
        for number in range(pieces)
    )
    return 1.0 - distance / (len(left) + len(right))


def _piece(text: str, number: int, pieces: int) -> str:
    return text[len(text) * number // pieces : len(text) * (number + 1) // pieces]


def _said(content: Content) -> tuple[str | None, bool]:
    """What an answer says as a whole, and whether it must not be told."""
    texts = _choices_of(content.value if content.exposed else unveil(content.value)[0])
    if texts is not None:
        return "\n".join(texts), not content.exposed
    try:
        return content.data.decode(), not content.exposed
    except UnicodeDecodeError:
        return None, False


def _choices_of(value: Any) -> list[str] | None:
    """The texts of the choices of a completion; None where it is none, or says something else than text."""
    choices = value.get("choices") if isinstance(value, dict) else None
    if not isinstance(choices, list):
        return None
    texts = [_text_of(choice) for choice in choices]
    return [text for text in texts if text is not None] if None not in texts and texts else None


def _text_of(choice: Any) -> str | None:
    if not isinstance(choice, dict):
        return None
    message = choice.get("message")
    text = message.get("content") if isinstance(message, dict) else choice.get("text")
    return text if isinstance(text, str) else None


def _excerpts(left: str | None, right: str | None) -> tuple[str, str]:
    """Both texts from a little before the place where they part."""
    parted = 0
    if left is not None and right is not None:
        parted = Prefix.similarity(left, right)
    start = max(0, parted - _BEFORE)
    return _excerpt(left, start), _excerpt(right, start)


def _excerpt(text: str | None, start: int) -> str:
    if text is None:
        return NO_TEXT
    shown = text[start : start + _SHOWN].encode("utf-8", "backslashreplace").decode()
    return ("…" if start else "") + shown + ("…" if start + _SHOWN < len(text) else "")
