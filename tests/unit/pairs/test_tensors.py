"""Binary tensors give the value that the same message in JSON would have."""

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.pairs import tensors
from router.pairs.tensors import BadTensors, TooManyElements, merge


def tensor(name: str, datatype: str, size: Any, **parameters: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "parameters": {"binary_data_size": size, **parameters}}


def data_of(datatype: str, raw: bytes) -> list[Any]:
    value, _ = merge({"outputs": [tensor("y", datatype, len(raw))]}, raw)
    data: list[Any] = value["outputs"][0]["data"]
    return data


@pytest.mark.parametrize(
    ("datatype", "raw", "data"),
    [
        ("BOOL", b"\0\1\1", [False, True, True]),
        ("INT8", struct.pack("<2b", -128, 127), [-128, 127]),
        ("INT16", struct.pack("<2h", -2, 2), [-2, 2]),
        ("INT32", struct.pack("<2i", -(2**31), 5), [-(2**31), 5]),
        ("INT64", struct.pack("<2q", -(2**63), 5), [-(2**63), 5]),
        ("UINT8", b"\0\xff", [0, 255]),
        ("UINT16", b"\1\0\0\1", [1, 256]),
        ("UINT32", struct.pack("<I", 2**32 - 1), [2**32 - 1]),
        ("UINT64", struct.pack("<Q", 2**64 - 1), [2**64 - 1]),
        ("FP16", struct.pack("<2e", 0.5, -2), [0.5, -2.0]),
        ("FP32", struct.pack("<2f", 0.25, 1e30), [0.25, struct.unpack("<f", struct.pack("<f", 1e30))[0]]),
        ("FP64", struct.pack("<d", 0.1), [0.1]),
        ("BF16", b"\x80\x3f\x20\xc1", [1.0, -10.0]),
        ("BYTES", b"\3\0\0\0abc\0\0\0\0\2\0\0\0\xc3\xa9", ["abc", "", "é"]),
        ("BYTES", b"\2\0\0\0\xff\xfe", ["//4="]),
        ("FP32", b"", []),
    ],
)
def test_datatypes(datatype: str, raw: bytes, data: list[Any]) -> None:
    found = data_of(datatype, raw)
    assert found == data
    assert list(map(type, found)) == list(map(type, data))


def test_raw_and_json_tensors_side_by_side() -> None:
    head = {
        "id": "1",
        "outputs": [
            tensor("a", "INT8", 2, classification=1),
            {"name": "b", "datatype": "INT8", "shape": [1], "data": [9]},
            tensor("c", "UINT8", 1),
        ],
    }
    assert merge(head, b"\1\2\3") == (
        {
            "id": "1",
            "outputs": [
                {"name": "a", "datatype": "INT8", "parameters": {"classification": 1}, "data": [1, 2]},
                {"name": "b", "datatype": "INT8", "shape": [1], "data": [9]},
                {"name": "c", "datatype": "UINT8", "data": [3]},
            ],
        },
        True,
    )


def test_inputs_of_requests_too() -> None:
    value, _ = merge({"inputs": [tensor("x", "INT8", 1)], "outputs": [{"name": "y"}]}, b"\5")
    assert value["inputs"][0]["data"] == [5]


def test_what_strict_json_cannot_say_is_told() -> None:
    head = {"outputs": [tensor("y", "FP32", 4)]}
    _, strict = merge(head, struct.pack("<f", float("nan")))
    assert not strict


@pytest.mark.parametrize(
    ("head", "raw"),
    [
        ([], b""),
        ({}, b"left over"),
        ({"outputs": [tensor("y", "INT8", 1)]}, b"\1\2"),
        ({"outputs": [tensor("y", "INT8", 3)]}, b"\1\2"),
        ({"outputs": [tensor("y", "INT8", -1)]}, b"\1\2"),
        ({"outputs": [tensor("y", "INT8", True)]}, b"\1"),
        ({"outputs": [tensor("y", "INT8", "1")]}, b"\1"),
        ({"outputs": [tensor("y", "INT8", 10**400)]}, b"\1"),
        ({"outputs": [tensor("y", "INT16", 1)]}, b"\1"),
        ({"outputs": [tensor("y", "FP8", 1)]}, b"\1"),
        ({"outputs": [{"parameters": {"binary_data_size": 1}}]}, b"\1"),
        ({"outputs": [tensor("y", "BYTES", 3)]}, b"\1\0\0"),
        ({"outputs": [tensor("y", "BYTES", 5)]}, b"\2\0\0\0a"),
        ({"outputs": [tensor("y", "BYTES", 4)]}, b"\xff\xff\xff\xff"),
    ],
)
def test_what_does_not_fit_is_refused(head: Any, raw: bytes) -> None:
    with pytest.raises(BadTensors):
        merge(head, raw)


@pytest.mark.parametrize(("datatype", "element"), [("BOOL", b"\1"), ("BYTES", b"\0\0\0\0")])
def test_elements_are_bounded_over_all_tensors(
    datatype: str, element: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensors, "MAX_ELEMENTS", 5)
    head = {"outputs": [tensor("a", datatype, 3 * len(element)), tensor("b", datatype, 3 * len(element))]}
    with pytest.raises(TooManyElements):
        merge(head, element * 6)


JSONS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 20)
    | st.text(max_size=3)
    | st.sampled_from(["FP32", "BYTES"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["outputs", "inputs", "parameters", "binary_data_size", "datatype"]), inner
        )
    ),
)


@given(JSONS, st.binary(max_size=20))
def test_any_head_and_any_bytes_merge_or_are_refused(head: Any, raw: bytes) -> None:
    try:
        merge(head, raw)
    except BadTensors:
        pass
