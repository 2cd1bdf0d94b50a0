import csv
import io
import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from router.pairs.columns import FLAT, chosen
from router.pairs.export import as_csv, as_json_lines

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
BODIES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10
)


def pair(**changes: Any) -> dict[str, Any]:
    half = {"version": "v1", "status": 200, "headers": {"a": "b"}, "body": {"x": 1}, "truncated": False,
            "latency_ms": 1.5, "error": None}  # fmt: skip
    return {
        "id": "id-1", "exchange": "x1", "request": {"method": "POST", "path": "/v2", "body": None},
        "primary": half, "shadow": half | {"version": "v2"}, "verdict": "match", "score": 1.0, "differences": [],
    } | changes  # fmt: skip


def line(**changes: Any) -> bytes:
    return msgspec.json.encode(pair(**changes)) + b"\n"


def table(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def test_csv_has_a_header_and_a_row_for_each_pair() -> None:
    (row,) = table(b"".join(as_csv([line()], FLAT)))
    assert list(row) == [column.name for column in FLAT]
    assert (row["id"], row["primary_version"], row["shadow_version"]) == ("id-1", "v1", "v2")
    assert (row["primary_latency_ms"], row["primary_truncated"], row["shadow_status"]) == (
        "1.5",
        "false",
        "200",
    )
    assert json.loads(row["primary_body"]) == {"x": 1}


def test_null_and_what_older_lines_lack_is_empty() -> None:
    (row,) = table(b"".join(as_csv([line(request=None, score=None)], FLAT)))
    assert (row["request_path"], row["score"], row["primary_error"], row["time"]) == ("", "", "", "")


def test_no_pairs_leave_a_header() -> None:
    assert b"".join(as_csv([], chosen(["id", "verdict"]))) == b"id,verdict\r\n"


@given(BODIES, st.text())
def test_csv_brings_every_body_and_text_back(body: Any, name: str) -> None:
    half = pair()["primary"] | {"body": body}
    name = name.replace("\x00", "")  # no CSV reader takes it, and JSON can't be free of it
    (row,) = table(b"".join(as_csv([line(id=name, primary=half)], chosen(["id", "primary_body"]))))
    assert row["id"] == name
    assert (None if row["primary_body"] == "" else json.loads(row["primary_body"])) == body


@given(BODIES)
def test_json_lines_hold_the_chosen_columns(body: Any) -> None:
    half = pair()["shadow"] | {"body": body}
    (written,) = as_json_lines([line(shadow=half)], chosen(["verdict", "shadow_body"]))
    assert written.endswith(b"\n")
    assert msgspec.json.decode(written) == {"verdict": "match", "shadow_body": body}
