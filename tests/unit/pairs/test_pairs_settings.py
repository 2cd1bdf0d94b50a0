"""The `pairs` section: what contradicts itself is refused, and the key never shows."""

from typing import Any

import pytest
from pydantic import ValidationError

from router.pairs.settings import MAX_SLICES, PairSettings, SubjectSource

KEY = "0123456789abcdef"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"slices": {"who": {"header": "Cookie"}}}, "redact drops"),
        ({"slices": {"who": {"json": "/a/b"}}, "redact": {"request": ["/a"]}}, "redact drops"),
        ({"slices": {"who": {"json": "/a"}}, "redact": {"request": ["/a/b"]}}, "redact drops"),
        ({"slices": {"who": {"json": "/a/3"}}, "redact": {"request": ["/a/*"]}}, "redact drops"),
        ({"slices": {"who": {"json": "/a/b"}}, "hash": {"key": KEY, "request": ["/a"]}}, "hash it by itself"),
        ({"slices": {"who": {"header": "x"}}, "keep_only": {"headers": ["y"]}}, "keep_only drops"),
        ({"slices": {"who": {"json": "/a"}}, "keep_only": {"request": ["/b"]}}, "keep_only drops"),
        ({"slices": {"who": {}}}, "exactly one"),
        ({"slices": {"who": {"header": "a", "json": "/a"}}}, "exactly one"),
        ({"slices": {"who": {"json": "/a/*"}}}, "has no [*]"),
        ({"slices": {"a=b": {"header": "a"}}}, "a slice's name"),
        ({"slices": {f"s{n}": {"header": "a"} for n in range(MAX_SLICES + 1)}}, f"at most {MAX_SLICES}"),
        ({"subject": {}}, "exactly one"),
        ({"subject": {"header": "a", "cookie": "a"}}, "exactly one"),
        ({"hash": {"request": ["/a"]}}, "Field required"),
        ({"hash": {"key": "short"}}, "at least 16 characters"),
        ({"redact": {"headers": ["x"]}, "hash": {"key": KEY, "headers": ["X"]}}, "in one of them only"),
        ({"redact": {"query": ["x"]}, "hash": {"key": KEY, "query": ["x"]}}, "in one of them only"),
        ({"keep_only": {"response": ["a"]}}, "is no JSON pointer"),
    ],
)
def test_what_is_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says) as caught:
        PairSettings.model_validate(settings)
    assert "short" not in str([each["msg"] for each in caught.value.errors()])


def test_a_slice_may_read_what_is_hashed_or_kept() -> None:
    PairSettings.model_validate(
        {
            "hash": {"key": KEY, "request": ["/a"], "headers": ["Cookie"]},
            "keep_only": {"request": ["/a", "/b/*"], "headers": ["cookie", "X-Region"]},
            "slices": {
                "a": {"json": "/a"},
                "b": {"json": "/b/c"},
                "who": {"header": "cookie"},
                "region": {"header": "x-region"},
            },
        }
    )


def test_the_key_is_shown_to_nobody_but_the_recorder() -> None:
    settings = PairSettings.model_validate({"hash": {"key": KEY}})
    assert KEY not in repr(settings)
    assert KEY not in settings.model_dump_json()
    assert KEY not in str(settings.model_dump())
    assert KEY in settings.wire(None).decode()


def test_what_is_told_the_recorder_is_what_was_set() -> None:
    settings = PairSettings.model_validate(
        {
            "hash": {"key": KEY, "query": ["q"]},
            "slices": {"long": {"json": "/long"}},
            "compare": {"bytes": {}},
        }
    )
    sticky = SubjectSource(header="x-user")
    told = PairSettings.model_validate_json(settings.wire(sticky))
    assert told == settings.model_copy(update={"subject": sticky})
    own = PairSettings.model_validate({"subject": {"json": "/user"}})
    assert PairSettings.model_validate_json(own.wire(sticky)).subject == own.subject
