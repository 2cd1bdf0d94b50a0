"""Every mistake in what is recorded, compared and kept of pairs gets one clear error."""

from pathlib import Path

import pytest

from tests.support.mistakes import (
    LOAN,
    Mistakes,
    one_clear_error,
)

MISTAKES: Mistakes = {
    "a kind of sink that is none": (
        "keep: 7d",
        "keep: 7d, sinks: [{webhok: {url: 'http://c'}}]",
        8,
        "pairs.sinks[0].webhok",
        ["one of webhook, redis"],
    ),
    "a password in the URL of a sink": (
        "keep: 7d",
        "keep: 7d, sinks: [{redis: {url: 'redis://:hush@c'}}]",
        8,
        "pairs.sinks[0].redis.url",
        ["`redis://***@c`", "username and password"],
    ),
    "two sinks of one name": (
        "keep: 7d",
        "keep: 7d, sinks: [{webhook: {url: 'http://c'}}, {webhook: {url: 'http://d'}}]",
        8,
        "pairs.sinks",
        ["two sinks are called webhook"],
    ),
    "a short key": (
        "{compare: {json: {ignore: [/id]}}}",
        "{hash: {key: hush-hush}}",
        19,
        f"{LOAN}.pairs.hash.key",
        ["at least 16 characters", "openssl rand -hex 32", "a value that is not shown"],
    ),
    "a slice that is dropped": (
        "{compare: {json: {ignore: [/id]}}}",
        "{slices: {who: {header: Cookie}}}",
        19,
        f"{LOAN}.pairs",
        ["slices.who reads Cookie, which redact drops", "hash it"],
    ),
    "size of unknown unit": ("1MiB", "1mb", 8, "pairs.rotate.size", ["`1mb`", "64KiB"]),
    "comparator without its place": (
        "json: {ignore: [/id]}",
        "label: {kind: argmax}",
        19,
        f"{LOAN}.pairs.compare.label.at",
        ["required"],
    ),
    "comparator at many places": (
        "json: {ignore: [/id]}",
        "text: {at: /choices/*/text}",
        19,
        f"{LOAN}.pairs.compare.text.at",
        ["name it without *"],
    ),
    "unknown kind of label": (
        "json: {ignore: [/id]}",
        "label: {at: /x, kind: argmin}",
        19,
        f"{LOAN}.pairs.compare.label.kind",
        ["argmax, threshold, top_k, value", "mean `argmax`"],
    ),
    "negative tolerance": (
        "json: {ignore: [/id]}",
        "score: {at: /x, tolerance: -1}",
        19,
        f"{LOAN}.pairs.compare.score.tolerance",
        ["at least 0", "`-1`"],
    ),
    "similarity above all": (
        "json: {ignore: [/id]}",
        "text: {min_similarity: 90}",
        19,
        f"{LOAN}.pairs.compare.text.min_similarity",
        ["did you mean 90%?"],
    ),
    "misspelt normalization": (
        "json: {ignore: [/id]}",
        "text: {normalize: {cas: true}}",
        19,
        f"{LOAN}.pairs.compare.text.normalize.cas",
        ["mean `case`"],
    ),
    "unknown comparator": (
        "json: {",
        "jsn: {",
        19,
        f"{LOAN}.pairs.compare.jsn",
        ["json, label, score, text, bytes", "mean `json`"],
    ),
    "two comparators": ("{json: {", "{bytes: {}, json: {", 19, f"{LOAN}.pairs.compare", ["exactly one kind"]),
    "bad JSON pointer": ("[/id]", "[id]", 19, f"{LOAN}.pairs.compare.json.ignore[0]", ["pointer"]),
    "size beyond all": ("1MiB", f"{'9' * 400}GiB", 8, "pairs.rotate.size", ["at most"]),
    "number of bytes beyond all": ("1MiB", "9" * 30, 8, "pairs.rotate.size", ["at most"]),
    "duration beyond all": ("7d", f"{'9' * 400}d", 8, "pairs.keep", ["at most 36500d"]),
    "endless tolerance": (
        "ignore: [/id]",
        "numbers: {absolute: .inf}",
        19,
        f"{LOAN}.pairs.compare.json.numbers.absolute",
        ["finite"],
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_one_mistake_about_pairs_is_one_clear_error(name: str, tmp_path: Path) -> None:
    one_clear_error(MISTAKES[name], tmp_path)
