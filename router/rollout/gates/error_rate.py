"""Gate on the share of failed answers, against the stable version and against a bound."""

from typing import Literal

from pydantic import Field

from router.spec import Share, Spec


class ErrorRateGate(Spec):
    """`{error_rate: {max_ratio, pass_ratio, max}}`."""

    tag: Literal["error_rate"] = "error_rate"
    max_ratio: float = Field(1.0, ge=1.0)
    pass_ratio: float = Field(2.0, gt=1.0)
    max: Share | None = None
