"""From a line of the log back to the request that was sent, and on to a pair with the answer of today."""

import gzip
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from router.channel import Capture, CapturedAnswer, Message
from router.pairs.joining import Joined
from router.pairs.pair import build
from router.pairs.redaction import Redactor
from router.pairs.replay import Rules, Selector, compared, outgoing
from router.pairs.settings import PairSettings
from tests.support.captures import message, primary, shadow

JSON = ((b"Content-Type", b"application/json"),)
SETTINGS = PairSettings()


def settings(**changes: Any) -> PairSettings:
    return PairSettings.model_validate(changes)


def logged(capture: Capture, other: Capture | None = None, rules: PairSettings = SETTINGS) -> bytes:
    """The line that the recorder writes of this live half (and of a shadow's that answered the same)."""
    other = other or shadow(capture.exchange)
    joined = Joined(capture, other, other.answer.version, ())
    return build(joined, rules.compare, Redactor.of(rules)).line()


def live(
    asked: Message | None = None,
    answered: Any = None,
    target: bytes = b"/v2/models/loan/infer",
    name: str = "a",
) -> Capture:
    """A live half without secrets in its headers."""
    if not isinstance(answered, Message):
        answered = message({"y": 1} if answered is None else answered, JSON)
    capture = primary(name, answered)
    assert capture.request is not None
    request = replace(capture.request, target=target, message=asked or message({"x": 1}, JSON))
    return replace(capture, request=request)


def restored(capture: Capture, rules: PairSettings = SETTINGS) -> Capture:
    (found,) = Selector().fit([logged(capture, rules=rules)])
    return found


def unfit(capture: Capture, rules: PairSettings = SETTINGS, given: frozenset[bytes] = frozenset()) -> str:
    selector = Selector(given)
    assert list(selector.fit([logged(capture, rules=rules)])) == []
    (reason,) = selector.unfit
    return reason


BODIES = st.one_of(
    st.binary(),
    st.text().map(str.encode),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode()),
)


@given(BODIES)
def test_any_body_comes_back_as_it_was_sent_or_not_at_all(body: bytes) -> None:
    """Of JSON over several lines only the layout is lost, because a pair is one line. Not at all: text that ends
    within a character, which the log leaves out."""
    found = [outgoing(each, ()).body for each in Selector().fit([logged(live(message(body, JSON)))])]
    for again in found:
        assert again == body or json.loads(again) == json.loads(body)
    if is_text(body) and b"[redacted]" not in body:
        assert len(found) == 1


def is_text(body: bytes) -> bool:
    return body.decode("utf-8", "ignore").encode() == body


def test_what_keep_only_left_of_a_request_is_not_sent() -> None:
    keeping = settings(keep_only={"request": ["/x"]})
    line = logged(live(message({"x": 1, "y": 2}, JSON)), rules=keeping)
    selector = Selector(pruned=frozenset(["loan"]))
    assert list(selector.fit([line])) == []
    assert selector.unfit == {"request not logged as it was sent": 1}


def test_method_and_target_are_those_recorded() -> None:
    again = outgoing(restored(live(target=b"/v2//models/a%2Fb:predict?x=1&y=%20")), ())
    assert (again.method, again.target) == ("POST", b"/v2//models/a%2Fb:predict?x=1&y=%20")


def test_headers_of_the_hop_and_of_then_stay_behind() -> None:
    recorded = (
        (b"Host", b"models.example.com"), (b"Connection", b"keep-alive, X-Hop"), (b"X-Hop", b"1"),
        (b"Content-Length", b"7"), (b"Transfer-Encoding", b"chunked"), (b"TE", b"trailers"),
        (b"Expect", b"100-continue"),
        (b"traceparent", b"00-1-2-01"), (b"Accept-Encoding", b"br"), (b"X-Request-Id", b"id-a"),
        (b"Content-Type", b"application/json"), (b"X-Tenant", b"acme"),
    )  # fmt: skip
    again = outgoing(restored(live(message({"x": 1}, recorded))), ())
    assert dict(again.headers) == {
        b"content-type": b"application/json",
        b"x-tenant": b"acme",
        b"accept-encoding": b"identity",
        b"x-request-id": b"id-a",
        b"x-router-shadow": b"replay",
    }


