"""What is remembered of an exchange on its odd ways: a wait, a retry, a withdrawal. The plain ones are in
tests/integration, with a real worker."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from router.patterns.observing import AccessLog, Observing
from router.patterns.plan import Force, Plan
from router.shares import SHARE_PARTS
from router.telemetry.accesslog import Line
from router.telemetry.spans import Span
from tests.support.wires import DataPlane, settle
from tests.support.workers import deployment

V1, V2 = "http://192.0.2.1:1", "http://192.0.2.2:1"
SAMPLED = b"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
FORCED = Plan(default="v1", candidate="v2", force=Force("x-v", {"v2": "v2"}))


class Seen:
    """A data plane where every request is observed, and what is told of it."""

    def __init__(self, path: Path, plan: Plan | None = None) -> None:
        self.plane = DataPlane()
        self.observing = Observing(AccessLog(str(path / "log"), SHARE_PARTS, True, False))
        self.plan = deployment({"v1": V1, "v2": V2}, plan)
        self.plane.publish(self.plan, observing=self.observing)
        observer = self.plane.engine._observer
        assert observer is not None
        self.lines: list[Line] = []
        self.spans: list[Span] = []
        self._stand_in(observer)
        self.client, self.wire = self.plane.client()

    def _stand_in(self, observer: Any) -> None:
        """Tells this object instead of a file and a collector."""

        class To:
            def __init__(self, add: Any) -> None:
                self.add = add

            def close(self) -> None: ...

        observer._log.close()
        observer._log, observer._spans = To(self.lines.append), To(self.spans.append)

    async def ask(self, *fields: bytes) -> None:
        lines = b"".join(each + b"\r\n" for each in fields)
        self.client.data_received(b"GET /x HTTP/1.1\r\nhost: h:81\r\n" + SAMPLED + lines + b"\r\n")
        await settle()


def sent_parents(seen: Seen) -> list[str]:
    return [wire.sent.split(b"traceparent: ")[1].split(b"-")[2].decode() for wire in seen.plane.wires]


async def test_a_retry_is_an_attempt_of_its_own(tmp_path: Path) -> None:
    seen = Seen(tmp_path)
    await seen.ask()
    seen.plane.wires[0].protocol.data_received(OK)
    await seen.ask()  # on the same connection, which is closed under it
    seen.plane.wires[0].lose()
    await settle()
    seen.plane.wires[1].protocol.data_received(OK)
    line = seen.lines[1]
    assert (line.status, line.attempts, line.bytes_out, line.error) == (200, 2, 2, "")
    lost, retried, server = seen.spans[2:]
    assert (lost.attributes["error.type"], lost.failed) == ("upstream_reset", True)
    assert (retried.attributes["http.request.resend_count"], retried.failed) == (1, False)
    assert lost.parent == retried.parent == server.span
    assert sent_parents(seen)[1] == f"{retried.span:016x}" != f"{lost.span:016x}"
    assert (server.attributes["server.address"], server.attributes["server.port"]) == ("h", 81)


async def test_no_connection_is_told_as_such(tmp_path: Path) -> None:
    seen = Seen(tmp_path)
    seen.plane.loop.refuse = OSError("refused")
    await seen.ask()
    (line,) = seen.lines
    assert (line.status, line.error, line.endpoint) == (502, "connect_failed", V1)
    assert line.first_byte_ms is None
    assert [span.attributes["error.type"] for span in seen.spans] == ["connect_failed"] * len(seen.spans)
    assert seen.spans[-1].server
    assert seen.spans[-1].failed


async def test_a_withdrawn_request_is_told_of_the_version_that_answered(tmp_path: Path) -> None:
    seen = Seen(tmp_path, FORCED)
    seen.client.data_received(b"GET /x HTTP/1.1\r\nhost: h\r\nx-v: v2\r\n" + SAMPLED + b"\r\n")
    rolled_back = deployment({"v1": V1, "v2": V2}, Plan(default="v1"))
    seen.plane.publish(rolled_back, observing=seen.observing)
    await settle()
    assert seen.plane.wires[0].sent == b"", "it waited for its connection, and is not wanted there any more"
    seen.plane.wires[1].protocol.data_received(OK)
    (line,) = seen.lines
    assert (line.version, line.why, line.endpoint, line.status) == ("v1", "default", V1, 200)
    assert seen.spans[-1].attributes["router.version"] == "v1"


async def test_a_client_that_leaves_is_in_the_log(tmp_path: Path) -> None:
    seen = Seen(tmp_path)
    await seen.ask()
    seen.wire.lose()
    (line,) = seen.lines
    assert (line.status, line.error) == (499, "client_gone")
    server = seen.spans[-1]
    assert (server.attributes["error.type"], server.failed) == ("client_gone", False)
    assert "http.response.status_code" not in server.attributes, "nobody was sent one"


async def test_a_404_is_an_error_of_the_client_span_only(tmp_path: Path) -> None:
    seen = Seen(tmp_path)
    await seen.ask()
    seen.plane.wires[0].protocol.data_received(b"HTTP/1.1 404 N\r\ncontent-length: 0\r\n\r\n")
    attempt, server = seen.spans
    assert (attempt.attributes["error.type"], attempt.failed) == ("404", True)
    assert ("error.type" in server.attributes, server.failed) == (False, False)


async def test_an_answer_that_breaks_off_is_an_error_of_both(tmp_path: Path) -> None:
    seen = Seen(tmp_path)
    await seen.ask()
    seen.plane.wires[0].protocol.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
    seen.plane.wires[0].lose()
    for span in seen.spans:
        assert span.attributes["http.response.status_code"] == 200
        assert (span.attributes["error.type"], span.failed) == ("upstream_reset", True)


@pytest.mark.parametrize(
    ("plan", "why"),
    [
        (Plan(default="v1"), "default"),
        (replace(FORCED, share=SHARE_PARTS), "default"),
        (replace(FORCED, share=1), "drawn"),
    ],
)
async def test_why_is_said_once_it_is_known(tmp_path: Path, plan: Plan, why: str) -> None:
    seen = Seen(tmp_path, plan)
    await seen.ask()
    seen.plane.wires[0].protocol.data_received(OK)
    assert seen.lines[0].why == why
    assert seen.spans[-1].attributes["router.why"] == why
