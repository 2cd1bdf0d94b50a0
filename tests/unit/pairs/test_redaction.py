"""No secret survives redaction, in whatever form it comes."""

import gzip
import hmac
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from router.channel import CapturedRequest, Message
from router.pairs.comparators.base import Comparison
from router.pairs.comparators.json import JsonComparator
from router.pairs.content import open_message
from router.pairs.joining import Joined
from router.pairs.pair import Pair, build
from router.pairs.redaction import Redactor, digest
from router.pairs.settings import PairSettings, RedactSpec
from router.pairs.slices import Slicer
from router.pairs.tallies import Tallies
from tests.support.captures import HEADERS, message, primary, shadow


def logged(kept: Message, *pointers: str) -> tuple[Any, str]:
    body, encoding = Redactor(RedactSpec(request=pointers)).request_content(kept).logged()
    return msgspec.json.decode(msgspec.json.encode(body)), encoding


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [
        ("/a/b", {"a": {"b": "[redacted]", "c": [1, 2]}, "d": None}),
        ("/a/c/1", {"a": {"b": 1, "c": [1, "[redacted]"]}, "d": None}),
        ("/a/c/*", {"a": {"b": 1, "c": ["[redacted]", "[redacted]"]}, "d": None}),
        ("/*/b", {"a": {"b": "[redacted]", "c": [1, 2]}, "d": None}),
        ("/a", {"a": "[redacted]", "d": None}),
        ("/d", {"a": {"b": 1, "c": [1, 2]}, "d": "[redacted]"}),
        ("/a/c/2", {"a": {"b": 1, "c": [1, 2]}, "d": None}),
        ("/a/c/x", {"a": {"b": 1, "c": [1, 2]}, "d": None}),
        ("/a/b/deeper", {"a": {"b": 1, "c": [1, 2]}, "d": None}),
    ],
)
def test_pointers(pointer: str, expected: Any) -> None:
    assert logged(message({"a": {"b": 1, "c": [1, 2]}, "d": None}), pointer) == (expected, "json")


def test_pointers_may_overlap() -> None:
    assert logged(message({"a": {"b": 1}}), "/a/b", "/a", "/a/*", "/*") == ({"a": "[redacted]"}, "json")


@pytest.mark.parametrize(
    "kept",
    [
        message(b'{"a": "s3cr3t"', HEADERS),
        message(b'{"a": "s3cr3t"}', HEADERS, truncated=True),
        message(b"a=s3cr3t"),
        message(b'{"a": "s3cr3t"}{}'),
        message(b'data: {"a": "s3cr3t"}\n\n'),
        message(b"\xffs3cr3t"),
        Message(HEADERS, b"", 20, True),
    ],
)
def test_a_body_that_is_no_json_is_withheld_whole(kept: Message) -> None:
    assert logged(kept, "/a") == (None, "redacted")


def test_without_pointers_it_is_not() -> None:
    assert logged(message(b"plain")) == ("plain", "text")


def test_an_absent_body_is_not_called_redacted() -> None:
    assert logged(message(b""), "/a") == (None, "none")


def test_secrets_hidden_behind_an_equal_name_or_a_coding_or_nan_are_found() -> None:
    assert logged(message(b'{"a": {"b": "s3cr3t"}, "a": {}}'), "/a/b") == ({"a": {}}, "json")
    packed = message(gzip.compress(b'{"a": "s3cr3t"}'), ((b"Content-Encoding", b"gzip"),))
    assert logged(packed, "/a") == ({"a": "[redacted]"}, "json")
    assert logged(message(b'{"a": "s3cr3t", "b": NaN}'), "/a") == ('{"a":"[redacted]","b":NaN}', "text")


def test_header_names_do_not_mind_case_and_order_stays() -> None:
    redactor = Redactor(RedactSpec(headers=("X-Api-Key",)))
    headers = ((b"a", b"1"), (b"x-API-key", b"s3cr3t"), (b"b", b"2"), (b"X-Api-Key", b"other"))
    assert redactor.headers(headers) == (
        (b"a", b"1"),
        (b"x-API-key", b"[redacted]"),
        (b"b", b"2"),
        (b"X-Api-Key", b"[redacted]"),
    )


