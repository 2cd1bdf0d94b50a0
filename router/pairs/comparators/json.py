"""Compares JSON bodies field by field."""

from functools import cached_property
from typing import Any, Literal

from pydantic import Field

from router.pairs.comparators.base import Comparison, WholeBodySpec, incomparable, mismatch
from router.pairs.comparators.unordered import TooMuch
from router.pairs.comparators.walk import Rules, Walk
from router.pairs.content import Content
from router.pairs.pointer import Pointer, split
from router.pairs.streams import evened
from router.pairs.values import ABSENT
from router.spec import Spec

# Two healthy servers differ in these members of their answers; they say nothing about the model.
_V2_NOISE = ("/id", "/model_name", "/model_version", "/parameters")
_OPENAI_NOISE = (
    "/id",
    "/created",
    "/model",
    "/system_fingerprint",
    "/usage/prompt_tokens_details",
    "/timings",
    "/service_tier",
)

_UNREAD = {"json": "no JSON", "events": "no completion in events", "tensors": "no sound binary tensors"}
"""How a body without a value is called, by its form."""


_TOO_MUCH = "unordered lists take too long to compare"


class NumberTolerance(Spec):
    """Numbers match when they differ by at most `absolute`, or by `relative` of the larger one."""

    relative: float = Field(1e-6, ge=0, allow_inf_nan=False)
    absolute: float = Field(1e-9, ge=0, allow_inf_nan=False)


class JsonComparator(WholeBodySpec):
    """`{json: {ignore: [pointers], unordered: [pointers], numbers: {relative, absolute}}}`.

    What the Open Inference Protocol (V2) and the OpenAI API let differ between two healthy servers is ignored
    in their answers besides `ignore`. V2 `outputs` are compared by name. NaN equals NaN, 1 equals 1.0, true
    is no number. In `unordered` lists each member meets one that matches, wherever it stands; how hard that is
    tried says `unordered.py`. A streamed completion meets one that was not streamed without what only one form
    says. The score is the part of all compared values that match. A body that is no JSON matches only the same
    bytes.
    """

    tag: Literal["json"] = "json"
    ignore: tuple[Pointer, ...] = ()
    unordered: tuple[Pointer, ...] = ()
    numbers: NumberTolerance = NumberTolerance()

    def compare_different(self, primary: Content, shadow: Content) -> Comparison:
        left, right = primary.value, shadow.value
        if left is ABSENT or right is ABSENT:
            return mismatch("body", _describe(primary), _describe(shadow))
        walk = Walk(self.numbers.relative, self.numbers.absolute)
        try:
            if _is_v2(left) and _is_v2(right):
                walk.answers_by_name(left, right, self._v2_rules)
            else:
                openai = _is_openai(left) and _is_openai(right)
                if openai and primary.form != shadow.form:
                    left, right = evened(left, right)
                walk.values(left, right, self._openai_rules if openai else self._rules)
        except TooMuch:
            return incomparable(_TOO_MUCH, _TOO_MUCH)
        return walk.comparison()

    @cached_property
    def _rules(self) -> Rules | None:
        return self._rules_with(())

    @cached_property
    def _v2_rules(self) -> Rules | None:
        return self._rules_with(_V2_NOISE)

    @cached_property
    def _openai_rules(self) -> Rules | None:
        return self._rules_with(_OPENAI_NOISE)

    def _rules_with(self, noise: tuple[str, ...]) -> Rules | None:
        return Rules.compile(map(split, (*self.ignore, *noise)), map(split, self.unordered))


def _is_v2(value: Any) -> bool:
    """An answer whose `outputs` is a list of tensors with distinct names."""
    if not isinstance(value, dict):
        return False
    outputs = value.get("outputs")
    if not isinstance(outputs, list) or not outputs:
        return False
    names = {output.get("name") for output in outputs if isinstance(output, dict) and _named(output)}
    return len(names) == len(outputs)


def _named(output: dict[str, Any]) -> bool:
    return isinstance(output.get("name"), str)


def _is_openai(value: Any) -> bool:
    return isinstance(value, dict) and ("choices" in value or isinstance(value.get("object"), str))


def _describe(content: Content) -> str:
    kind = _UNREAD[content.form] if content.value is ABSENT else "JSON"
    return f"{kind if content.data else 'no body'}, {len(content.data)} bytes"
