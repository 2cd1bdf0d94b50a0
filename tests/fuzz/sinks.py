"""What a parser told, as values that can be compared."""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from router.http1.framing import Malformed
from router.http1.head import RequestHead, ResponseHead
from router.http1.parser import RequestParser, ResponseParser
from router.http1.plain import KnownLines

Head = TypeVar("Head", RequestHead, ResponseHead)


class NothingKnown(KnownLines):
    """Finds nothing plain, so that llhttp reads everything."""

    def request(self, text: bytes) -> RequestHead | None:
        return None

    def response(self, text: bytes, to_head: bool) -> ResponseHead | None:
        return None


@dataclass
class Message(Generic[Head]):
    """One message as it was told. `whole`: its end was told too."""

    head: Head
    body: bytes = b""
    whole: bool = False


@dataclass
class Requests:
    """Takes requests."""

    told: list[Message[RequestHead]] = field(default_factory=list)

    def on_request(self, head: RequestHead) -> None:
        assert not self.told or self.told[-1].whole, "a request begins before the one before it ends"
        self.told.append(Message(head))

    def on_request_body(self, data: bytes) -> None:
        assert not self.told[-1].whole, "a body goes on after its end"
        self.told[-1].body += data

    def on_request_end(self) -> None:
        message = self.told[-1]
        assert not message.whole, "a request ends twice"
        if message.head.length:
            assert len(message.body) == message.head.length, "a body is not as long as its length"
        message.whole = True

    def on_request_whole(self, head: RequestHead, body: bytes) -> None:
        self.on_request(head)
        self.on_request_body(body)
        self.on_request_end()

    def on_held(self, size: int) -> None: ...


@dataclass
class Responses:
    """Takes what answers one request."""

    told: list[Message[ResponseHead]] = field(default_factory=list)

    def on_informational(self, head: ResponseHead) -> None:
        self.told.append(Message(head, whole=True))

    def on_switching(self, head: ResponseHead) -> None:
        self.on_response(head)

    def on_response(self, head: ResponseHead) -> None:
        assert not any(message.head.status >= 200 for message in self.told), "a second answer"
        self.told.append(Message(head))

    def on_response_body(self, data: bytes) -> None:
        assert not self.told[-1].whole, "a body without a head, or after its end"
        self.told[-1].body += data

    def on_response_end(self) -> None:
        message = self.told[-1]
        assert not message.whole, "an answer ends twice"
        if message.head.length:
            assert len(message.body) == message.head.length, "a body is not as long as its length"
        message.whole = True

    def on_response_whole(self, head: ResponseHead, body: bytes) -> None:
        self.on_response(head)
        self.on_response_body(body)
        self.on_response_end()


def read_requests(pieces: list[bytes], known: KnownLines) -> tuple[list[Message[RequestHead]], bool]:
    """What came of it, and whether it was refused in the end."""
    sink = Requests()
    parser = RequestParser(sink, known)
    try:
        for piece in pieces:
            parser.feed(piece)
    except Malformed:
        return sink.told, True
    return sink.told, False


def read_responses(
    pieces: list[bytes], known: KnownLines, *, to_head: bool
) -> tuple[list[Message[ResponseHead]], bool, bool]:
    """The same, and whether the connection could be used again."""
    sink = Responses()
    parser = ResponseParser(known)
    parser.expect(sink, to_head)
    try:
        for piece in pieces:
            parser.feed(piece)
            if parser.switched is not None:  # what follows is no HTTP, and goes elsewhere
                return sink.told, False, False
        reusable = parser.reusable
        parser.finish()
    except Malformed:
        return sink.told, True, False
    return sink.told, False, reusable