def test_hashing_one_header_leaves_the_others_as_they_are() -> None:
    redactor = Redactor.of(
        PairSettings.model_validate({"hash": {"key": "0123456789abcdef", "headers": ["X-User"]}})
    )
    plain = ((b"Accept", b"*/*"), (b"x-region", b"eu"))
    assert redactor.headers(plain) is plain
    seen = redactor.headers((*plain, (b"X-USER", b"alice"), (b"Cookie", b"c=1")))
    assert seen == (
        *plain,
        (b"X-USER", digest(b"0123456789abcdef", "alice").encode()),
        (b"Cookie", b"[redacted]"),
    )


@pytest.mark.parametrize("spec", [RedactSpec(), RedactSpec(headers=("x-more",)), RedactSpec(headers=())])
def test_credentials_are_redacted_whatever_else_is(spec: RedactSpec) -> None:
    names = (b"Authorization", b"Cookie", b"Set-Cookie", b"Proxy-Authorization", b"X-Api-Key", b"api-key")
    redacted = Redactor(spec).headers(tuple((name, b"s3cr3t") for name in names))
    assert {value for _, value in redacted} == {b"[redacted]"}


SIDES = RedactSpec(request=("/card",), response=("/secret",))


def test_a_capture_for_the_spool_holds_no_secret() -> None:
    safe = Redactor(SIDES).capture(primary("a", {"secret": "s3cr3t", "label": 1}))
    text = msgspec.msgpack.encode(safe)
    for secret in (b"hunter2", b"4111", b"s3cr3t"):
        assert secret not in text
    assert open_message(safe.answer.message).value == {"secret": "[redacted]", "label": 1}


def test_a_capture_without_secrets_is_passed_on_as_it_is() -> None:
    half = shadow("a", message(b"1", ()))
    assert Redactor(RedactSpec()).capture(half) is half


def test_a_body_withheld_in_the_spool_stays_withheld_when_it_is_taken_up() -> None:
    redactor = Redactor(SIDES)
    safe = redactor.capture(shadow("a", b"s3cr3t"))
    assert (safe.answer.message.body, safe.answer.message.size) == (b"", 6)
    assert redactor.response_content(safe.answer.message).logged() == (None, "redacted")


def test_a_packed_body_survives_the_way_through_the_spool() -> None:
    redactor = Redactor(SIDES)
    packed = message(gzip.compress(b'{"secret": 1, "b": 2}'), ((b"content-encoding", b"gzip"),))
    safe = redactor.capture(shadow("a", packed))
    body, encoding = redactor.response_content(safe.answer.message).logged()
    assert (msgspec.json.decode(body), encoding) == ({"secret": "[redacted]", "b": 2}, "json")


JSON = st.recursive(
    st.just("s3cr3t") | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("ab"), inner),
)


@given(JSON)
def test_what_a_star_covers_is_gone(value: Any) -> None:
    body, _ = logged(message({"x": [value], "y": value}), "/x/*", "/y")
    assert body == {"x": ["[redacted]"], "y": "[redacted]"}


# Hashed, kept, and the places where a secret may show

KEY = "0123456789abcdef"


def redactor(**settings: Any) -> Redactor:
    if "hash" in settings:
        settings["hash"] = settings["hash"] | {"key": KEY}
    return Redactor.of(PairSettings.model_validate(settings))


def test_the_digest_is_an_hmac_of_canonical_json() -> None:
    expected = hmac.new(b"k", b'{"a":[1,"\\u00fc"],"b":null}', "sha256").hexdigest()
    assert digest(b"k", {"b": None, "a": [1, "ü"]}) == f"hmac-sha256:{expected}"
    assert digest(b"k", "1") != digest(b"k", 1)
    assert digest(b"k", digest(b"k", "x")) == digest(b"k", "x"), "what comes from the spool is hashed already"
    assert digest(b"k", "hmac-sha256:x") != "hmac-sha256:x"


def test_equal_values_stay_joinable_wherever_they_stand() -> None:
    hashed = redactor(hash={"request": ["/id", "/who"], "headers": ["X-User"], "query": ["user"]})
    body = hashed.request_content(message({"id": "alice", "who": "bob"})).value
    expected = digest(KEY.encode(), "alice")
    assert (body["id"].shown, body["who"].shown) == (expected, digest(KEY.encode(), "bob"))
    assert hashed.headers(((b"x-user", b"alice"),)) == ((b"x-user", expected.encode()),)
    assert hashed.headers(((b"x-user", "ü".encode()),))[0][1] == digest(KEY.encode(), "ü").encode()
    assert hashed.target(b"/a?user=al%69ce&b=1&user") == (
        f"/a?user={expected}&b=1&user={digest(KEY.encode(), '')}".encode()
    )


