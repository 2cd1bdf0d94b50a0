"""The gates a step can ask for. A new one is a file here and a line below."""

from typing import Annotated

from pydantic import Discriminator

from router.rollout.gates.agreement import AgreementGate
from router.rollout.gates.error_rate import ErrorRateGate
from router.rollout.gates.latency import LatencyGate
from router.rollout.gates.measuring import needs_pairs as needs_pairs
from router.rollout.gates.prometheus import PrometheusGate
from router.rollout.gates.sample_ratio import SampleRatioGate
from router.rollout.gates.score import ScoreGate
from router.rollout.gates.segments import SegmentsGate
from router.rollout.gates.webhook import WebhookGate
from router.spec import OneKey

Gate = Annotated[
    ErrorRateGate
    | LatencyGate
    | AgreementGate
    | ScoreGate
    | SampleRatioGate
    | SegmentsGate
    | WebhookGate
    | PrometheusGate,
    Discriminator("tag"),
    OneKey(),
]
"""One gate, written `{kind: {settings}}`."""
