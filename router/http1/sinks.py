"""Who takes what the parsers read. Floor 1."""

from typing import Protocol

from router.http1.head import RequestHead, ResponseHead


class RequestSink(Protocol):
    """Takes what a client sent."""

    def on_request_whole(self, head: RequestHead, body: bytes) -> None:
        """A request that came in one read, instead of the three that follow."""

    def on_request(self, head: RequestHead) -> None: ...
    def on_request_body(self, data: bytes) -> None: ...
    def on_request_end(self) -> None: ...
    def on_held(self, size: int) -> None:
        """So many bytes lie behind an upgrade that is not answered yet."""


class ResponseSink(Protocol):
    """Takes what an upstream answered. Informational (1xx) heads come before the one that counts; a 101 takes its
    place, and who asked for none raises Malformed."""

    def on_informational(self, head: ResponseHead) -> None: ...
    def on_switching(self, head: ResponseHead) -> None: ...

    def on_response_whole(self, head: ResponseHead, body: bytes) -> None:
        """A response that came in one read, instead of the three that follow."""

    def on_response(self, head: ResponseHead) -> None: ...
    def on_response_body(self, data: bytes) -> None: ...
    def on_response_end(self) -> None: ...
