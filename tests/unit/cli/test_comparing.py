from pathlib import Path

import click
import pytest

from router.cli.comparing import ComparatorParameter
from router.pairs.comparators.bytes import BytesComparator
from router.pairs.comparators.json import JsonComparator


def convert(text: str) -> object:
    return ComparatorParameter().convert(text, None, None)


def test_a_comparator_is_its_kind_or_yaml_or_a_file(tmp_path: Path) -> None:
    assert convert("bytes") == BytesComparator()
    ignoring = JsonComparator(ignore=("/id",))
    assert convert("json: {ignore: [/id]}") == ignoring
    assert convert("{json: {ignore: [/id]}}") == ignoring
    file = tmp_path / "compare.yaml"
    file.write_text("json:\n  ignore: [/id]\n")
    assert convert(str(file)) == ignoring


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("json: {ignor: [/id]}", r"json.ignor: Extra inputs are not permitted"),
        ("json: {ignore: [id]}", r"json.ignore.0: "),
        ("jsno", r"jsno"),
        ("json: [", r"not YAML"),
        ("json: {}\nbytes: {}", r"name exactly one kind"),
    ],
)
def test_a_wrong_one_is_refused_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(click.BadParameter, match=complaint):
        convert(text)
