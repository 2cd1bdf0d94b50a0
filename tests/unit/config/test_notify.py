"""Whom to tell about what: the settings, and the message that becomes of a template."""

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from router.config.notify import DEFAULT, PLACEHOLDERS, TOLD, EventName, NotifySpec
from router.rollout.phase import Event

URL = "https://hooks.example.com/services/T0/B0/secret"
VALUES = {name: f"<{name}>" for name in PLACEHOLDERS}


def spec(**settings: Any) -> NotifySpec:
    return NotifySpec.model_validate({"url": URL} | settings)


def refusal(**settings: Any) -> str:
    with pytest.raises(ValidationError) as error:
        spec(**settings)
    return str(error.value)


def test_without_more_than_a_url_it_fits_most_chat_services() -> None:
    assert spec().events == TOLD
    assert spec().filled(VALUES) == {"text": "<summary>"}


def test_every_event_of_the_phase_table_may_be_told_and_what_is_told_is_known() -> None:
    assert {event.value for event in Event} <= set(get_args(EventName))
    assert set(TOLD) <= set(get_args(EventName))


def test_placeholders_stand_anywhere_in_the_values_and_nowhere_else() -> None:
    template = {
        "{why}": "{deployment} is {phase} at {share}",
        "blocks": [{"text": {"text": "{{x}} {why}"}}, 7, None, True, 1.5],
    }
    assert spec(template=template).filled(VALUES) == {
        "{why}": "<deployment> is <phase> at <share>",
        "blocks": [{"text": {"text": "{x} <why>"}}, 7, None, True, 1.5],
    }


@pytest.mark.parametrize("name", PLACEHOLDERS)
def test_each_placeholder_is_filled(name: str) -> None:
    assert spec(template={"a": f"{{{name}}}"}).filled(VALUES) == {"a": f"<{name}>"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{nobody}", "{nobody} is no placeholder: there are {deployment}, {event}"),
        ("{}", "{} is no placeholder"),
        ("{0}", "{0} is no placeholder"),
        ("{why.__class__}", "{why.__class__} is no placeholder"),
        ("{why[0]}", "{why[0]} is no placeholder"),
        ("{why!r}", "{why!r} is no placeholder"),
        ("{why:>99999999}", "{why:>99999999} is no placeholder"),
        ("a { b", "a plain one is written {{ or }}"),
        ("a } b", "a plain one is written {{ or }}"),
    ],
)
def test_what_is_no_placeholder_is_refused_with_those_there_are(text: str, says: str) -> None:
    assert says in refusal(template={"a": [{"b": text}]})


def test_unknown_events_and_templates_that_are_no_message_are_refused() -> None:
    assert "'rollback'" in refusal(events=["rolback"])
    assert "at least 1" in refusal(events=[])
    assert 'such as {text: "{summary}"}' in refusal(template="{why}")


@pytest.mark.parametrize(
    "url", ["hooks.example.com", "ftp://a/b", "https://", "https://u:p@h/", "http://h:99999/", "http://h/#x"]
)
def test_what_cannot_be_called_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        NotifySpec.model_validate({"url": url})


def test_a_url_may_have_a_query_and_headers_must_be_headers() -> None:
    assert NotifySpec.model_validate({"url": "http://h/a?key=1"}).url.endswith("?key=1")
    assert "no header name" in refusal(headers={"a b": "c"})
    assert "no header may have" in refusal(headers={"a": "b\r\nc: d"})


@given(st.dictionaries(st.sampled_from(PLACEHOLDERS), st.text(), min_size=0))
def test_whatever_an_event_holds_the_message_is_json_and_holds_it(values: dict[str, str]) -> None:
    filled = spec(template={"text": "{why}"}).filled(VALUES | values)
    assert json.loads(json.dumps(filled)) == {"text": (VALUES | values)["why"]}


def test_the_default_is_a_template_itself() -> None:
    assert spec(template=DEFAULT) == spec()
