"""A pair's line in the log, field by field."""

from typing import Any

import msgspec
import pytest

from router.channel import Capture
from router.pairs.comparators.bytes import BytesComparator
from router.pairs.comparators.json import JsonComparator
from router.pairs.joining import Joined
from router.pairs.pair import build
from router.pairs.redaction import Redactor
from router.pairs.settings import RedactSpec
from tests.support.captures import message, primary, shadow


def logged(left: Capture | None, right: Capture | None, redact: RedactSpec | None = None) -> dict[str, Any]:
    pair = build(Joined(left, right, "v2", ()), JsonComparator(), Redactor(redact or RedactSpec()))
    line = pair.line()
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    decoded: dict[str, Any] = msgspec.json.decode(line)
    return decoded


def test_all_of_it() -> None:
    assert logged(primary("a", {"y": 1}), shadow("a", {"y": 2})) == {
        "id": "id-a",
        "time": "2023-11-14T22:13:20.250000Z",
        "deployment": "loan",
        "generation": 3,
        "request": {
            "method": "POST",
            "path": "/v2/models/loan/infer",
            "headers": {"content-type": "application/json", "authorization": "[redacted]"},
            "body": {"card": "4111", "amount": 7},
            "body_encoding": "json",
            "size": 29,
            "truncated": False,
        },
        "primary": {
            "version": "v1",
            "endpoint": "http://v1.test",
            "status": 200,
            "headers": {"content-type": "application/json", "authorization": "[redacted]"},
            "body": {"y": 1},
            "body_encoding": "json",
            "size": 8,
            "truncated": False,
            "latency_ms": 2.0,
            "first_byte_ms": 1.0,
            "error": None,
        },
        "shadow": {
            "version": "v2",
            "endpoint": "http://v2.test",
            "status": 200,
            "headers": {"content-type": "application/json", "authorization": "[redacted]"},
            "body": {"y": 2},
            "body_encoding": "json",
            "size": 8,
            "truncated": False,
            "latency_ms": 2.0,
            "first_byte_ms": 1.0,
            "error": None,
        },
        "verdict": "mismatch",
        "score": 0.0,
        "differences": [{"at": "/y", "primary": 1, "shadow": 2}],
        "differences_more": 0,
        "exchange": "a",
    }


def test_a_missing_shadow_is_an_outcome() -> None:
    pair = logged(primary("a"), None)
    assert pair["verdict"] == "incomparable"
    assert pair["score"] is None
    assert (pair["shadow"]["version"], pair["shadow"]["status"], pair["shadow"]["error"]) == (
        "v2",
        0,
        "missing",
    )
    assert pair["shadow"]["latency_ms"] is None
    assert pair["differences"] == [{"at": "error", "primary": None, "shadow": "missing"}]


def test_a_missing_primary_has_no_request() -> None:
    pair = logged(None, shadow("a"))
    assert pair["request"] is None
    assert (pair["primary"]["version"], pair["primary"]["error"]) == ("", "missing")
    assert (pair["id"], pair["shadow"]["body"]) == ("id-a", 1)


def test_an_error_is_an_outcome_with_its_name() -> None:
    pair = logged(primary("a"), shadow("a", b"", error="connect_failed"))
    assert (pair["verdict"], pair["shadow"]["error"], pair["shadow"]["status"]) == (
        "incomparable",
        "connect_failed",
        0,
    )
    assert (pair["shadow"]["body"], pair["shadow"]["body_encoding"]) == (None, "none")


def test_a_cut_body_shows_its_true_size() -> None:
    kept = msgspec.structs.replace(message(b'{"a": 1', truncated=True), size=5000)
    pair = logged(primary("a"), shadow("a", kept))
    assert (pair["shadow"]["size"], pair["shadow"]["truncated"]) == (5000, True)
    assert pair["verdict"] == "incomparable"


def test_equal_header_names_are_joined_and_any_byte_is_taken() -> None:
    headers = ((b"Vary", b"a"), (b"x", b"\xff"), (b"VARY", b"b"))
    pair = logged(primary("a", message(1, headers)), shadow("a"))
    assert pair["primary"]["headers"] == {"vary": "a, b", "x": "ÿ"}


def test_a_time_that_never_came_is_null() -> None:
    half = shadow("a")
    half = msgspec.structs.replace(half, answer=msgspec.structs.replace(half.answer, first_byte_ms=-1.0))
    assert logged(primary("a"), half)["shadow"]["first_byte_ms"] is None


def test_each_side_is_redacted_by_its_own_pointers() -> None:
    redact = RedactSpec(request=("/card",), response=("/k",))
    pair = logged(primary("a", {"k": "s3cr3t", "card": 1}), shadow("a", {"k": "0ther", "card": 1}), redact)
    assert pair["request"]["body"] == {"card": "[redacted]", "amount": 7}
    assert pair["primary"]["body"] == {"k": "[redacted]", "card": 1}
    assert pair["differences"] == [{"at": "/k", "primary": "[redacted]", "shadow": "[redacted]"}]


def test_the_comparator_decides() -> None:
    joined = Joined(primary("a", b"[1]"), shadow("a", b"[1.0]"), "v2", ())
    redactor = Redactor(RedactSpec())
    assert build(joined, JsonComparator(), redactor).verdict == "match"
    assert build(joined, BytesComparator(), redactor).verdict == "mismatch"


def test_nothing_is_no_pair() -> None:
    with pytest.raises(ValueError, match="at least one half"):
        logged(None, None)
