"""The binary tensor extension of the Open Inference Protocol (V2): tensors beside the JSON instead of in it.

`Inference-Header-Content-Length: N` says that the body is N bytes of JSON and then raw tensors, one after the
other, for each entry of `inputs` and `outputs` whose parameters have `binary_data_size`. Here it becomes the
value that the same message without the extension would have. Rules and types:
https://github.com/kserve/open-inference-protocol and Triton's `extension_binary_data.md`.
"""

import base64
import struct
from collections.abc import Callable
from math import isfinite
from typing import Any

MAX_ELEMENTS = 1 << 21
"""Elements of all tensors of one body together; a body of more is not taken apart."""

_SIZE = "binary_data_size"
_FORMATS = {
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}


class BadTensors(Exception):
    """A body that is not what its head says; the message says why."""


class TooManyElements(BadTensors):
    """Well formed, perhaps, but not taken apart."""

    def __init__(self) -> None:
        super().__init__(f"binary tensors of more than {MAX_ELEMENTS} elements")


def merge(head: Any, raw: bytes) -> tuple[Any, bool]:
    """The JSON head with the raw tensors as `data`, and whether that is strict JSON (all numbers finite).

    BYTES elements become strings, those that are no UTF-8 in base64. `head` is changed and returned. Raises
    BadTensors.
    """
    if not isinstance(head, dict):
        raise BadTensors("the head is no object")
    places = [tensor for key in ("inputs", "outputs") for tensor in _binary(head.get(key))]
    offset, room, strict = 0, MAX_ELEMENTS, True
    for tensor in places:
        size = tensor["parameters"].pop(_SIZE)
        if type(size) is not int or not 0 <= size <= len(raw) - offset:
            raise BadTensors(f"a {_SIZE} does not fit the body")
        data = _elements(tensor.get("datatype"), raw[offset : offset + size], room)
        strict = strict and (tensor["datatype"] not in _FLOATS or all(map(isfinite, data)))
        offset, room = offset + size, room - len(data)
        tensor["data"] = data
        if not tensor["parameters"]:
            del tensor["parameters"]
    if offset != len(raw):
        raise BadTensors(f"{len(raw) - offset} bytes belong to no tensor")
    return head, strict


def _binary(tensors: Any) -> list[dict[str, Any]]:
    """The entries whose data lies beside the JSON."""
    if not isinstance(tensors, list):
        return []
    return [tensor for tensor in tensors if isinstance(tensor, dict) and _has_size(tensor.get("parameters"))]


def _has_size(parameters: Any) -> bool:
    return isinstance(parameters, dict) and _SIZE in parameters


def _elements(datatype: Any, raw: bytes, room: int) -> list[Any]:
    reader = _READERS.get(datatype) if isinstance(datatype, str) else None
    if reader is None:
        raise BadTensors("a datatype is not known here")
    return reader(raw, room)


def _numbers(kind: str) -> Callable[[bytes, int], list[Any]]:
    width = struct.calcsize(f"<{kind}")

    def read(raw: bytes, room: int) -> list[Any]:
        return list(struct.unpack(f"<{_count(raw, width, room)}{kind}", raw))

    return read


def _bools(raw: bytes, room: int) -> list[Any]:
    _count(raw, 1, room)
    return list(map(bool, raw))


def _bfloats(raw: bytes, room: int) -> list[Any]:
    """A bfloat16 is the upper half of a float32."""
    count = _count(raw, 2, room)
    wide = bytearray(4 * count)
    wide[2::4], wide[3::4] = raw[0::2], raw[1::2]
    return list(struct.unpack(f"<{count}f", wide))


def _strings(raw: bytes, room: int) -> list[Any]:
    """Each element is its length (4 bytes, little-endian) and as many bytes."""
    found: list[Any] = []
    offset = 0
    while offset < len(raw):
        start = offset + 4
        offset = start + int.from_bytes(raw[offset:start], "little")
        if start > len(raw) or offset > len(raw):
            raise BadTensors("a BYTES element reaches over the end of its tensor")
        if len(found) >= room:
            raise TooManyElements
        found.append(_text(raw[start:offset]))
    return found


def _count(raw: bytes, width: int, room: int) -> int:
    count, rest = divmod(len(raw), width)
    if rest:
        raise BadTensors(f"{len(raw)} bytes are no whole number of elements of {width}")
    if count > room:
        raise TooManyElements
    return count


def _text(element: bytes) -> str:
    try:
        return element.decode()
    except UnicodeDecodeError:
        return base64.b64encode(element).decode()


_FLOATS = frozenset(("FP16", "FP32", "FP64", "BF16"))
_READERS: dict[str, Callable[[bytes, int], list[Any]]] = {
    **{datatype: _numbers(kind) for datatype, kind in _FORMATS.items()},
    "BOOL": _bools,
    "BF16": _bfloats,
    "BYTES": _strings,
}
