"""Shadow: one version answers, others get copies of a sample; what they answer is only recorded."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from router.patterns.plan import Copies, Exposure, Plan
from router.spec import Duration, NotYet, Share, Size, Spec

COPY_TIMEOUT = 5.0
COPY_MAX_IN_FLIGHT = 64
COPY_MAX_BODY = 1 << 20
"""The budget of copies (`plan.Copies`) where the YAML does not say."""


class ShadowPattern(Spec):
    """`rollout: {pattern: shadow, …}`."""

    version_keys: ClassVar[tuple[str, ...]] = ("primary", "shadows")

    pattern: Literal["shadow"]
    primary: str
    shadows: tuple[str, ...] = Field(min_length=1)
    sample: Share = 1.0
    timeout: Duration = COPY_TIMEOUT
    max_in_flight: int = Field(COPY_MAX_IN_FLIGHT, ge=1, le=100_000)
    max_body: Size = COPY_MAX_BODY
    noise: Annotated[bool, NotYet] | None = None

    @property
    def trusted(self) -> str:
        """The version that answers before anything has happened."""
        return self.primary

    def plan(self, deployment: str, exposure: Exposure) -> Plan:
        """`exposure.mirror` is the part of requests that is copied now."""
        if not exposure.mirror:
            return Plan(default=self.primary)
        copies = Copies(
            exposure.mirror,
            {self.primary: self.shadows},
            self.timeout,
            self.max_in_flight,
            self.max_body,
        )
        return Plan(default=self.primary, copies=copies)
