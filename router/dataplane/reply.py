"""What a client is sent: upstreams' answers, passed on piece by piece with the framing of this hop.

Each client connection has one, for one answer after the other. What has gathered during one read of the upstream
leaves in one write.
"""

from router.http1.framing import LAST_CHUNK, LENGTH
from router.http1.head import RequestHead, ResponseHead, response_lines


class Reply:
    """See the module. `out` has gathered and is to be written. The others are of the answer begun last: `keep`, whether
    the connection may go on after it; `close_delimited`, whether only its end tells the client that this was all."""

    __slots__ = ("_rechunk", "close_delimited", "keep", "out")

    def __init__(self) -> None:
        self.out: list[bytes] = []
        self._rechunk = self.close_delimited = self.keep = False

    def inform(self, head: ResponseHead) -> None:
        """An informational answer, before the one that counts."""
        self.out += (response_lines(head), b"\r\n")

    def begin(self, head: ResponseHead, request: RequestHead, own: tuple[bytes, ...], keep: bool) -> None:
        """The head: framing and persistence are of this hop (RFC 9112 §6, §9.3). `own` are the router's fields and the
        end of the head; `keep` says whether the connection may go on for all that the answer does not know."""
        out = self.out
        out.append(response_lines(head))
        self._rechunk = self.close_delimited = False
        if head.framing > LENGTH:
            if request.minor:
                self._rechunk = True
                out.append(b"transfer-encoding: chunked\r\n")
            else:
                self.close_delimited = True
                keep = False
        if head.status == 101:
            keep = False
            out.append(b"connection: upgrade\r\nupgrade: websocket\r\n")
        elif not keep:
            out.append(b"connection: close\r\n")
        elif not request.minor:
            out.append(b"connection: keep-alive\r\n")
        self.keep = keep
        out += own

    def body(self, data: bytes) -> None:
        """A piece of the body."""
        if self._rechunk:
            self.out += (b"%x\r\n" % len(data), data, b"\r\n")
        else:
            self.out.append(data)

    def end(self) -> None:
        """The body is whole."""
        if self._rechunk:
            self.out.append(LAST_CHUNK)
