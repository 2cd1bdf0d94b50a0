"""The description of the admin API against the routes and the values it describes."""

import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, cast

import msgspec

from router.control.admin.access import OPEN
from router.control.admin.app import Outside, routes
from router.control.admin.events import Events
from router.control.admin.openapi import document
from router.control.controller import Controller
from router.pairs.comparators.base import VERDICTS
from router.rollout.phase import Phase

DOCUMENT = document()
SCHEMAS = DOCUMENT["components"]["schemas"]


def test_it_describes_exactly_the_routes_there_are() -> None:
    nothing = cast(Any, None)
    outside = Outside("", *[nothing] * (len(fields(Outside)) - 1))
    there = routes(cast(Controller, nothing), outside, Events(nothing))
    described = {(method.upper(), path) for path, calls in DOCUMENT["paths"].items() for method in calls}
    assert described == {(method, path) for method, path, _ in there}


def test_the_calls_that_need_no_token_are_the_ones_it_says() -> None:
    unguarded = {
        path
        for path, calls in DOCUMENT["paths"].items()
        if any(call.get("security") == [] for call in calls.values())
    }
    assert unguarded == OPEN


def test_phases_and_verdicts_are_the_ones_there_are() -> None:
    assert SCHEMAS["Answer"]["properties"]["phase"]["enum"] == [phase.value for phase in Phase]
    (verdict,) = [each["schema"] for each in parameters() if each["name"] == "verdict"]
    assert sorted(verdict["enum"]) == sorted(VERDICTS)


def parameters() -> Iterator[dict[str, Any]]:
    for calls in DOCUMENT["paths"].values():
        for call in calls.values():
            yield from call.get("parameters", ())


def test_every_parameter_of_a_path_is_declared() -> None:
    for path, calls in DOCUMENT["paths"].items():
        for call in calls.values():
            declared = {each["name"] for each in call.get("parameters", ()) if each["in"] == "path"}
            assert declared == set(re.findall(r"{(\w+)}", path)), path


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def test_every_reference_leads_somewhere_and_every_schema_is_used() -> None:
    assert {name.removeprefix("#/components/schemas/") for name in references(DOCUMENT)} == set(SCHEMAS)


def test_it_is_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(DOCUMENT)) == DOCUMENT
