"""The router's own answers: well formed, and the same problem in every place a client may look."""

import json

import h11
import pytest

from router.dataplane.faults import Fault, render


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_every_fault_is_one_whole_answer(fault: Fault, method: str) -> None:
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
    client.send(h11.EndOfMessage())
    client.receive_data(render(fault, 'said "so"', b"x-request-id: r\r\n", to_head=method == "HEAD"))
    answer = client.next_event()
    assert isinstance(answer, h11.Response)
    fields = dict(answer.headers)
    assert (answer.status_code, fields[b"x-router-error"]) == (fault.status, fault.code.encode())
    assert fields[b"content-type"] == b"application/problem+json"
    assert fields[b"x-request-id"] == b"r"
    assert (b"retry-after" in fields) is (fault.status == 503)
    event = client.next_event()
    if method == "GET":
        assert isinstance(event, h11.Data)
        problem = json.loads(event.data)
        assert problem["detail"] == problem["error"] == 'said "so"'
        assert problem["status"] == fault.status
        event = client.next_event()
    assert isinstance(event, h11.EndOfMessage)
    assert client.next_event() is h11.NEED_DATA