def test_hashing_wins_over_the_headers_that_are_always_dropped() -> None:
    seen = redactor(hash={"headers": ["cookie"]}).headers(((b"cookie", b"x"), (b"authorization", b"y")))
    assert seen == ((b"cookie", digest(KEY.encode(), "x").encode()), (b"authorization", b"[redacted]"))


@pytest.mark.parametrize(
    ("settings", "target", "seen"),
    [
        ({"redact": {"query": ["key"]}}, b"/a?key=s3cr3t&b=1", b"/a?key=[redacted]&b=1"),
        ({"redact": {"query": ["key"]}}, b"/a?k%65y=s3cr3t", b"/a?k%65y=[redacted]"),
        ({"redact": {"query": ["a b"]}}, b"/a?a+b=s3cr3t", b"/a?a+b=[redacted]"),
        ({"redact": {"query": ["key"]}}, b"/key?other=1", b"/key?other=1"),
        ({"redact": {"query": ["key"]}}, b"/a?\xff", b"/a?\xff"),
        ({"keep_only": {"query": ["b"]}}, b"/a?key=s3cr3t&b=1", b"/a?b=1"),
        ({"keep_only": {"query": []}}, b"/a?key=s3cr3t", b"/a"),
        ({}, b"/a?key=s3cr3t", b"/a?key=s3cr3t"),
    ],
)
def test_query_parameters(settings: dict[str, Any], target: bytes, seen: bytes) -> None:
    assert redactor(**settings).target(target) == seen


