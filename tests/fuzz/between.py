"""Targets: what processes of the router tell each other, and what the recorder opens."""

from collections.abc import Sequence

import msgspec

from router.channel import Frame, FrameReader, Message, encode
from router.pairs.content import open_message
from router.pairs.streams import assemble
from router.pairs.tensors import BadTensors, merge
from router.pairs.values import ABSENT, dump, parse
from tests.fuzz.wire import cut

TYPES = (
    b"application/json",
    b"text/event-stream",
    b"application/octet-stream",
    b"text/plain; charset=utf-8",
    b"",
)
CODINGS = (b"", b"gzip", b"deflate", b"br", b"zstd", b"gzip, br", b"identity", b"x")


def frames(data: bytes) -> None:
    """The bytes of a link between two processes: cut as one likes, they mean the same or are refused."""
    wire, pieces = cut(data)
    whole, refused = _read_frames([wire])
    others, other_refused = _read_frames(pieces)
    assert other_refused == refused
    if not refused:  # else how many were told before depends on the cut
        assert list(map(encode, others)) == list(map(encode, whole))
    again, refused = _read_frames(list(map(encode, others)))
    assert not refused
    assert list(map(encode, again)) == list(map(encode, others)), "a frame does not survive being told"


def _read_frames(pieces: list[bytes]) -> tuple[list[Frame], bool]:
    reader = FrameReader()
    told: list[Frame] = []
    try:
        for piece in pieces:
            told += reader.feed(piece)
    except ValueError:
        return told, True
    return told, False


def content(data: bytes) -> None:
    """A captured body with any content type, coding and tensor head: it is opened, and can be logged."""
    kind, coding, length, body = data[:1], data[1:2], data[2:3], data[3:]
    headers = [
        (b"content-type", _pick(TYPES, kind)),
        (b"content-encoding", _pick(CODINGS, coding)),
    ]
    if length and length[0] & 1:
        headers.append((b"inference-header-content-length", b"%d" % (length[0] >> 1)))
    truncated = bool(kind and kind[0] & 128)
    opened = open_message(Message(tuple(headers), body, len(body), truncated))
    value, encoding = opened.logged()
    assert encoding in ("json", "text", "base64", "none", "redacted")
    msgspec.json.decode(msgspec.json.encode({"body": value}))


def _pick(choices: Sequence[bytes], by: bytes) -> bytes:
    return choices[by[0] % len(choices)] if by else choices[0]


def streams(data: bytes) -> None:
    """A body of server-sent events: put together, or nothing."""
    stream = assemble(data)
    if stream is not None:
        dump(stream.value)


def tensors(data: bytes) -> None:
    """A JSON head and raw tensors behind it: merged, or refused as a whole. The first byte is the head's length."""
    length = data[0] if data else 0
    head, _ = parse(data[1 : 1 + length])
    if head is ABSENT:
        return
    try:
        merged, _ = merge(head, data[1 + length :])
    except BadTensors:
        return
    dump(merged)
