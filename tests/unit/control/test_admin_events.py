"""The event stream over real sockets."""

import asyncio
import json

import pytest

from router.control.admin import events
from tests.support.admin import Api


async def test_events_tell_every_change_as_it_happens(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "KEEP_ALIVE", 0.05)
    async with api.session.get(api.server.make_url("/api/v1/events")) as stream:
        assert stream.content_type == "text/event-stream"
        assert await stream.content.readuntil(b"\n\n") == b": listening\n\n"
        assert await stream.content.readuntil(b"\n\n") == b": keep-alive\n\n"
        await api.post("deployments/loan/rollback", {"reason": "bad"})
        chunk = b": keep-alive\n\n"
        while chunk.startswith(b":"):
            chunk = await stream.content.readuntil(b"\n\n")
        kind, data = chunk.decode().strip().split("\n")
        assert kind == "event: rollback"
        assert json.loads(data.removeprefix("data: "))["why"] == "bad"


async def test_a_shutdown_ends_the_event_streams_at_once(api: Api) -> None:
    async with api.session.get(api.server.make_url("/api/v1/events")) as stream:
        await stream.content.readuntil(b"\n\n")
        closing = asyncio.create_task(api.server.close())
        async with asyncio.timeout(5):
            rest = await stream.content.read()
            await closing
    assert rest.startswith(b"event: closing\n")


async def test_a_listener_that_leaves_makes_room(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(events, "MAX_LISTENERS", 1)
    monkeypatch.setattr(events, "KEEP_ALIVE", 0.01)
    for _ in range(2):
        async with asyncio.timeout(5):
            while True:
                async with api.session.get(api.server.make_url("/api/v1/events")) as stream:
                    if stream.status == 200:
                        await stream.content.readuntil(b"\n\n")
                        stream.close()
                        break
    assert "failed" not in caplog.text


async def test_there_are_only_so_many_listeners(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MAX_LISTENERS", 1)
    async with api.session.get(api.server.make_url("/api/v1/events")) as stream:
        await stream.content.readuntil(b"\n\n")
        assert (await api.call("GET", "events"))[0] == 503
