"""`notify`: whom to tell about what, and how a message is made of an event. Floor 3, pure.

A template is any JSON; in each of its texts `{name}` stands for a piece of the event, and `{{` for a brace.
"""

import string
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self

from pydantic import Field, JsonValue, field_validator, model_validator

from router.spec import CallHeaders, CallUrl, Duration, Spec

PLACEHOLDERS = (
    "deployment", "event", "phase", "phase_before", "share", "who", "why", "time", "generation", "summary",
)  # fmt: skip
"""What a template may name. Everything is text; `share` is written 10%, `time` as ISO 8601 in UTC, and `summary` is
one sentence that says it all."""

EventName = Literal[
    "start", "advance", "complete", "soaked", "replace", "promote", "pause", "resume", "share",
    "switch", "rollback", "restart", "hold", "config", "restored", "removed", "warning",
    "config_error",
]  # fmt: skip

TOLD: tuple[EventName, ...] = (
    "advance", "complete", "soaked", "promote", "pause", "switch", "rollback", "restart", "hold", "warning",
    "config_error",
)  # fmt: skip
"""The events told where `events` is absent: those that somebody may have to act upon, or wants to have seen."""

DEFAULT: dict[str, JsonValue] = {"text": "{summary}"}
"""What most chat services take."""


class NotifySpec(Spec):
    """One entry of `notify`: POSTs `template`, filled, to `url` for each of `events`."""

    url: CallUrl
    events: tuple[EventName, ...] = Field(TOLD, min_length=1)
    template: JsonValue = DEFAULT
    headers: CallHeaders = {}
    timeout: Duration = Field(5.0, gt=0, le=60)

    @field_validator("template")
    @classmethod
    def _known_placeholders(cls, template: JsonValue) -> JsonValue:
        for text in _texts(template):
            _check(text)
        return template

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not isinstance(self.template, dict | list):
            raise ValueError('a template is a mapping or a list, such as {text: "{summary}"}')
        return self

    def filled(self, values: Mapping[str, str]) -> JsonValue:
        """The message: `values` holds each of PLACEHOLDERS."""
        return _fill(self.template, values)


def _texts(value: JsonValue) -> Iterator[str]:
    """Every text of a template; keys are no texts."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inside in value.values():
            yield from _texts(inside)
    elif isinstance(value, list):
        for inside in value:
            yield from _texts(inside)


def _check(text: str) -> None:
    known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    try:
        pieces = list(string.Formatter().parse(text))
    except ValueError:
        raise ValueError(f"a brace in {text!r} is alone: a plain one is written {{{{ or }}}}") from None
    for _, name, form, conversion in pieces:
        if name is not None and (name not in PLACEHOLDERS or form or conversion):
            written = f"{{{name}{'!' + conversion if conversion else ''}{':' + form if form else ''}}}"
            raise ValueError(f"{written} is no placeholder: there are {known}")


def _fill(value: JsonValue, values: Mapping[str, Any]) -> JsonValue:
    if isinstance(value, str):
        return value.format_map(values)
    if isinstance(value, dict):
        return {key: _fill(inside, values) for key, inside in value.items()}
    if isinstance(value, list):
        return [_fill(inside, values) for inside in value]
    return value
