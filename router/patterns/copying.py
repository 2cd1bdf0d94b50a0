"""What copies may cost, and the noise they measure: shared by the patterns that copy."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from router.patterns.plan import Copies
from router.shares import share_parts
from router.spec import Duration, Size, Spec, parse_share

COPY_TIMEOUT = 5.0
COPY_MAX_IN_FLIGHT = 64
COPY_MAX_BODY = 1 << 20
"""The budget of copies (`plan.Copies`) where the YAML does not say."""

NOISE = 0.1
"""What `noise: true` stands for: this part of the copied requests goes to the version that answered as well. Enough
to know the floor within a few per cent after some thousand requests, for a tenth more load on that version."""


def parse_noise(value: Any) -> float:
    """A share from `true` (NOISE), `false` (none) or a share. Raises ValueError otherwise."""
    if isinstance(value, bool):
        return NOISE if value else 0.0
    try:
        return parse_share(value)
    except ValueError as error:
        raise ValueError(f"noise is true, false or a share: {error}") from None


Noise = Annotated[
    float,
    BeforeValidator(parse_noise),
    WithJsonSchema({"type": ["boolean", "string", "number"], "examples": [True, "5%"]}),
]
"""A fraction of the copied requests; written as `true`, `false` or a share."""


class CopyBudget(Spec):
    """How long a copy may take, how many are on their way at once (per worker), and how much of a body is kept."""

    timeout: Duration = Field(COPY_TIMEOUT, gt=0)
    max_in_flight: int = Field(COPY_MAX_IN_FLIGHT, ge=1, le=100_000)
    max_body: Size = COPY_MAX_BODY

    def of(self, sample: int, targets: Mapping[str, tuple[str, ...]], noise: float) -> Copies:
        """Copies of `sample` (of SHARE_PARTS) of the requests within this budget."""
        return Copies(
            sample, dict(targets), self.timeout, self.max_in_flight, self.max_body, share_parts(noise)
        )
