"""The settings of sinks on their way to the recorder."""

import json
from typing import get_args

import pytest
from pydantic import ValidationError

from router.config.schema import PairLogSpec
from router.pairs.sinks import AnySink, decode_sinks, encode_sinks

KINDS = [kind.model_fields["tag"].default for kind in get_args(get_args(AnySink)[0])]


@pytest.mark.parametrize("kind", KINDS)
def test_settings_travel_to_the_recorder_and_secrets_are_not_shown(kind: str) -> None:
    secrets = {
        "webhook": {"url": "https://c.test/in?key=s3cr3t", "headers": {"authorization": "Bearer s3cr3t"}},
        "redis": {"url": "redis://c.test", "password": "s3cr3t"},
    }[kind]
    written = decode_sinks(json.dumps([{kind: secrets}]).encode())
    (sink,) = decode_sinks(encode_sinks(written))
    assert sink == written[0]
    assert b"s3cr3t" in encode_sinks([sink])
    assert "s3cr3t" not in str(sink.masked())
    assert sink.label == kind


def test_no_sinks_travel_as_nothing() -> None:
    assert encode_sinks(()) == b""
    assert decode_sinks(b"") == ()


def test_sinks_of_one_kind_need_names() -> None:
    one = {"webhook": {"url": "http://a.test"}}
    with pytest.raises(ValidationError, match="two sinks are called webhook: give each a name"):
        PairLogSpec.model_validate({"sinks": [one, one]})
    named = {"webhook": {"url": "http://a.test", "name": "second"}}
    assert [sink.label for sink in PairLogSpec.model_validate({"sinks": [one, named]}).sinks] == [
        "webhook",
        "second",
    ]
