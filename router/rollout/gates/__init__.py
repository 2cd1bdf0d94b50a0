"""The gates a step can ask for. A new one is a file here and a line below."""

from typing import Annotated

from pydantic import Discriminator

from router.rollout.gates.agreement import AgreementGate
from router.rollout.gates.error_rate import ErrorRateGate
from router.rollout.gates.latency import LatencyGate
from router.spec import OneKey

Gate = Annotated[ErrorRateGate | LatencyGate | AgreementGate, Discriminator("tag"), OneKey()]
"""One gate, written `{kind: {settings}}`."""
