"""YAML to values: types, places, variables, and everything wrong at once."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.config.places import Steps
from router.config.yamlfile import YamlFile
from router.errors import ConfigError

ENVIRON = {"N": "8", "WORD": "word", "EMPTY": "", "TEXT": "a: b # c", "YES": "true"}


def read(text: str) -> tuple[dict[str, Any], YamlFile]:
    file = YamlFile("f.yaml", ENVIRON)
    return file.read(text.encode()), file


def value(text: str) -> Any:
    values, file = read(f"key: {text}\n")
    assert file.problems == []
    return values["key"]


def lines(file: YamlFile) -> dict[Steps, int]:
    return {steps: place.line for steps, place in file.places.items()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5", 5),
        ("010", 10),
        ("0x1F", 31),
        ("0o17", 15),
        ("1_000", 1000),
        ("-3", -3),
        ("0.5", 0.5),
        ("1e-3", 0.001),
        (".inf", float("inf")),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("on", "on"),
        ("NO", "NO"),
        ("1:30", "1:30"),
        ("2020-01-01", "2020-01-01"),
        ("5%", "5%"),
        ("'5'", "5"),
        ('"true"', "true"),
        ("!!str 5", "5"),
        ("|\n  two\n  lines", "two\nlines\n"),
        ("[1, [2, x]]", [1, [2, "x"]]),
        ("{a: 1, 2: b}", {"a": 1, "2": "b"}),
    ],
)
def test_values(text: str, expected: object) -> None:
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${N}", 8),
        ('"${N}"', "8"),
        ("${YES}", True),
        ("${EMPTY}", None),
        ("${MISSING:-3}", 3),
        ("${EMPTY:-3}", 3),
        ("${N:-3}", 8),
        ("${MISSING:-}", None),
        ("http://h:${N}/${WORD}", "http://h:8/word"),
        ("${N}${N}", "88"),
        ("$${N}", "${N}"),
        ("$N", "$N"),
        ("cost $5", "cost $5"),
        ("${TEXT}", "a: b # c"),
        ('["${N}", x]', ["8", "x"]),
    ],
)
def test_variables(text: str, expected: object) -> None:
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


def test_variables_in_use_are_noted_whether_set_or_not() -> None:
    _, file = read("a: ${N}\nb: ${MISSING:-x}\nc: $${WORD}\n")
    assert file.variables == {"N": "8", "MISSING": None}


def test_a_key_is_not_expanded() -> None:
    values, _ = read("'${N}': 1\n")
    assert values == {"${N}": 1}


def test_every_place_has_its_line() -> None:
    values, file = read("# first\na:\n  b: 1\n\n  c:\n    - x\n    - {d: 2,\n       e: 3}\nf: |\n  text\n")
    assert values == {"a": {"b": 1, "c": ["x", {"d": 2, "e": 3}]}, "f": "text\n"}
    assert lines(file) == {
        ("a",): 2,
        ("a", "b"): 3,
        ("a", "c"): 5,
        ("a", "c", 0): 6,
        ("a", "c", 1): 7,
        ("a", "c", 1, "d"): 7,
        ("a", "c", 1, "e"): 8,
        ("f",): 9,
    }


def test_all_mistakes_in_one_reading() -> None:
    _, file = read("a: 1\na: 2\nb: ${NO}\nc:\n  d: ${\n  d: 3\ne: !x 1\n[1, 2]: 3\nf: !!int six\n")
    assert [(problem.line, problem.path) for problem in file.problems] == [
        (2, "a"),
        (3, "b"),
        (5, "c.d"),
        (6, "c.d"),
        (7, "e"),
        (8, ""),
        (9, "f"),
    ]


def test_of_a_key_given_twice_the_first_counts() -> None:
    values, file = read("a: 1\na: 2\n")
    assert values == {"a": 1}
    assert lines(file) == {("a",): 1}


def test_anchors_and_merged_mappings() -> None:
    values, file = read("a: &a {x: 1, y: 2}\nb: *a\nc:\n  y: 3\n  <<: *a\nd: {<<: [{x: 5}, *a]}\n")
    assert file.problems == []
    assert values["b"] == {"x": 1, "y": 2}
    assert values["c"] == {"x": 1, "y": 3}
    assert values["d"] == {"x": 5, "y": 2}
    assert lines(file)["c", "y"] == 4


@pytest.mark.parametrize(
    "text", ["a: &a {<<: *a}", "a: &a [*a]", "a: &a {b: {c: *a}}", "a: {<<: 5}", "&r {<<: *r}", "<<: !x {}"]
)
def test_aliases_and_tags_that_lead_nowhere(text: str) -> None:
    _, file = read(text)
    assert len(file.problems) == 1


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    file = YamlFile("f.yaml", ENVIRON)
    with suppress(ConfigError):
        assert isinstance(file.read(text.encode("utf-8", "surrogatepass")), dict)


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    assert YamlFile("f.yaml", {}).read(b"\xef\xbb\xbfa: 1\n") == {"a": 1}
