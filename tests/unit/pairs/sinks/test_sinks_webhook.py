"""Pairs as CloudEvents: held against the specification, and against what KServe's logger sends."""

import asyncio
import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from router.pairs.sinks.outlets import Outlets
from router.pairs.sinks.webhook import REQUEST, RESPONSE, WebhookSink, as_http, events
from tests.support.receivers import BATCHED, Webhook, half, line, receiver


def made(record: bytes) -> list[dict[str, Any]]:
    """The events as a reader of the JSON format gets them."""
    import msgspec

    found: list[dict[str, Any]] = json.loads(msgspec.json.encode(list(events(record, "models"))))
    return found


def test_a_pair_is_a_request_and_two_responses_that_share_an_id() -> None:
    request, primary, shadow = made(line("x1"))
    assert request == {
        "specversion": "1.0",
        "id": "x1",
        "time": "2026-01-02T03:04:05.000Z",
        "type": REQUEST,
        "source": "/deployments/loan",
        "inferenceservicename": "loan",
        "namespace": "models",
        "component": "predictor",
        "endpoint": "default",
        "requestid": "id-x1",
        "datacontenttype": "application/json",
        "data": {"x": 1},
    }
    assert {each["id"] for each in (request, primary, shadow)} == {"x1"}
    assert [(each["type"], each["endpoint"], each["data"]) for each in (primary, shadow)] == [
        (RESPONSE, "default", 1),
        (RESPONSE, "canary", 2),
    ]
    assert (shadow["modelversion"], shadow["status"], shadow["latencyms"]) == ("v2", 200, "2.000")
    assert (shadow["verdict"], shadow["score"]) == ("mismatch", "0.5")


HALVES = {
    "json": half("v2", {"a": 1}),
    "text": half("v2", "hällo", "text", headers={"content-type": "text/plain; charset=utf-8"}),
    "nan": half("v2", '{"a":NaN}', "text"),
    "bytes": half(
        "v2", base64.b64encode(b"\0\xff").decode(), "base64", headers={"content-type": "image/png"}
    ),
    "nothing": half("v2", None, "none"),
    "withheld": half("v2", None, "redacted"),
    "missing": half("", None, "none", status=0, error="missing", latency_ms=None, headers={}),
}


@pytest.mark.parametrize("name", HALVES)
def test_every_event_keeps_to_the_specification(name: str) -> None:
    for event in made(line("a b", shadow=HALVES[name], score=None)):
        for attribute, value in event.items():
            assert re.fullmatch(r"[a-z0-9_]{1,20}", attribute)
            assert value != ""
            if attribute not in ("data", "status"):
                assert isinstance(value, str)
        assert {"specversion", "id", "source", "type"} <= event.keys()
        assert not {"data", "data_base64"} <= event.keys()
    assert len({(each["source"], each["id"]) for each in made(line("a", shadow=HALVES[name]))}) == 3


@pytest.mark.parametrize(
    ("name", "kind", "body"),
    [
        ("json", "application/json", b'{"a": 1}'),
        ("text", "text/plain; charset=utf-8", "hällo".encode()),
        ("nan", "text/plain", b'{"a":NaN}'),
        ("bytes", "image/png", b"\0\xff"),
        ("nothing", None, b""),
        ("withheld", None, b""),
    ],
)
def test_binary_mode_gives_the_body_as_it_was(name: str, kind: str | None, body: bytes) -> None:
    *_, event = events(line("ü 1", shadow=HALVES[name]), "models")
    headers, content = as_http(event)
    assert (headers.get("content-type"), content) == (kind, body)
    assert headers["ce-type"] == RESPONSE
    assert headers["ce-inferenceservicename"] == "loan"
    assert headers["ce-id"] == "%C3%BC%201"
    assert all(value.isascii() for value in headers.values())


async def test_a_content_type_that_no_header_may_have_holds_up_nothing(tmp_path: Path) -> None:
    strange = line("a", shadow=half("v2", headers={"content-type": "application/json; x=\u00e9\x1b"}))
    async with receiver("webhook", tmp_path) as target:
        assert isinstance(target, Webhook)
        await delivered(target, tmp_path, [strange, line("b")], mode="binary")
        assert len(target.requests) == 6


def test_an_absent_request_makes_no_event() -> None:
    assert [each["type"] for each in made(line("a", request=None))] == [RESPONSE, RESPONSE]


async def delivered(target: Webhook, path: Path, records: list[bytes], **settings: Any) -> None:
    outlets = Outlets(path, 60.0)
    batch = {"age": "10ms", "records": 20}
    await outlets.configure([target.spec(batch=batch, **settings)], path, 60.0)
    for record in records:
        outlets.offer(record)
    async with asyncio.timeout(10):
        while (tally := outlets.tallies()[0]).delivered + sum(tally.dropped.values()) < len(records):
            await asyncio.sleep(0.01)
    await outlets.close(1.0)


async def test_batches_travel_as_one_request_with_the_configured_headers(tmp_path: Path) -> None:
    async with receiver("webhook", tmp_path) as target:
        assert isinstance(target, Webhook)
        headers = {"authorization": "Bearer s3cr3t"}
        await delivered(target, tmp_path, [line(str(n)) for n in range(20)], headers=headers)
        ((seen, body),) = target.requests
    assert seen["content-type"].startswith(BATCHED)
    assert seen["authorization"] == "Bearer s3cr3t"
    assert len(json.loads(body)) == 60


async def test_binary_mode_sends_each_event_as_kserve_does(tmp_path: Path) -> None:
    async with receiver("webhook", tmp_path) as target:
        assert isinstance(target, Webhook)
        await delivered(target, tmp_path, [line(str(n)) for n in range(20)], mode="binary")
        kinds = [(seen["ce-type"], seen["ce-endpoint"], body) for seen, body in target.requests]
    assert len(kinds) == 60
    assert set(kinds) == {
        (REQUEST, "default", b'{"x": 1}'),
        (RESPONSE, "default", b"1"),
        (RESPONSE, "canary", b"2"),
    }


async def test_a_record_the_receiver_cannot_read_does_not_stop_the_others(tmp_path: Path) -> None:
    async with receiver("webhook", tmp_path) as target:
        assert isinstance(target, Webhook)
        target.refuses = b'"7"'
        await delivered(target, tmp_path, [line(str(n)) for n in range(20)])
        assert await target.exchanges() == [str(n) for n in range(20) if n != 7]


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"url": "ftp://c.test"}, "names scheme and host"),
        ({"url": "https://me:pw@c.test"}, "send them as a header"),
        ({"url": "https://c.test", "headers": {"a b": "1"}}, "no header name"),
        ({"url": "https://c.test", "headers": {"a": "1\n2"}}, "no header may have"),
        ({"url": "https://c.test", "name": "../x"}, "a name is made of"),
    ],
)
def test_what_cannot_work_is_refused(settings: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        WebhookSink.model_validate(settings)
