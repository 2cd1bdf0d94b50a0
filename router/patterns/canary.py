"""Canary: a growing share of requests is answered by the candidate; copies may go to the other side."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from router.patterns.assignment import salt_of
from router.patterns.copying import CopyBudget, Noise
from router.patterns.plan import Exposure, Force, Key, Plan
from router.spec import Spec


class StickySource(Spec):
    """`sticky: {header: NAME}` or `{cookie: NAME}`: requests with one value stay on one version."""

    header: str | None = Field(None, min_length=1)
    cookie: str | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _exactly_one(self) -> "StickySource":
        if (self.header is None) == (self.cookie is None):
            raise ValueError("name exactly one of header and cookie")
        return self

    def key(self) -> Key:
        if self.header is not None:
            return Key("header", self.header.lower())
        assert self.cookie is not None
        return Key("cookie", self.cookie)


class ForceHeader(Spec):
    """`force: {header: NAME}`: a request may name its version itself."""

    header: str = Field(min_length=1)


class CanaryPattern(Spec):
    """The routing half of `rollout: {pattern: canary, …}`; its ramp is `rollout.steps.Ramp`."""

    version_keys: ClassVar[tuple[str, ...]] = ("stable", "candidate")

    pattern: Literal["canary"]
    stable: str
    candidate: str
    sticky: StickySource | Literal["client_ip"] | None = None
    force: ForceHeader | None = None
    fallback: bool = True
    copies: CopyBudget = CopyBudget()
    noise: Noise = 0.0

    @property
    def trusted(self) -> str:
        """The version that answers before anything has happened."""
        return self.stable

    def plan(self, deployment: str, exposure: Exposure) -> Plan:
        """The candidate answers `exposure.share`; `exposure.mirror` of all requests are copied to the side
        that does not answer them, and `noise` of the copied ones to the side that does as well."""
        key = None
        if self.sticky == "client_ip":
            key = Key("client_ip")
        elif self.sticky is not None:
            key = self.sticky.key()
        copies = None
        if exposure.mirror:
            targets = {self.stable: (self.candidate,), self.candidate: (self.stable,)}
            copies = self.copies.of(exposure.mirror, targets, self.noise)
        force = None
        if self.force is not None and exposure.share + exposure.mirror:
            force = Force(self.force.header.lower(), {name: name for name in (self.stable, self.candidate)})
        return Plan(
            default=self.stable,
            candidate=self.candidate,
            share=exposure.share,
            key=key,
            salt=salt_of(deployment, self.candidate),
            force=force,
            copies=copies,
            fallback=self.stable if self.fallback else "",
        )
