"""A pair's line in the log, field by field."""

from typing import Any

import msgspec
import pytest

from router.channel import Capture
from router.pairs.comparators.bytes import BytesComparator
from router.pairs.comparators.json import JsonComparator
from router.pairs.joining import Joined
from router.pairs.pair import CONCEALED, MAX_POINTER, build
from router.pairs.redaction import Redactor
from router.pairs.settings import PairSettings, RedactSpec
from router.pairs.slices import Slicer
from tests.support.captures import message, primary, shadow


def with_status(half: Capture, status: int) -> Capture:
    return msgspec.structs.replace(half, answer=msgspec.structs.replace(half.answer, status=status))


def with_error(half: Capture, error: str) -> Capture:
    return msgspec.structs.replace(half, answer=msgspec.structs.replace(half.answer, error=error))


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
        "slices": {},
        "subject": None,
        "cohort": 0,
        "labels": None,
        "values": None,
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


def test_what_redaction_took_before_a_crash_cannot_be_compared_any_more() -> None:
    redactor = Redactor(RedactSpec(response=("/k",)))
    for left, right in (({"k": 1}, {"k": 2}), ({"k": 1}, {"k": 1}), ({"k": 1, "y": 1}, {"k": 1, "y": 2})):
        halves = [redactor.capture(half) for half in (primary("a", left), shadow("a", right))]
        found = build(Joined(halves[0], halves[1], "v2", ()), JsonComparator(), redactor)
        assert (found.verdict, found.score) == ("incomparable", None)
        assert [each.at for each in found.differences] == ["error"]
        assert found.differences[0].primary == CONCEALED


def test_an_error_stays_an_error_after_a_crash() -> None:
    redactor = Redactor(RedactSpec(response=("/k",)))
    halves = [redactor.capture(half) for half in (primary("a", {"k": 1}), shadow("a", b"", error="timeout"))]
    found = build(Joined(halves[0], halves[1], "v2", ()), JsonComparator(), redactor)
    assert (found.verdict, found.shadow.error) == ("incomparable", "timeout")
    assert found.differences[0].shadow == "timeout"


OUTCOMES = [
    (primary("a", {"y": 1}), shadow("a", {"y": 1}), "match"),
    (primary("a", {"y": 1}), shadow("a", {"y": 2}), "mismatch"),
    *[
        (primary("a"), shadow("a", b"", error=error), "incomparable")
        for error in ("timeout", "connect_failed", "upstream_reset", "bad_upstream_answer", "client_gone")
    ],
    (primary("a"), shadow("a", message(b"[1, 2", truncated=True)), "incomparable"),
    (primary("a", message(b"[1, 2", truncated=True)), shadow("a"), "incomparable"),
    (with_status(primary("a"), 503), shadow("a"), "mismatch"),
    (primary("a"), with_status(shadow("a"), 500), "mismatch"),
    (with_status(primary("a"), 500), with_status(shadow("a"), 500), "incomparable"),
    (with_error(primary("a"), "upstream_reset"), shadow("a"), "incomparable"),
    (primary("a"), None, "incomparable"),
    (None, shadow("a"), "incomparable"),
]


@pytest.mark.parametrize(("left", "right", "verdict"), OUTCOMES)
def test_every_outcome_is_a_pair(left: Capture | None, right: Capture | None, verdict: str) -> None:
    pair = logged(left, right)
    assert pair["verdict"] == verdict
    for half, kept in ((pair["primary"], left), (pair["shadow"], right)):
        assert half["error"] == ("missing" if kept is None else kept.answer.error or None)
        assert half["status"] == (0 if kept is None else kept.answer.status)
        assert half["truncated"] == (kept is not None and kept.answer.message.truncated)


def test_slices_are_read_from_what_is_left_of_the_request() -> None:
    settings = PairSettings.model_validate(
        {
            "hash": {"key": "k" * 16, "request": ["/card"]},
            "slices": {"card": {"json": "/card"}, "amount": {"json": "/amount"}, "auth": {"header": "x"}},
        }
    )
    slicer = Slicer(settings.slices)
    joined = Joined(primary("a"), shadow("a"), "v2", ())
    pair = build(joined, JsonComparator(), Redactor.of(settings), slicer)
    assert pair.slices["card"].startswith("hmac-sha256:")
    assert (pair.slices["amount"], pair.slices["auth"]) == ("7", "none")
    lost = build(Joined(None, shadow("a"), "v2", ()), JsonComparator(), Redactor.of(settings), slicer)
    assert set(lost.slices.values()) == {"none"}


def test_the_cohort_and_the_subject_are_those_of_the_request() -> None:
    marked = msgspec.structs.replace(primary("a"), cohort=4, subject="abc")
    pair = logged(marked, shadow("a"))
    assert (pair["cohort"], pair["subject"]) == (4, "abc")


def test_a_name_that_never_ends_does_not_go_on_in_the_differences() -> None:
    long = "n" * 100_000
    line = logged(primary("a", {"x": {long: 1}}), shadow("a", {"x": {long: 2}}))
    (found,) = line["differences"]
    assert found == {"at": "/x/" + "n" * (MAX_POINTER - 4) + "…", "primary": 1, "shadow": 2}
    hidden = logged(
        primary("a", {long: {"s": 1}}), shadow("a", {long: {"s": 2}}), RedactSpec(response=(f"/{long}/s",))
    )
    assert [each["primary"] for each in hidden["differences"]] == ["[redacted]"]


def test_nothing_is_no_pair() -> None:
    with pytest.raises(ValueError, match="at least one half"):
        logged(None, None)


CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}\n\n'
STREAM = message(CHUNK * 4 + b"data: [DONE]\n\n", ((b"content-type", b"text/event-stream"),))


def test_a_streamed_completion_tells_its_pace() -> None:
    line = logged(primary("a", STREAM), shadow("a", {"y": 2}))
    assert line["primary"]["stream"] == {
        "finish_reason": "stop",
        "tokens": 4,
        "counted": "chunks",
        "first_token_ms": 1.0,
        "tokens_per_second": 4000.0,
    }
    assert "stream" not in line["shadow"]


@pytest.mark.parametrize("pointer", ["/choices/0/finish_reason", "/choices/*"])
def test_what_is_redacted_is_not_told_as_pace(pointer: str) -> None:
    line = logged(primary("a", STREAM), shadow("a"), RedactSpec(response=(pointer,)))
    assert line["primary"]["stream"]["finish_reason"] is None
    assert "stop" not in str(line["primary"])
