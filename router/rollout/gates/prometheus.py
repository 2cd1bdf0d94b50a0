"""Gate that asks a Prometheus server, for those who have one."""

from math import isfinite
from typing import Any, Literal
from urllib.parse import urlencode

import msgspec
from pydantic import Field, model_validator

from router.rollout.gates.asking import AskingGate, Call, Question
from router.rollout.verdict import Ruling, Verdict
from router.spec import CallHeaders, CallUrl


class _Data(msgspec.Struct):
    resultType: str
    result: list[Any]


class _Answer(msgspec.Struct):
    status: str
    data: _Data | None = None
    error: str = ""


class PrometheusGate(AskingGate):
    """`{prometheus: {url, query, max, min, headers, every, timeout, retries}}`: an instant query to that server.

    In `query`, `$deployment`, `$candidate` and `$stable` stand for the names. Passes while every value of the result
    lies within `min` and `max`, else fails; no value, or not a number, is inconclusive; no proper answer is an error.
    """

    tag: Literal["prometheus"] = "prometheus"
    url: CallUrl
    query: str = Field(min_length=1, max_length=10_000)
    max: float | None = Field(None, allow_inf_nan=False)
    min: float | None = Field(None, allow_inf_nan=False)
    headers: CallHeaders = {}

    @model_validator(mode="after")
    def _some_condition(self) -> "PrometheusGate":
        if self.max is None and self.min is None:
            raise ValueError("give max, min or both: what the value of the query may be")
        if self.max is not None and self.min is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}: no value can pass")
        return self

    def call(self, question: Question) -> Call:
        query = self.query
        for name in ("deployment", "candidate", "stable"):
            query = query.replace(f"${name}", getattr(question, name))
        headers = {"content-type": "application/x-www-form-urlencoded", **self.headers}
        return Call(
            "POST", f"{self.url.rstrip('/')}/api/v1/query", headers, urlencode({"query": query}).encode()
        )

    def ruling(self, status: int, body: bytes) -> Ruling:
        try:
            answer = msgspec.json.decode(body, type=_Answer)
        except msgspec.DecodeError:
            return self.trouble(f"answered {status} with something that is no answer to a query")
        if status != 200 or answer.status != "success" or answer.data is None:
            return self.trouble(f"answered {status}: {answer.error[:200] or 'no success'}")
        try:
            values = _values(answer.data)
        except (TypeError, ValueError, IndexError, KeyError):
            return self.trouble(
                f"answered with a {answer.data.resultType[:40]}, where a scalar or vector is expected"
            )
        return self._judge(values)

    def _judge(self, values: list[float]) -> Ruling:
        finite = [value for value in values if isfinite(value)]
        if not finite or len(finite) < len(values):
            what = "no value" if not values else "a value that is not a number"
            return Ruling(
                self.tag, Verdict.INCONCLUSIVE, f"the query has {what} now", {"values": len(values)}
            )
        outside = [value for value in finite if not self._within(value)]
        numbers = {"value": (outside or finite)[0], "values": len(values)}
        shown = f"the query says {(outside or finite)[0]:g}"
        if len(values) > 1:
            shown += f", one of {len(values)} values"
        if outside:
            return Ruling(self.tag, Verdict.FAIL, f"{shown}, which is not {self._allowed()}", numbers)
        return Ruling(self.tag, Verdict.PASS, f"{shown}, {self._allowed()}", numbers)

    def _within(self, value: float) -> bool:
        return (self.min is None or value >= self.min) and (self.max is None or value <= self.max)

    def _allowed(self) -> str:
        low = "" if self.min is None else f"at least {self.min:g}"
        high = "" if self.max is None else f"at most {self.max:g}"
        return " and ".join(filter(None, (low, high)))


def _values(data: _Data) -> list[float]:
    """The values of an instant query. Raises ValueError for a range or a string, and what a malformed one brings."""
    if data.resultType == "scalar":
        return [float(data.result[1])]
    if data.resultType == "vector":
        return [float(sample["value"][1]) for sample in data.result]
    raise ValueError(data.resultType)
