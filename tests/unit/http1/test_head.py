"""What is passed on of a head and what is not, and what the Connection header says."""

import pytest

from router.http1.framing import CHUNKED, Malformed
from router.http1.head import (
    Field,
    RequestHead,
    ResponseHead,
    compose_request,
    field_of,
    is_host,
    is_lookalike,
    refuse_odd_answer,
    refuse_repeated,
    response_lines,
)


def fields_of(*pairs: tuple[bytes, bytes]) -> tuple[list[Field], dict[bytes, bytes]]:
    fields = [field_of(name.lower(), name, value) for name, value in pairs]
    return fields, {field[0]: field[2] for field in fields}


def request(*pairs: tuple[bytes, bytes], method: bytes = b"GET", minor: bool = True) -> RequestHead:
    head = RequestHead(method, b"/t?q", minor, *fields_of(*pairs))
    head.read_connection()
    return head


def composed(head: RequestHead) -> bytes:
    return b"".join(compose_request(head, b"/base", b" HTTP/1.1\r\nhost: up\r\n"))


def test_fields_travel_in_order_and_as_they_were_sent() -> None:
    head = request(
        (b"Host", b"a"), (b"X-A", b"1"), (b"x-b", b"2"), (b"X-A", b"3"), (b"X-Forwarded-For", b"9")
    )
    assert composed(head) == b"GET /base/t?q HTTP/1.1\r\nhost: up\r\nX-A: 1\r\nx-b: 2\r\nX-A: 3\r\n"


def test_what_is_per_hop_or_nominated_stays_behind() -> None:
    head = request(
        (b"Connection", b"X-Mine, keep-alive"), (b"X-Mine", b"1"), (b"TE", b"trailers"), (b"Keep-Alive", b"5"),
        (b"Transfer-Encoding", b"chunked"), (b"Upgrade", b"h2c"), (b"X-Router-Shadow", b"v"), (b"Y", b"1"),
    )  # fmt: skip
    assert composed(head) == b"GET /base/t?q HTTP/1.1\r\nhost: up\r\nY: 1\r\n"


def test_a_copy_does_not_wait_for_100_continue() -> None:
    head = request((b"Expect", b"100-continue"), (b"Y", b"1"))
    assert b"expect" in composed(head).lower()
    assert b"expect" not in b"".join(compose_request(head.without_expectation(), b"", b"")).lower()


@pytest.mark.parametrize("target", [b"*", b"http://other", b"http://other:80"])
def test_options_about_the_server_has_no_base_path(target: bytes) -> None:
    head = RequestHead(b"OPTIONS", target, True, *fields_of((b"Host", b"h")))
    head.read_start()
    assert composed(head) == b"OPTIONS * HTTP/1.1\r\nhost: up\r\n"
    assert composed(head.without_expectation()) == composed(head)


def test_framing_and_upgrade_are_written_anew() -> None:
    head = request((b"Connection", b"Upgrade"), (b"Upgrade", b"WebSocket"))
    assert head.upgrade
    assert composed(head).endswith(b"connection: upgrade\r\nupgrade: websocket\r\n")
    chunked = request()
    chunked.framing = CHUNKED
    assert composed(chunked).endswith(b"transfer-encoding: chunked\r\n")


@pytest.mark.parametrize(
    ("pairs", "minor", "keep"),
    [
        ((), True, True),
        ((), False, False),
        (((b"Connection", b"close"),), True, False),
        (((b"Connection", b"Keep-Alive"),), False, True),
        (((b"Connection", b"keep-alive"), (b"Connection", b"close")), True, False),
        (((b"Connection", b"keep-alive, close"),), False, False),
    ],
)
def test_persistence(pairs: tuple[tuple[bytes, bytes], ...], minor: bool, keep: bool) -> None:
    assert request(*pairs, minor=minor).keep_alive is keep
    response = ResponseHead(200, b"OK", minor, *fields_of(*pairs))
    response.read_connection()
    assert response.keep_alive is keep


@pytest.mark.parametrize(
    ("method", "minor", "protocol", "connection"),
    [
        (b"POST", True, b"websocket", b"upgrade"),
        (b"GET", False, b"websocket", b"upgrade"),
        (b"GET", True, b"h2c", b"upgrade"),
        (b"GET", True, b"websocket", b"keep-alive"),
    ],
)
def test_only_a_websocket_is_an_upgrade(
    method: bytes, minor: bool, protocol: bytes, connection: bytes
) -> None:
    head = request((b"Connection", connection), (b"Upgrade", protocol), method=method, minor=minor)
    assert not head.upgrade


@pytest.mark.parametrize(
    "name", [b"Host", b"content-length", b"Authorization", b"x-forwarded-for", b"cookie"]
)
def test_fields_that_belong_to_the_whole_way_are_not_nominated(name: bytes) -> None:
    with pytest.raises(Malformed):
        request((b"Connection", b"close, " + name), (name, b"1"))


def test_a_response_passes_on_what_travels_end_to_end() -> None:
    pairs = (
        (b"Server", b"m"),
        (b"Connection", b"close"),
        (b"X-Router-Version", b"forged"),
        (b"X-Request-Id", b"f"),
    )
    head = ResponseHead(418, b"I'm a teapot", True, *fields_of(*pairs))
    assert response_lines(head) == b"HTTP/1.1 418 I'm a teapot\r\nServer: m\r\n"