def test_own_headers_replace_and_remove() -> None:
    recorded = ((b"Authorization", b"secret"), (b"Cookie", b"a=b"), (b"X-Tenant", b"acme"))
    capture = live(message({"x": 1}, recorded))
    own = ((b"authorization", b"Bearer new"), (b"cookie", b""), (b"x-router-shadow", b"nightly"))
    (found,) = Selector(frozenset(name for name, _ in own)).fit([logged(capture)])
    headers = dict(outgoing(found, own).headers)
    assert headers[b"authorization"] == b"Bearer new"
    assert headers[b"x-tenant"] == b"acme"
    assert headers[b"x-router-shadow"] == b"nightly"
    assert b"cookie" not in headers


def test_a_content_coding_that_the_log_removed_is_not_claimed() -> None:
    packed = Message((*JSON, (b"Content-Encoding", b"gzip")), gzip.compress(b'{"x": 1}' * 9), 30, False)
    again = outgoing(restored(live(packed)), ())
    assert again.body == b'{"x": 1}' * 9
    assert b"content-encoding" not in dict(again.headers)


def test_a_coding_nobody_here_knows_goes_out_as_it_came() -> None:
    packed = message(b"\x00\x01\x02", (*JSON, (b"Content-Encoding", b"made-up")))
    again = outgoing(restored(live(packed)), ())
    assert again.body == b"\x00\x01\x02"
    assert dict(again.headers)[b"content-encoding"] == b"made-up"


def test_binary_tensors_keep_the_length_of_their_head() -> None:
    head = b'{"inputs":[]}'
    body = message(head + b"\x00\x01", (*JSON, (b"Inference-Header-Content-Length", b"13")))
    again = outgoing(restored(live(body)), ())
    assert again.body == head + b"\x00\x01"
    assert dict(again.headers)[b"inference-header-content-length"] == b"13"


