"""Shadow: one version answers, others get copies of a sample; what they answer is only recorded."""

from typing import ClassVar, Literal

from pydantic import Field

from router.patterns.copying import CopyBudget, Noise
from router.patterns.plan import Exposure, Plan
from router.spec import Share


class ShadowPattern(CopyBudget):
    """`rollout: {pattern: shadow, …}`."""

    version_keys: ClassVar[tuple[str, ...]] = ("primary", "shadows")

    pattern: Literal["shadow"]
    primary: str
    shadows: tuple[str, ...] = Field(min_length=1)
    sample: Share = 1.0
    noise: Noise = 0.0

    @property
    def trusted(self) -> str:
        """The version that answers before anything has happened."""
        return self.primary

    def plan(self, deployment: str, exposure: Exposure) -> Plan:
        """`exposure.mirror` is the part of requests that is copied now."""
        if not exposure.mirror:
            return Plan(default=self.primary)
        return Plan(self.primary, copies=self.of(exposure.mirror, {self.primary: self.shadows}, self.noise))
