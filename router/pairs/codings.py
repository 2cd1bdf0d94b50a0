"""Content codings of captured bodies, removed within bounds: a body of a kilobyte may claim to be a terabyte.

Bounds hold for what a body grows to, for the codings laid over each other, and for the members of a gzip body,
so that memory and time stay within a small factor of MAX_DECODED whatever comes.
"""

import zlib
from collections.abc import Callable

import brotli
import zstandard

MAX_DECODED = 16 << 20
"""Bytes a body may grow to when its content coding is removed."""

_MAX_CODINGS = 3
_MAX_MEMBERS = 64
_MAX_WINDOW = 1 << 27
_TOO_EARLY = "ends too early"
_STEP = 2048
"""Bytes of zstd taken at once, since nothing else bounds what comes out: a block of 128 KiB may be four bytes."""


class Undecodable(Exception):
    """A body that is not what its content-encoding says, or too large once decoded; says which coding and why."""


def decode(named: bytes, data: bytes, *, truncated: bool) -> bytes:
    """The body without its content codings; `named` is the value of content-encoding.

    Of a truncated body, what can be had. Raises Undecodable.
    """
    parts = [part.strip().lower() for part in named.decode("latin-1").split(",")]
    codings = [part for part in parts if part not in ("", "identity")]
    try:
        if len(codings) > _MAX_CODINGS:
            raise ValueError(f"more than {_MAX_CODINGS} of them")
        for coding in reversed(codings):
            decoder = _DECODERS.get(coding)
            if decoder is None:
                raise ValueError("not known here")
            data = decoder(data, truncated)
    except (ValueError, zlib.error, zstandard.ZstdError, brotli.error) as error:
        raise Undecodable(f"content-encoding {', '.join(codings)[:100]}: {error}") from error
    return data


def _gzip(data: bytes, truncated: bool) -> bytes:
    return _inflate(data, 16 + zlib.MAX_WBITS, truncated)


def _deflate(data: bytes, truncated: bool) -> bytes:
    # The name means zlib's format (RFC 9110 §8.4.1.2), yet some servers send the bare stream.
    bare = data[0] & 0x0F != 8 or int.from_bytes(data[:2], "big") % 31 if data else False
    return _inflate(data, -zlib.MAX_WBITS if bare else zlib.MAX_WBITS, truncated)


def _inflate(data: bytes, window: int, truncated: bool) -> bytes:
    parts: list[bytes] = []
    room = MAX_DECODED
    for _ in range(_MAX_MEMBERS):
        inflater = zlib.decompressobj(window)
        parts.append(_bounded(inflater.decompress(data, room + 1), room))
        room -= len(parts[-1])
        if not inflater.eof and not truncated:
            raise ValueError(_TOO_EARLY)
        data = inflater.unused_data
        if not data:
            return b"".join(parts)
    raise ValueError(f"has more than {_MAX_MEMBERS} members")


def _zstd(data: bytes, truncated: bool) -> bytes:
    parts: list[bytes] = []
    room = MAX_DECODED
    for _ in range(_MAX_MEMBERS):
        unpacker = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW).decompressobj()
        at = 0
        while at < len(data) and not unpacker.eof:
            parts.append(_bounded(unpacker.decompress(data[at : at + _STEP]), room))
            room -= len(parts[-1])
            at += _STEP
        if not unpacker.eof and not truncated:
            raise ValueError(_TOO_EARLY)
        data = unpacker.unused_data + data[at:]
        if not data:
            return b"".join(parts)
    raise ValueError(f"has more than {_MAX_MEMBERS} members")


def _brotli(data: bytes, truncated: bool) -> bytes:
    unpacker = brotli.Decompressor()
    # The limit is where the output stops growing, so a little more than that may come.
    out: bytes = unpacker.process(data, output_buffer_limit=MAX_DECODED + 1)
    _bounded(out, MAX_DECODED)
    if not unpacker.is_finished() and not truncated:
        raise ValueError(_TOO_EARLY)
    return out


def _bounded(data: bytes, room: int) -> bytes:
    if len(data) > room:
        raise ValueError(f"grows over {MAX_DECODED} bytes")
    return data


_DECODERS: dict[str, Callable[[bytes, bool], bytes]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "zstd": _zstd,
    "br": _brotli,
}
