"""Blue-green: one colour answers, the other stands ready; traffic moves over at once or in steps."""

from typing import ClassVar, Literal

from pydantic import Field

from router.patterns.assignment import salt_of
from router.patterns.plan import Exposure, Force, Plan
from router.spec import Spec

Colour = Literal["blue", "green"]


class Preview(Spec):
    """Requests with this header value reach the colour that is not live."""

    header: str = Field(min_length=1)
    value: str = Field(min_length=1)


class BlueGreenPattern(Spec):
    """The routing half of `rollout: {pattern: blue_green, …}`; its ramp is `rollout.steps.Switch`."""

    version_keys: ClassVar[tuple[str, ...]] = ("blue", "green")

    pattern: Literal["blue_green"]
    blue: str
    green: str
    live: Colour = "blue"
    preview: Preview | None = None

    @property
    def trusted(self) -> str:
        """The version that answers before anything has happened."""
        return self.version_of(self.live)

    def other(self, trusted: str) -> str:
        """The version of the colour that is not `trusted`."""
        return self.green if trusted == self.blue else self.blue

    def version_of(self, colour: Colour) -> str:
        return self.blue if colour == "blue" else self.green

    def plan(self, deployment: str, exposure: Exposure) -> Plan:
        """The colour that is not trusted answers `exposure.share`, and previews while it is not all."""
        other = self.other(exposure.trusted)
        force = None
        if self.preview is not None:
            force = Force(self.preview.header.lower(), {self.preview.value: other})
        return Plan(
            default=exposure.trusted,
            candidate=other,
            share=exposure.share,
            salt=salt_of(deployment, other),
            force=force,
        )
