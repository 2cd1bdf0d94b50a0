"""Pairs as CloudEvents 1.0 over HTTP, in the words of KServe's inference logger.

Each pair becomes a request event and two response events:

    type      org.kubeflow.serving.inference.request, org.kubeflow.serving.inference.response
    id        one for all of them: that of the exchange
    source    /deployments/<name>, and /deployments/<name>/versions/<version> for responses: with the id, unique
    data      the body: JSON as JSON, text as text, the rest as data_base64
    extensions  inferenceservicename (the deployment), namespace, endpoint (default: the primary, canary: the
              shadow), component, as KServe sets them; and requestid (x-request-id), modelversion, status,
              latencyms, error, verdict and score

`batch` sends them as `application/cloudevents-batch+json`, `binary` one by one with `ce-` headers, which is what
KServe's own logger does. Sources: CloudEvents 1.0.2, HTTP protocol binding §3.1 and §3.3, JSON format §3 and §4;
KServe pkg/logger/worker.go.
"""

import asyncio
import base64
import re
import ssl
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

import msgspec
from pydantic import Field

from router.pairs.sinks.base import Courier, SinkSpec, Unacceptable, Undelivered
from router.spec import CallHeaders, CallUrl

if TYPE_CHECKING:
    import httpx

REQUEST = "org.kubeflow.serving.inference.request"
RESPONSE = "org.kubeflow.serving.inference.response"

_BATCH_TYPE = "application/cloudevents-batch+json; charset=utf-8"
_MEDIA_TYPE = re.compile(r"[ -~]*")
_CONNECTIONS = 8
_CONTENT_REFUSED = frozenset((400, 413, 415, 422))
"""Statuses that speak of what was sent. Others, such as 401 or 404, speak of the receiver: it may be mended."""

_PLAIN = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
"""Characters of an attribute that stand in a header as they are (HTTP protocol binding §3.1.3.2)."""

Event = dict[str, Any]

_encoder = msgspec.json.Encoder()


class WebhookSink(SinkSpec):
    """`webhook: {url: ...}`. `headers` go with every request; their values are secrets and never shown."""

    tag: Literal["webhook"] = "webhook"
    url: CallUrl
    headers: CallHeaders = Field({}, repr=False)
    mode: Literal["batch", "binary"] = "batch"
    namespace: str = Field("default", min_length=1)

    def courier(self) -> Courier:
        """A courier with a client of its own."""
        return _Webhook(self)

    def masked(self) -> dict[str, object]:
        """The settings without the values of headers, and without the query of the URL."""
        url, mark, _ = self.url.partition("?")
        hidden = dict.fromkeys(self.headers, "***")
        return {**super().masked(), "headers": hidden, "url": f"{url}?***" if mark else url}


class _Body(msgspec.Struct, frozen=True):
    headers: dict[str, str]
    body: msgspec.Raw
    body_encoding: str


class _Answer(_Body, frozen=True):
    version: str
    status: int
    latency_ms: float | None
    error: str | None


class _Pair(msgspec.Struct, frozen=True):
    """What the events need of a line of the pair log."""

    id: str
    time: str
    deployment: str
    request: _Body | None
    primary: _Answer
    shadow: _Answer
    verdict: str
    score: float | None
    exchange: str


_decoder = msgspec.json.Decoder(_Pair)


def events(record: bytes, namespace: str) -> Iterator[Event]:
    """The CloudEvents of one pair, in the JSON format. Raises msgspec.DecodeError when it is no pair."""
    pair = _decoder.decode(record)
    source = f"/deployments/{quote(pair.deployment)}"
    common = {
        "specversion": "1.0",
        "id": pair.exchange,
        "time": pair.time,
        "inferenceservicename": pair.deployment,
        "namespace": namespace,
        "component": "predictor",
        "requestid": pair.id,
    }
    if pair.request is not None:
        yield {**common, "type": REQUEST, "source": source, "endpoint": "default", **_data(pair.request)}
    for endpoint, answer in (("default", pair.primary), ("canary", pair.shadow)):
        yield {
            **common,
            "type": RESPONSE,
            "source": f"{source}/versions/{quote(answer.version or 'none')}",
            "endpoint": endpoint,
            **_facts(pair, answer),
            **_data(answer),
        }