@pytest.mark.parametrize(
    ("capture", "reason"),
    [
        (live(message({"x": 1}, JSON, truncated=True)), "request truncated"),
        (live(answered=message({"y": 1}, JSON, truncated=True)), "recorded answer truncated"),
        (live(message({"x": "[redacted]"}, JSON)), "request redacted"),
        (live(message({"x": ["hmac-sha256:" + 64 * "0"]}, JSON)), "request redacted"),
        (live(message({"x": 1}, ((b"Authorization", b"x"),))), "header authorization redacted"),
        (live(target=b"/x?card=%5Bredacted%5D"), "request path redacted"),
        (live(target=b"*"), "request target is no path"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_what_was_not_logged_whole_is_not_sent(capture: Capture, reason: str) -> None:
    assert unfit(capture) == reason


def test_redaction_by_pointer_makes_a_request_unfit() -> None:
    assert unfit(live(), settings(redact={"request": ["/x"]})) == "request redacted"
    no_json = live(message(b"plain", JSON))
    assert unfit(no_json, settings(redact={"request": ["/x"]})) == "request redacted"


def test_a_failed_answer_is_nothing_to_compare_with() -> None:
    capture = live()
    failed = replace(capture, answer=replace(capture.answer, status=0, error="timeout"))
    assert unfit(failed) == "recorded answer failed: timeout"
    failed = replace(capture, answer=replace(capture.answer, status=503))
    assert unfit(failed) == "recorded answer failed: status_503"


def test_a_pair_without_its_live_half_has_no_request() -> None:
    selector = Selector()
    lone = build(Joined(None, shadow("a"), "v2", ()), SETTINGS.compare, Redactor.of(SETTINGS)).line()
    assert list(selector.fit([lone, b"{}\n"])) == []
    assert selector.unfit == {"request missing": 1, "line damaged": 1}


def test_an_exchange_goes_out_once_however_many_shadows_it_had() -> None:
    selector = Selector()
    lines = [
        logged(live(name=name), shadow(name, version=version)) for name in "ab" for version in ("v2", "v3")
    ]
    assert [each.exchange for each in selector.fit(lines)] == ["a", "b"]
    assert selector.repeated == 2
    assert not selector.unfit


def test_only_what_one_version_answered() -> None:
    other = replace(live(name="b"), answer=replace(live().answer, version="v9"))
    selector = Selector(primary="v9")
    assert [each.exchange for each in selector.fit([logged(live()), logged(other)])] == ["b"]
    assert selector.others == 1


# The answer of today


def answered(body: Any, headers: tuple[tuple[bytes, bytes], ...] = JSON, status: int = 200) -> CapturedAnswer:
    return CapturedAnswer("v3", "http://v3.test", status, message(body, headers), 4.0, 3.0)


def test_a_pair_is_that_of_the_log_with_another_shadow() -> None:
    pair = compared(restored(live()), answered({"y": 2}), Rules.of(SETTINGS))
    assert (pair.id, pair.exchange, pair.deployment, pair.verdict) == ("id-a", "a", "loan", "mismatch")
    assert (pair.primary.version, pair.shadow.version, pair.shadow.latency_ms) == ("v1", "v3", 4.0)
    assert [(each.at, each.primary, each.shadow) for each in pair.differences] == [("/y", 1, 2)]
    # What was written can be replayed again.
    assert outgoing(next(Selector().fit([pair.line()])), ()) == outgoing(restored(live()), ())


def test_the_same_answer_matches_whatever_its_coding() -> None:
    rules = Rules.of(SETTINGS)
    packed = Message((*JSON, (b"content-encoding", b"gzip")), gzip.compress(b'{"y": 1}'), 28, False)
    assert compared(restored(live()), answered({"y": 1}), rules).verdict == "match"
    assert compared(restored(live()), replace(answered(1), message=packed), rules).verdict == "match"


@pytest.mark.parametrize("known", [True, False], ids=["by-the-same-rules", "by-rules-unknown"])
@pytest.mark.parametrize(
    "privacy",
    [
        {"redact": {"response": ["/card"]}},
        {"hash": {"key": "0123456789abcdef", "response": ["/card"]}},
    ],
    ids=["redact", "hash"],
)
def test_what_the_log_hides_counts_as_equal_and_gets_into_no_pair(
    privacy: dict[str, Any], known: bool
) -> None:
    hiding = settings(**privacy)
    recorded = restored(live(answered={"card": "4111", "y": 1}), hiding)
    rules = Rules.of(hiding if known else SETTINGS)
    same = compared(recorded, answered({"card": "4111", "y": 1}), rules)
    assert same.verdict == "match"
    assert b"4111" not in same.line()
    other = compared(recorded, answered({"card": "4111", "y": 2}), rules)
    assert [each.at for each in other.differences] == ["/y"]
    assert b"4111" not in other.line()


def test_a_hash_whose_key_is_known_is_compared() -> None:
    hiding = settings(hash={"key": "0123456789abcdef", "response": ["/card"]})
    recorded = restored(live(answered={"card": "4111"}), hiding)
    pair = compared(recorded, answered({"card": "4222"}), Rules.of(hiding))
    assert pair.verdict == "mismatch"
    assert b"4222" not in pair.line()


def test_an_answer_in_which_the_hidden_cannot_be_found_is_withheld() -> None:
    recorded = restored(live(answered={"card": "[redacted]"}))
    pair = compared(recorded, answered(b"card 4111", ((b"content-type", b"text/plain"),)), Rules.of(SETTINGS))
    assert pair.verdict == "mismatch"
    assert b"4111" not in pair.line()


def test_what_keep_only_drops_does_not_differ() -> None:
    keeping = settings(keep_only={"response": ["/y"]})
    recorded = restored(live(answered={"y": 1, "z": 5}), keeping)
    pair = compared(recorded, answered({"y": 1, "z": 6}), Rules.of(keeping))
    assert pair.verdict == "match"
    assert msgspec.json.decode(pair.line())["shadow"]["body"] == {"y": 1}
