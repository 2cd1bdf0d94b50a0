"""The units people write."""

from typing import Annotated, Literal

import pytest
from pydantic import Discriminator, TypeAdapter, ValidationError

from router.spec import OneKey, Spec, parse_duration, parse_share, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("30s", 30), ("10m", 600), ("1h30m", 5400), ("7d", 604800), ("1.5h", 5400), (0, 0)],
)
def test_durations(text: object, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "-5s", "1y", "5s5", "1:30", None, True, "1e3s"])
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="a duration"):
        parse_duration(text)


def test_a_bare_number_is_told_its_unit() -> None:
    with pytest.raises(ValueError, match="write 30s, 30m or 30h"):
        parse_duration(30)


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("5%", 0.05),
        ("0.05", 0.05),
        (0.05, 0.05),
        ("100%", 1),
        (1, 1),
        (0, 0),
        ("0.01%", 0.0001),
        ("33.33%", 0.3333),
    ],
)
def test_shares(text: object, share: float) -> None:
    assert parse_share(text) == share


@pytest.mark.parametrize("text", ["101%", "-1%", 1.5, 50, "half", "", True, None, "nan", "inf", "%"])
def test_what_is_no_share(text: object) -> None:
    with pytest.raises(ValueError, match="a share lies between"):
        parse_share(text)


def test_a_percentage_without_its_sign_is_recognised() -> None:
    with pytest.raises(ValueError, match="did you mean 50%"):
        parse_share(50)


def test_a_share_is_not_finer_than_assignment() -> None:
    with pytest.raises(ValueError, match=r"multiple of 0\.01%"):
        parse_share("0.005%")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512B", 512),
        ("64KiB", 65536),
        ("1 MiB", 1 << 20),
        ("2GiB", 2 << 30),
        ("1KB", 1000),
        (1024, 1024),
    ],
)
def test_sizes(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "64", "64kib", "-1B", -1, True, None, 1.5, "1TB"])
def test_what_is_no_size(text: object) -> None:
    with pytest.raises(ValueError, match="a size"):
        parse_size(text)


class Round(Spec):
    tag: Literal["round"] = "round"
    radius: int = 1


class Square(Spec):
    tag: Literal["square"] = "square"
    side: int


SHAPE: TypeAdapter[Round | Square] = TypeAdapter(Annotated[Round | Square, Discriminator("tag"), OneKey()])


@pytest.mark.parametrize("written", [{"round": {"radius": 1}}, {"round": {}}, {"round": None}])
def test_a_union_is_written_with_its_kind_as_the_one_key(written: object) -> None:
    assert SHAPE.validate_python(written) == Round()


def test_a_union_is_written_back_as_it_is_read() -> None:
    assert SHAPE.dump_python(Square(side=2)) == {"square": {"side": 2}}
    assert SHAPE.validate_python(SHAPE.dump_python(Square(side=2))) == Square(side=2)


def test_the_json_schema_of_a_union_says_how_it_is_written() -> None:
    branches = SHAPE.json_schema()["oneOf"]
    assert [branch["required"] for branch in branches] == [["round"], ["square"]]


@pytest.mark.parametrize(
    "written", ["round", {}, {"round": {}, "square": {}}, {"tag": "round"}, {"oval": {}}]
)
def test_what_is_no_member_of_the_union(written: object) -> None:
    with pytest.raises(ValidationError):
        SHAPE.validate_python(written)


def test_a_spec_is_immutable_and_strict_about_keys() -> None:
    with pytest.raises(ValidationError):
        Round.model_validate({"radus": 1})
    with pytest.raises(ValidationError):
        Round().radius = 2  # type: ignore[misc]
