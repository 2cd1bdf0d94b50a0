"""Gate on how often paired answers match."""

from typing import Literal

from router.spec import Share, Spec


class AgreementGate(Spec):
    """`{agreement: {min}}`."""

    tag: Literal["agreement"] = "agreement"
    min: Share