def _facts(pair: _Pair, answer: _Answer) -> Event:
    """Extensions about an answer; CloudEvents knows no fractions, so those are text."""
    facts: Event = {
        "modelversion": answer.version or "none",
        "status": answer.status,
        "verdict": pair.verdict,
    }
    if answer.latency_ms is not None:
        facts["latencyms"] = f"{answer.latency_ms:.3f}"
    if answer.error:
        facts["error"] = answer.error
    if pair.score is not None:
        facts["score"] = f"{pair.score:g}"
    return facts


def _data(body: _Body) -> Event:
    """`data` and its type. JSON that strict readers refuse (NaN) stands in the log as text, and so it does here."""
    kind = body.headers.get("content-type", "")
    if not _MEDIA_TYPE.fullmatch(kind):  # no media type, and no header that a client would send
        kind = ""
    match body.body_encoding:
        case "json":
            is_json = "json" in kind.partition(";")[0].lower()
            return {"datacontenttype": kind if is_json else "application/json", "data": body.body}
        case "text":
            is_text = kind and "json" not in kind.lower()
            return {"datacontenttype": kind if is_text else "text/plain", "data": body.body}
        case "base64":
            return {"datacontenttype": kind or "application/octet-stream", "data_base64": body.body}
    return {}


def as_http(event: Event) -> tuple[dict[str, str], bytes]:
    """The event in binary mode: headers and body."""
    headers: dict[str, str] = {}
    content = b""
    for name, value in event.items():
        match name:
            case "datacontenttype":
                headers["content-type"] = value
            case "data":
                content = bytes(value)
                if "json" not in event["datacontenttype"]:
                    content = str(msgspec.json.decode(content)).encode()
            case "data_base64":
                content = base64.b64decode(msgspec.json.decode(value, type=str))
            case _:
                headers[f"ce-{name}"] = quote(str(value), safe=_PLAIN)
    return headers, content


class _Webhook:
    """Sends events to one URL."""

    def __init__(self, spec: WebhookSink) -> None:
        import httpx  # noqa: PLC0415  a recorder without this sink starts a tenth of a second sooner

        self._spec = spec
        self._trouble = (httpx.HTTPError, httpx.InvalidURL)
        self._client = httpx.AsyncClient(
            headers={"user-agent": "router", **spec.headers},
            timeout=None,  # the outlet's clock runs
            limits=httpx.Limits(max_connections=_CONNECTIONS),
            follow_redirects=False,
            trust_env=False,
            verify=ssl.create_default_context() if spec.url.startswith("https:") else False,
        )

    async def deliver(self, records: Sequence[bytes]) -> None:
        """As batch: one request. Binary: one for each event, several at a time."""
        try:
            found = [event for record in records for event in events(record, self._spec.namespace)]
        except msgspec.DecodeError as error:
            raise Unacceptable(f"a record is no pair: {error}") from error
        if self._spec.mode == "batch":
            await self._post({"content-type": _BATCH_TYPE}, _encoder.encode(found))
        else:
            sent = [self._post(*as_http(event)) for event in found]
            answers = await asyncio.gather(*sent, return_exceptions=True)
            if failed := [answer for answer in answers if answer is not None]:
                # One that may be taken later keeps the batch together; a refusal is looked for only after that.
                raise min(failed, key=lambda each: isinstance(each, Unacceptable))

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def _post(self, headers: dict[str, str], content: bytes) -> None:
        try:
            answer = await self._client.post(self._spec.url, content=content, headers=headers)
        except self._trouble as error:
            raise Undelivered(str(error) or type(error).__name__) from error
        _judge(answer)


def _judge(answer: "httpx.Response") -> None:
    if answer.is_success:
        return
    text = f"it answers {answer.status_code}"
    raise Unacceptable(text) if answer.status_code in _CONTENT_REFUSED else Undelivered(text)
