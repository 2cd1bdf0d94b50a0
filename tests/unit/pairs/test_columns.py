import pytest

from router.pairs.columns import FLAT, NESTED, chosen


def test_flat_columns_are_the_fields_with_those_inside_named_after_them() -> None:
    names = [column.name for column in FLAT]
    assert names[:2] == ["id", "time"]
    assert {"request_path", "primary_latency_ms", "shadow_version", "verdict", "differences"} <= set(names)
    assert "request" not in names
    assert len(set(names)) == len(names)


def test_each_has_the_type_of_its_values() -> None:
    types = {column.name: column.type for column in FLAT}
    assert types["time"] == "TIMESTAMP"
    assert types["generation"] == types["request_size"] == "BIGINT"
    assert types["score"] == types["primary_latency_ms"] == "DOUBLE"
    assert types["shadow_truncated"] == "BOOLEAN"
    assert types["verdict"] == types["shadow_error"] == "VARCHAR"
    assert {types[name] for name in ("request_body", "request_headers", "differences")} == {"JSON"}


def test_nested_columns_are_the_fields_themselves() -> None:
    assert NESTED["id"] == "VARCHAR"
    assert NESTED["differences"] == 'STRUCT("at" VARCHAR, "primary" JSON, "shadow" JSON)[]'
    assert NESTED["request"].startswith(
        'STRUCT("method" VARCHAR, "path" VARCHAR, "headers" MAP(VARCHAR, VARCHAR)'
    )


def test_columns_are_chosen_in_the_order_asked_for() -> None:
    assert [column.name for column in chosen(["verdict", "id"])] == ["verdict", "id"]
    assert chosen([]) == FLAT


def test_a_column_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(ValueError, match=r"no column 'latency'; there are id, time, .*primary_latency_ms"):
        chosen(["id", "latency"])
