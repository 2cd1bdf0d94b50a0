"""Answers in forms a real server sends them, from the wire to the verdict in the pair log."""

import gzip
import json
import struct
from pathlib import Path
from typing import Any

import brotli

from tests.support.routers import Load, Router, deployment
from tests.support.upstreams import scripted

SHADOW = "{pattern: shadow, primary: v1, shadows: [v2]}"


def plain(body: bytes, *lines: str) -> bytes:
    head = ["HTTP/1.1 200 OK", f"content-length: {len(body)}", *lines, "", ""]
    return "\r\n".join(head).encode() + body


def chunked(*parts: bytes, kind: str) -> bytes:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    return head + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (*parts, b""))


async def first_pair(tmp_path: Path, live: bytes, copy: bytes, settings: str) -> dict[str, Any]:
    """What the log holds of one request that was answered so by the primary and so by its shadow."""
    async with (
        scripted(live) as v1,
        scripted(copy) as v2,
        Router(
            tmp_path, {"m": deployment(SHADOW, more=f"pairs: {settings}", v1=v1.url, v2=v2.url)}, workers=1
        ) as router,
    ):
        async with Load(router.port, clients=1) as clients:
            await clients.more(1)

        async def written() -> bool:
            return bool(router.pairs())

        await router.comes_true(written, "a pair")
        return router.pairs()[0]


def event(content: str, reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": reason}
    chunk = {"id": "x", "object": "chat.completion.chunk", "choices": [choice]}
    return b"data: %b\r\n\r\n" % json.dumps(chunk).encode()


async def test_a_stream_in_odd_pieces_against_a_whole_answer(tmp_path: Path) -> None:
    body = event("Ber") + event("lin", "stop") + b"data: [DONE]\r\n\r\n"
    pieces = [body[start : start + 7] for start in range(0, len(body), 7)]
    choice = {"index": 0, "message": {"role": "assistant", "content": "Berlin"}, "finish_reason": "stop"}
    whole = json.dumps({"id": "y", "object": "chat.completion", "choices": [choice]}).encode()
    live = chunked(*pieces, kind="text/event-stream; charset=utf-8")
    pair = await first_pair(tmp_path, live, plain(whole, "content-type: application/json"), "{}")
    assert (pair["verdict"], pair["differences"]) == ("match", [])
    assert pair["primary"]["body"] == body.decode()
    assert (pair["primary"]["stream"]["finish_reason"], pair["primary"]["stream"]["tokens"]) == ("stop", 2)


async def test_labels_of_binary_tensors_against_json_in_brotli(tmp_path: Path) -> None:
    tensor = {"name": "p", "datatype": "FP32", "shape": [1, 2]}
    head = json.dumps({"outputs": [{**tensor, "parameters": {"binary_data_size": 8}}]}).encode()
    live = plain(
        gzip.compress(head + struct.pack("<2f", 0.75, 0.25)),
        f"inference-header-content-length: {len(head)}",
        "content-encoding: gzip",
    )
    body = json.dumps({"outputs": [{**tensor, "data": [0.25, 0.75]}]}).encode()
    copy = plain(brotli.compress(body), "content-encoding: br")
    settings = "{compare: {label: {at: /outputs/p/data, labels: [no, yes]}}}"
    pair = await first_pair(tmp_path, live, copy, settings)
    assert (pair["verdict"], pair["labels"]) == ("mismatch", ["no", "yes"])
    assert pair["shadow"]["body"] == json.loads(body)
