"""Whose record it is: found in header, cookie or body, hashed with and without a key."""

from typing import Any

import pytest

from router.channel import Capture, CapturedRequest
from router.pairs.settings import PairSettings
from router.pairs.subject import Subjects
from tests.support.captures import message, primary, shadow

KEY = "k" * 16


def subjects(source: dict[str, str] | None, key: str = "") -> Subjects:
    settings: dict[str, Any] = {"subject": source}
    if key:
        settings["hash"] = {"key": key}
    return Subjects.of(PairSettings.model_validate(settings))


def asked(body: Any = 1, *headers: tuple[bytes, bytes]) -> Capture:
    half = primary("a")
    request = CapturedRequest(b"POST", b"/", message(body, headers))
    return Capture(
        half.exchange, half.role, half.id, half.time, half.deployment, 3, half.answer, request, ("v2",)
    )


@pytest.mark.parametrize(
    ("source", "half", "key"),
    [
        ({"header": "X-User"}, asked(1, (b"x-uSER", b"alice")), "alice"),
        ({"header": "x-user"}, asked(1, (b"x-user", b"\xff")), "\xff"),
        ({"header": "x-user"}, asked(1, (b"x-user", "Müller".encode())), "Müller"),
        ({"cookie": "id"}, asked(1, (b"Cookie", b"a=1; id=alice;b=2")), "alice"),
        ({"json": "/user/0"}, asked({"user": ["alice"]}), "alice"),
        ({"json": "/user"}, asked({"user": 42}), "42"),
        ({"json": "/user"}, asked({"user": True}), "true"),
        ({"json": "/user"}, asked({"user": 10**30}), "1" + "0" * 30),
    ],
)
def test_it_is_found_where_the_settings_say(source: dict[str, str], half: Capture, key: str) -> None:
    finder = subjects(source)
    assert finder.mark(half).subject == finder.hashed(key)


@pytest.mark.parametrize(
    ("source", "half"),
    [
        (None, asked()),
        ({"header": "x-user"}, asked()),
        ({"header": "x-user"}, shadow("a")),
        ({"cookie": "id"}, asked(1, (b"cookie", b"idx=1; id"))),
        ({"json": "/user"}, asked({"user": {"a": 1}})),
        ({"json": "/user"}, asked({"user": None})),
        ({"json": "/user"}, asked(b"no json")),
        ({"json": "/user"}, asked(b'{"user": ' + b"9" * 5000 + b"}")),
    ],
)
def test_who_does_not_say_has_none(source: dict[str, str] | None, half: Capture) -> None:
    assert subjects(source).mark(half) is half


def test_what_was_marked_is_not_marked_again() -> None:
    """What comes from the spool has lost the header."""
    once = subjects({"header": "x-user"}).mark(asked(1, (b"x-user", b"alice")))
    assert subjects({"header": "x-other"}, KEY).mark(once) is once


def test_without_the_key_nobody_can_tell_who_it_is() -> None:
    keyed, plain = subjects(None, KEY), subjects(None)
    assert keyed.hashed("alice") != plain.hashed("alice")
    assert keyed.hashed("alice") != subjects(None, KEY + "x").hashed("alice")
    assert keyed.candidates("alice") == {keyed.hashed("alice"), plain.hashed("alice")}
    assert plain.candidates("alice") == {plain.hashed("alice")}
    assert len(keyed.hashed("\ud800")) == 32


def test_the_key_is_found_in_logged_headers() -> None:
    assert subjects({"header": "X-User"}).logged({"x-user": "alice"}, None) == "alice"
    assert subjects({"cookie": "id"}).logged({"cookie": "id=alice"}, None) == "alice"
    assert subjects({"cookie": "id"}).logged({}, None) is None
    as_logged = "Müller".encode().decode("latin-1")
    assert subjects({"header": "X-User"}).logged({"x-user": as_logged}, None) == "Müller"
    assert subjects({"json": "/user"}).logged({"x-user": "alice"}, {"user": "bob"}) == "bob"
    assert subjects({"json": "/user/0/id"}).logged({}, {"user": [{"id": 7}]}) == "7"
    assert subjects({"json": "/user"}).logged({"x-user": "alice"}, "text") is None
    assert subjects(None).logged({"x-user": "alice"}, {"user": "alice"}) is None


def test_all_that_a_log_may_have_for_a_value() -> None:
    keyed = subjects({"header": "x-user"}, KEY)
    older = subjects(None, "o" * 16)
    assert keyed.candidates("alice") == {keyed.hashed("alice"), Subjects(None).hashed("alice")}
    assert older.hashed("alice") in keyed.candidates("alice", [older.key])
