"""Content codings come off within bounds of size and time, and what is wrong is named."""

import gzip
import time
import zlib
from collections.abc import Callable
from contextlib import suppress

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from router.pairs.codings import MAX_DECODED, Undecodable, decode

ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "deflate": zlib.compress,
    "zstd": zstandard.compress,
    "br": lambda data: brotli.compress(data, quality=5),
}
BOMB = b"\0" * (4 * MAX_DECODED)


@given(st.binary(max_size=500), st.lists(st.sampled_from([*ENCODERS, "identity"]), max_size=3))
def test_what_was_encoded_comes_back(data: bytes, names: list[str]) -> None:
    packed = data
    for name in names:
        packed = ENCODERS.get(name, bytes)(packed)
    assert decode(", ".join(names).encode(), packed, truncated=False) == data


@pytest.mark.parametrize("name", ENCODERS)
def test_a_bomb_is_refused_before_it_has_grown(name: str) -> None:
    packed = ENCODERS[name](BOMB)
    began = time.process_time()
    with pytest.raises(Undecodable, match=f"content-encoding {name}: grows over"):
        decode(name.encode(), packed, truncated=False)
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize("name", ENCODERS)
def test_the_largest_body_comes_out(name: str) -> None:
    whole = BOMB[:MAX_DECODED]
    assert len(decode(name.encode(), ENCODERS[name](whole), truncated=False)) == MAX_DECODED


@pytest.mark.parametrize("name", ENCODERS)
def test_a_cut_body_is_refused_unless_it_is_known_to_be_cut(name: str) -> None:
    packed = ENCODERS[name](bytes(range(256)) * 8)[:-3]
    with pytest.raises(Undecodable, match=f"content-encoding {name}: ends too early"):
        decode(name.encode(), packed, truncated=False)
    assert (bytes(range(256)) * 8).startswith(decode(name.encode(), packed, truncated=True))


@pytest.mark.parametrize("named", ["lzma", "gzip, lzma", "compress"])
def test_an_unknown_coding_is_named(named: str) -> None:
    with pytest.raises(Undecodable, match=f"content-encoding {named}: not known here"):
        decode(named.encode(), b"whatever", truncated=False)


def test_members_and_layers_are_bounded() -> None:
    member = gzip.compress(b"a")
    assert decode(b"gzip", member * 64, truncated=False) == b"a" * 64
    with pytest.raises(Undecodable, match="more than 64 members"):
        decode(b"gzip", member * 65, truncated=False)
    frame = zstandard.compress(b"a")
    assert decode(b"zstd", frame * 64, truncated=False) == b"a" * 64
    with pytest.raises(Undecodable, match="more than 64 members"):
        decode(b"zstd", frame * 65, truncated=False)
    with pytest.raises(Undecodable, match="more than 3 of them"):
        decode(b"gzip, gzip, gzip, gzip", member, truncated=False)


def test_members_share_one_bound() -> None:
    member = gzip.compress(BOMB[: MAX_DECODED // 2])
    assert len(decode(b"gzip", member * 2, truncated=False)) == MAX_DECODED
    with pytest.raises(Undecodable, match="grows over"):
        decode(b"gzip", member * 2 + gzip.compress(b"1"), truncated=False)


@given(st.binary(max_size=200), st.sampled_from(list(ENCODERS)), st.booleans())
def test_any_bytes_decode_or_are_refused(data: bytes, name: str, truncated: bool) -> None:
    with suppress(Undecodable):
        decode(name.encode(), data, truncated=truncated)
