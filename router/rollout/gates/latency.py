"""Gate on a latency quantile, against the stable version or a bound."""

from typing import Literal

from pydantic import Field, model_validator

from router.spec import Duration, Share, Spec


class LatencyGate(Spec):
    """`{latency: {quantile, max_ratio, max}}`."""

    tag: Literal["latency"] = "latency"
    quantile: Share = 0.95
    max_ratio: float | None = Field(None, ge=1.0)
    max: Duration | None = None

    @model_validator(mode="after")
    def _some_bound(self) -> "LatencyGate":
        if self.max_ratio is None and self.max is None:
            raise ValueError("give max_ratio, max or both")
        return self