@pytest.mark.parametrize(
    ("target", "host", "path"),
    [
        (b"http://real.example/p?q", b"real.example", b"/p?q"),
        (b"HTTPS://real.example:8443", b"real.example:8443", b"/"),
        (b"http://real.example?q", b"real.example", b"/?q"),
    ],
)
def test_an_absolute_target_names_the_host(target: bytes, host: bytes, path: bytes) -> None:
    head = RequestHead(b"GET", target, True, *fields_of((b"Host", b"other")))
    head.read_odd_target()
    assert (head.host, head.target) == (host, path)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        (b"CONNECT", b"a:1"),
        (b"GET", b"*"),
        (b"GET", b"ftp://a/"),
        (b"GET", b"http:///x"),
        (b"GET", b"http://u@a/x"),
        (b"GET", b"x"),
    ],
)
def test_other_targets_are_refused(method: bytes, target: bytes) -> None:
    with pytest.raises(Malformed):
        RequestHead(method, target, True, *fields_of()).read_odd_target()


def test_a_field_that_counts_comes_once() -> None:
    fields, _ = fields_of((b"Host", b"a"), (b"X", b"1"), (b"X", b"2"))
    refuse_repeated(fields, (b"host", b"content-length"))
    with pytest.raises(Malformed, match="more than one x field"):
        refuse_repeated(fields, (b"x",))


def test_what_an_upstream_names_for_its_hop_stays_behind_but_never_what_says_how_to_read_it() -> None:
    fields, index = fields_of(
        (b"Connection", b"X-Hop, Content-Length"), (b"x-hop", b"1"), (b"content-length", b"2"), (b"x", b"3")
    )
    head = ResponseHead(200, b"OK", True, fields, index)
    head.read_connection()
    assert response_lines(head) == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx: 3\r\n"


@pytest.mark.parametrize(
    "value", [b"a.example", b"my_service:80", b"[2001:db8::1]:8080", b"192.0.2.1", b"a:"]
)
def test_hosts(value: bytes) -> None:
    assert is_host(value)


@pytest.mark.parametrize(
    "value", [b"", b"a b", b"a, b", b"u@a", b"a/b", b"a:b", b"2001:db8::1", b"[::1", b"a\x00", b"\xe9"]
)
def test_what_is_no_host(value: bytes) -> None:
    assert not is_host(value)


def test_lookalikes_of_fields_that_count() -> None:
    assert is_lookalike(b"content_length")
    assert is_lookalike(b"x-forwarded_for")
    assert not is_lookalike(b"content-length")
    assert not is_lookalike(b"x_tenant")


@pytest.mark.parametrize(
    ("method", "target", "pairs"),
    [
        (b"CONNECT", b"/x", ((b"Host", b"a"),)),
        (b"ANNOUNCE", b"/x", ((b"Host", b"a"),)),
        (b"GET", b"/x", ()),
        (b"GET", b"/x", ((b"Host", b"a b"),)),
        (b"GET", b"http://a/x", ()),
        (b"GET", b"/x#y", ((b"Host", b"a"),)),
        (b"GET", b"/x", ((b"Host", b"a"), (b"Content_Length", b"1"))),
    ],
)
def test_starts_that_are_refused(
    method: bytes, target: bytes, pairs: tuple[tuple[bytes, bytes], ...]
) -> None:
    with pytest.raises(Malformed):
        RequestHead(method, target, True, *fields_of(*pairs)).read_start()


def test_an_old_client_names_no_host() -> None:
    RequestHead(b"GET", b"/x", False, *fields_of()).read_start()


@pytest.mark.parametrize(
    ("status", "reason", "version", "pairs"),
    [
        (99, b"X", "1.1", ()),
        (600, b"X", "1.1", ()),
        (200, b"O\x00K", "1.1", ()),
        (200, b"OK", "2.0", ()),
        (200, b"OK", "1.0", ((b"Transfer-Encoding", b"chunked"),)),
        (104, b"X", "1.1", ((b"Content-Length", b"5"),)),
        (103, b"X", "1.1", ((b"Transfer-Encoding", b"chunked"),)),
    ],
)
def test_answers_that_are_refused(
    status: int, reason: bytes, version: str, pairs: tuple[tuple[bytes, bytes], ...]
) -> None:
    with pytest.raises(Malformed):
        refuse_odd_answer(ResponseHead(status, reason, version == "1.1", *fields_of(*pairs)), version)


def test_usual_answers_are_not_refused() -> None:
    refuse_odd_answer(ResponseHead(200, b"", False, *fields_of((b"Content-Length", b"5"))), "1.0")
    refuse_odd_answer(ResponseHead(103, b"Early Hints", True, *fields_of((b"Content-Length", b"0"))), "1.1")


@pytest.mark.parametrize(("status", "kept"), [(200, True), (304, True), (204, False), (103, False)])
def test_a_length_of_no_body_is_not_passed_on(status: int, kept: bool) -> None:
    head = ResponseHead(status, b"X", True, *fields_of((b"Content-Length", b"5")))
    assert (b"Content-Length" in response_lines(head)) is kept
