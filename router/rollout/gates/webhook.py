"""Gate that asks a service of yours."""

from typing import Literal

import msgspec

from router.rollout.gates.asking import AskingGate, Call, Question
from router.rollout.verdict import Ruling, Verdict
from router.spec import CallHeaders, CallUrl

_CONFLICT = 409
_SHOWN = 200
"""Characters of an answer that are shown."""

_encoder = msgspec.json.Encoder()


class WebhookGate(AskingGate):
    """`{webhook: {url, headers, every, timeout, retries}}`: what is asked gets the `Question` as JSON in a POST.

    2xx passes, 409 is inconclusive, any other 4xx fails; everything else is an error. A plain body says why.
    """

    tag: Literal["webhook"] = "webhook"
    url: CallUrl
    headers: CallHeaders = {}

    def call(self, question: Question) -> Call:
        headers = {"content-type": "application/json", **self.headers}
        return Call("POST", self.url, headers, _encoder.encode(question))

    def ruling(self, status: int, body: bytes) -> Ruling:
        verdict = _verdict(status)
        said = " ".join(body[: 4 * _SHOWN].decode(errors="replace").split())[:_SHOWN]
        why = f"answered {status}" + (f": {said}" if said else "")
        return Ruling(self.tag, verdict, why, {"status": status})


def _verdict(status: int) -> Verdict:
    if 200 <= status < 300:
        return Verdict.PASS
    if status == _CONFLICT:
        return Verdict.INCONCLUSIVE
    return Verdict.FAIL if 400 <= status < 500 else Verdict.ERROR
