"""A few cases of each kind in two pieces, split at every position."""

import pytest

from tests.rfc.cases import FromClient, FromUpstream
from tests.rfc.rig import Rig, split_at
from tests.rfc.tables import TOPICS

BY_NAME = {case.name: case for cases in TOPICS.values() for case in cases}

CORPUS = (
    "absolute form",
    "an empty line before it",
    "two Hosts",
    "fold with a space",
    "what lies behind the length is the next request",
    "length, then chunked",
    "chunks: what lies behind them is the next request",
    "chunks: bare LF in an extension",
    "trailer of one field",
    "bodies and none in turn",
    "good, ambiguous, good",
    "upgrade to h2c with a body",
    "upgrade to h2c with chunks",
    "what lies behind a declined upgrade is a request",
    "the 100 comes back",
    "body in chunks with extensions",
    "chunks back: size over 64 bits",
    "body with two lengths",
    "204 with a length",
    "behind a length: a whole answer",
    "cut: in the trailers",
    "answer with a fold",
)


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("name", CORPUS)
async def test_a_case_holds_however_it_is_split(rig: Rig, name: str) -> None:
    case: FromClient | FromUpstream = BY_NAME[name]
    for at in range(1, len(case.data)):
        await rig.play(case, split_at(at))
