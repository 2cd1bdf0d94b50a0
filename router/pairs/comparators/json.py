"""Compares JSON bodies field by field."""

from typing import Literal

from pydantic import Field

from router.spec import Spec


class NumberTolerance(Spec):
    """Numbers match when they differ by at most `absolute`, or by `relative` of the larger one."""

    relative: float = Field(1e-6, ge=0)
    absolute: float = Field(1e-9, ge=0)


class JsonComparator(Spec):
    """`{json: {ignore: [pointers], numbers: {relative, absolute}}}`."""

    kind: Literal["json"] = "json"
    ignore: tuple[str, ...] = ()
    numbers: NumberTolerance = NumberTolerance()