@pytest.mark.parametrize(
    ("kept", "body", "expected"),
    [
        (["/a"], {"a": 1, "b": 2}, {"a": 1}),
        (["/a/b"], {"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1}}),
        (["/a/*/x"], {"a": [{"x": 1, "y": 2}, {"y": 3}], "z": 1}, {"a": [{"x": 1}, {}]}),
        (["/a/1"], {"a": [1, 2, 3]}, {"a": [None, 2, None]}),
        (["/a", "/a/b"], {"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 2}}),
        (["/a/b"], {"a": "s3cr3t"}, {}),
        (["/a/x"], {"a": [1, {"x": 1}]}, {"a": [None, None]}),
        (["/a/*/x", "/a/1"], {"a": [{"x": 1, "y": 2}, {"y": 3}, 4]}, {"a": [{"x": 1}, {"y": 3}, None]}),
        (
            ["/*/x", "/b/y"],
            {"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 4, "z": 5}},
            {"a": {"x": 1}, "b": {"x": 3, "y": 4}},
        ),
        ([], {"a": 1}, {}),
    ],
)
def test_only_what_is_kept_is_left(kept: list[str], body: Any, expected: Any) -> None:
    both = redactor(keep_only={"request": kept, "response": kept})
    assert msgspec.json.decode(both.request_content(message(body)).logged()[0]) == expected
    assert msgspec.json.decode(both.logged(both.response_content(message(body)))[0]) == expected


def test_hundreds_of_thousands_of_members_cost_hardly_more_than_looking_at_each() -> None:
    """Packed, such a body has some hundred bytes: a hostile answer must not hold up the recorder."""
    both = redactor(keep_only={"response": ["/*/a"]})
    found = both.response_content(message(b"[" + b"0," * 300_000 + b"1]"))

    def looking() -> float:
        began = time.process_time()
        for member in found.value:
            if isinstance(member, dict | list):
                raise AssertionError
        return time.process_time() - began

    least = max(min(looking() for _ in range(5)), 0.005)
    began = time.process_time()
    both.logged(found)
    assert time.process_time() - began < 6 * least + 0.05


@pytest.mark.parametrize("body", ["s3cr3t", 7, b"s3cr3t"])
def test_a_body_in_which_nothing_can_be_kept_is_withheld(body: Any) -> None:
    both = redactor(keep_only={"response": ["/a"]})
    assert both.logged(both.response_content(message(body))) == (None, "redacted")


def compared(settings: dict[str, Any], left: Any, right: Any, comparator: Any = None) -> Pair:
    halves = Joined(primary("a", left), shadow("a", right), "v2", ())
    return build(halves, comparator or JsonComparator(), redactor(**settings))


def test_what_is_not_kept_is_compared_and_its_name_not_told() -> None:
    found = compared(
        {"keep_only": {"response": ["/y", "/list/*/x"]}},
        {"y": 1, "s3cr3t": 1, "list": [{"x": 1, "s3cr3t": 1}], "same": {"id": 1}},
        {"y": 2, "s3cr3t": 2, "list": [{"x": 2, "s3cr3t": 3}], "same": {"id": 1}},
    )
    seen = {each.at: (each.primary, each.shadow) for each in found.differences}
    hidden = ("[redacted]", "[redacted]")
    assert seen == {
        "/y": (1, 2), "/[redacted]": hidden, "/list/0/x": (1, 2), "/list/0/[redacted]": hidden,
    }  # fmt: skip


def test_a_position_that_is_kept_says_nothing_of_the_other_answer() -> None:
    """Outputs meet by name: the shadow's stands at another position, where nothing may be kept."""
    left = {"outputs": [{"name": "a", "data": [1]}, {"name": "b", "data": [2]}]}
    right = {"outputs": [{"name": "b", "data": ["s3cr3t"]}, {"name": "a", "data": ["s3cr3t"]}]}
    found = compared({"keep_only": {"response": ["/outputs/0/data"]}}, left, right)
    assert b"s3cr3t" not in msgspec.json.encode(found.differences)
    starred = compared({"keep_only": {"response": ["/outputs/*/data"]}}, left, right)
    assert b"s3cr3t" in msgspec.json.encode(starred.differences)


def test_labels_and_values_of_a_hidden_place_are_not_told() -> None:
    comparison = Comparison("mismatch", 0.0, labels=("a", "b"), values=(1.0, 2.0))
    for settings in ({"redact": {"response": ["/y/0"]}}, {"keep_only": {"response": ["/x"]}}):
        seen = redactor(**settings).comparison(comparison, "/y")
        assert (seen.labels, seen.values) == (None, None)
    assert redactor(redact={"response": ["/x"]}).comparison(comparison, "/y") == comparison
    assert redactor().comparison(comparison, None) == comparison


def test_the_id_is_a_header_of_the_client() -> None:
    half = primary("a")
    assert redactor().id(half) == "id-a"
    assert redactor(redact={"headers": ["X-Request-Id"]}).id(half) == "a"
    assert redactor(keep_only={"headers": ["content-type"]}).id(half) == "a"
    assert redactor(hash={"headers": ["x-request-id"]}).id(half) == digest(KEY.encode(), "id-a")


SECRET = "pl4nted"
PLACES = ("header", "answer header", "query", "request", "response", "request name", "response name", "id")


@st.composite
def planted(draw: st.DrawFn) -> tuple[dict[str, Any], Joined, str]:
    """A pair with the secret in one place, settings that name the place in one of the three ways, and which."""
    place = draw(st.sampled_from(PLACES))
    named = place in ("request name", "response name")
    way = "keep_only" if named else draw(st.sampled_from(("redact", "hash", "keep_only")))
    deep = draw(st.sampled_from(("/s", "/list/*/s", "/list/0/s")))
    value = draw(st.sampled_from((SECRET, [SECRET], {"x": {"y": SECRET}}, f"is {SECRET}!")))
    other = draw(st.sampled_from((value, 1, f"{SECRET}2")))
    kind = {"header": "headers", "answer header": "headers", "id": "headers"}.get(place, place.split()[0])
    name = {"headers": "x-request-id" if place == "id" else "x-secret", "query": "s"}.get(kind, deep)
    settings: dict[str, Any] = {way: {kind: [] if way == "keep_only" else [name]}}
    if way == "keep_only" and kind in ("request", "response"):
        settings = {way: {kind: ["/kept"]}}
    if way == "hash":
        settings["hash"]["key"] = KEY
    settings["slices"] = {} if kind == "headers" else {"r": {"header": "x-region"}}

    def body(here: Any) -> Any:
        inside = {SECRET: 1} if named else {"s": here}
        return {"kept": 1} | (inside if deep == "/s" else {"list": [inside]})

    def fields(*places: str) -> tuple[tuple[bytes, bytes], ...]:
        return ((b"X-Secret", SECRET.encode()),) if place in places else ()

    asked = message(body(value) if kind == "request" else {"a": 1}, fields("header"))
    answers = [
        message(body(each) if kind == "response" else {"a": 1}, fields("answer header"))
        for each in (value, other)
    ]
    target = f"/m?a=1&s={SECRET}" if place == "query" else "/m"
    left, right = primary("a", answers[0]), shadow("a", answers[1])
    left = replace(left, request=CapturedRequest(b"POST", target.encode(), asked))
    halves = [replace(half, id=SECRET) if place == "id" else half for half in (left, right)]
    return settings, Joined(halves[0], halves[1], "v2", ()), place


@given(planted())
def test_a_planted_secret_shows_nowhere(case: tuple[dict[str, Any], Joined, str]) -> None:
    settings, joined, place = case
    parsed = PairSettings.model_validate(settings)
    hides, slicer, tallies = Redactor.of(parsed), Slicer(parsed.slices), Tallies()
    halves = [joined.primary, joined.shadow]
    spooled = [hides.capture(half) for half in halves if half is not None]
    found = []
    for pair in (
        build(joined, JsonComparator(), hides, slicer),
        build(Joined(spooled[0], spooled[1], "v2", ()), JsonComparator(), hides, slicer),
    ):
        tallies.pair(pair)
        found.append(pair.line())
    told = msgspec.json.encode([msgspec.msgpack.encode(half).hex() for half in spooled])
    assert SECRET.encode().hex() not in told.decode(), place
    assert SECRET.encode() not in b"".join(found), place
    assert SECRET.encode() not in msgspec.json.encode(tallies.frame()), place
    if place != "id":
        assert SECRET.encode() in msgspec.json.encode(
            [msgspec.json.decode(build(joined, JsonComparator(), Redactor(RedactSpec())).line())]
        ), "it was there"


def chat(text: str) -> dict[str, Any]:
    said = {"index": 0, "message": {"role": "assistant", "content": text}}
    return {"object": "chat.completion", "choices": [said], "z": 1}


def streamed(text: str) -> Message:
    chunks = [
        {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": word}}]}
        for word in text.split()
    ]
    lines = [b"data: " + msgspec.json.encode(chunk) + b"\n\n" for chunk in chunks]
    return message(b"".join(lines) + b"data: [DONE]\n\n", ((b"content-type", b"text/event-stream"),))


@pytest.mark.parametrize(
    "rule",
    [
        {"redact": {"response": ["/y", "/choices/*/message/content"]}},
        {"redact": {"response": ["/y", "/choices"]}},
        {"hash": {"response": ["/y", "/choices/*/message/content"]}},
        {"keep_only": {"response": ["/z", "/object"]}},
    ],
    ids=["redact", "parent", "hash", "keep_only"],
)
@pytest.mark.parametrize(
    "compare",
    [
        {"json": {}},
        {"bytes": {}},
        {"text": {}},
        {"text": {"at": "/choices/0/message/content"}},
        {"label": {"at": "/y", "kind": "value"}},
        {"score": {"at": "/y"}},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("left", "right"),
    [
        ({"y": SECRET, "z": 1}, {"y": f"{SECRET}2", "z": 1}),
        ({"y": 1234567.5, "z": 1}, {"y": 1234568.5, "z": 1}),
        (chat(f"hi {SECRET} there"), chat(f"ho {SECRET}2 there")),
        (streamed(f"hi {SECRET} there"), streamed(f"ho {SECRET}2 there")),
        (message(f"hi {SECRET}".encode()), message(f"ho {SECRET}".encode())),
    ],
    ids=["label", "number", "chat", "stream", "text"],
)
def test_no_comparator_tells_what_is_hidden(rule: Any, compare: Any, left: Any, right: Any) -> None:
    hides = redactor(**rule)
    comparator = PairSettings.model_validate({"compare": compare}).compare
    halves = [primary("a", left), shadow("a", right)]
    spooled = [hides.capture(half) for half in halves]
    lines = [
        build(Joined(each[0], each[1], "v2", ()), comparator, hides).line() for each in (halves, spooled)
    ]
    for secret in (SECRET, "1234567.5", "1234568.5"):
        assert secret not in repr(spooled)
        assert secret.encode() not in b"".join(lines)
