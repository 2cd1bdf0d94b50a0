"""What gates that ask share: which calls may be made, and what trouble means."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from router.rollout.gates.asking import AskingGate
from router.rollout.gates.webhook import WebhookGate
from router.rollout.verdict import Ruling, Verdict
from router.spec import CallHeaders, CallUrl

URL: TypeAdapter[str] = TypeAdapter(CallUrl)
HEADERS: TypeAdapter[dict[str, str]] = TypeAdapter(CallHeaders)


@pytest.mark.parametrize("url", ["http://a", "https://checks:443/loan?key=a%20b", "http://[::1]:8080/x"])
def test_a_url_may_have_a_path_and_a_query(url: str) -> None:
    assert URL.validate_python(url) == url


@pytest.mark.parametrize(
    "url",
    ["a", "ftp://a/", "http://", "http:///x", "http://a b/", "http://a/\n", "http://u:p@a/", "http://a:99999/",
     "http://a/#b", "http://[::1/", "https://ü/"],
)  # fmt: skip
def test_what_cannot_be_called_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        URL.validate_python(url)


@pytest.mark.parametrize("headers", [{"a b": "c"}, {"": "c"}, {"a": "b\r\nx: y"}, {"a": "\x00"}, {"a": "ü"}])
def test_headers_that_are_none_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        HEADERS.validate_python(headers)
    assert HEADERS.validate_python({"authorization": "Bearer a\tb"})


@pytest.mark.parametrize(
    "settings", [{"every": "100ms"}, {"timeout": "0"}, {"retries": 11}, {"retries": -1}, {"every": 5}]
)
def test_nobody_is_asked_without_pause_or_end(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        WebhookGate.model_validate({"url": "http://a", **settings})


def test_trouble_is_an_error_of_this_gate() -> None:
    gate: AskingGate = WebhookGate(url="http://a")
    assert gate.trouble("gone") == Ruling("webhook", Verdict.ERROR, "gone")
