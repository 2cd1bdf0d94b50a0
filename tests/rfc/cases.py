"""What a case is: bytes of one side, and what the two sides must see of them.

A case of a client says what the upstream gets; a case of an upstream says what the client gets. The rest holds for
every case and is no part of it: nothing else reaches the upstream, the next client is served as if nothing had been.
"""

from dataclasses import dataclass
from enum import Enum

HOST = b"host: client.example\r\n"
"""The Host of requests in which it does not matter."""


@dataclass(frozen=True)
class Passed:
    """The upstream gets exactly this request, and the client its answer.

    `line` is method and target, `fields` all field lines that are not the router's own, in their order.
    """

    line: bytes
    fields: tuple[bytes, ...] = ()
    body: bytes = b""


@dataclass(frozen=True)
class Refused:
    """The router answers with this status and closes; no whole request reaches the upstream."""

    status: int = 400


@dataclass(frozen=True)
class Answered:
    """The client gets exactly this answer: `fields` are all field lines that are not the router's own."""

    status: int
    fields: tuple[bytes, ...] = ()
    body: bytes = b""
    informational: tuple[int, ...] = ()


@dataclass(frozen=True)
class CutOff:
    """The client gets the head of an answer and this much of its body, and can tell that it is not whole."""

    status: int
    body: bytes


@dataclass(frozen=True)
class FromClient:
    """`data` as one client sends it. `closes`: its connection ends with the last outcome, else it goes on.

    `behind`: bytes that follow, and need not be read; whenever they come, the last answer is not destroyed by a reset.
    """

    name: str
    rfc: str
    data: bytes
    outcomes: tuple[Passed | Refused, ...]
    closes: bool = False
    behind: bytes = b""


class Then(Enum):
    """What the upstream does after its bytes."""

    KEEP = "keeps the connection"
    CLOSE = "closes"
    RESET = "resets"


@dataclass(frozen=True)
class FromUpstream:
    """`data` as the upstream answers `request`, of whose body it awaits the end unless `early`.

    `reused`: the next client's request may come on the same upstream connection. `hasty`: under short timeouts.
    `behind`: bytes that follow at once, and are nobody's. (Those that come only when the connection carries the next
    request can't be told from its answer, by nobody.)
    """

    name: str
    rfc: str
    data: bytes
    outcome: Answered | Refused | CutOff
    then: Then = Then.KEEP
    request: bytes = b"GET /x HTTP/1.1\r\n" + HOST + b"\r\n"
    reused: bool = False
    early: bool = False
    hasty: bool = False
    behind: bytes = b""


def get(*lines: bytes, target: bytes = b"/x") -> bytes:
    """A GET with a Host and these field lines."""
    return b"GET %b HTTP/1.1\r\n%b%b\r\n" % (target, HOST, b"".join(line + b"\r\n" for line in lines))


def post(*lines: bytes, body: bytes = b"") -> bytes:
    """A POST with a Host, these field lines and nothing that frames the body but what they say."""
    return b"POST /x HTTP/1.1\r\n%b%b\r\n%b" % (HOST, b"".join(line + b"\r\n" for line in lines), body)


def chunked(body: bytes) -> bytes:
    """A POST with this chunked body as it is on the wire."""
    return post(b"transfer-encoding: chunked", body=body)


def passes(name: str, rfc: str, data: bytes, *requests: Passed | Refused, closes: bool = False) -> FromClient:
    return FromClient(name, rfc, data, requests, closes)


def refuses(name: str, rfc: str, data: bytes, status: int = 400) -> FromClient:
    return FromClient(name, rfc, data, (Refused(status),), closes=True)


def response(*lines: bytes, body: bytes = b"", start: bytes = b"HTTP/1.1 200 OK") -> bytes:
    """An answer with these field lines and this body as it is on the wire."""
    return b"%b\r\n%b\r\n%b" % (start, b"".join(line + b"\r\n" for line in lines), body)
