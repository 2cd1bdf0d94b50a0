"""Open Inference Protocol V2, the part of it that a model with one input needs: JSON in, JSON out.

No I/O: what is wrong with a request is raised as BadInput, and the server makes an answer of it.
"""

from collections.abc import Sequence
from math import isfinite
from typing import Any

from router.demo.model import LoanModel
from router.demo.population import FEATURES

NAME = "loan"
INPUT = "applicants"
MAX_ROWS = 10_000
_WIDTH = len(FEATURES)


class BadInput(ValueError):
    """The request is no inference request for this model; the text says what is wrong."""


def metadata(versions: Sequence[str]) -> dict[str, Any]:
    """`GET /v2/models/loan`."""
    return {
        "name": NAME,
        "versions": list(versions),
        "platform": "logistic_regression",
        "inputs": [{"name": INPUT, "datatype": "FP32", "shape": [-1, _WIDTH], "features": list(FEATURES)}],
        "outputs": [
            {"name": "label", "datatype": "INT32", "shape": [-1]},
            {"name": "probability", "datatype": "FP32", "shape": [-1]},
        ],
    }


def inference_request(rows: Sequence[Sequence[float]], request_id: str = "") -> dict[str, Any]:
    """What a client sends to have these rows judged."""
    data = [value for row in rows for value in row]
    tensor = {"name": INPUT, "datatype": "FP32", "shape": [len(rows), _WIDTH], "data": data}
    return {"id": request_id, "inputs": [tensor]} if request_id else {"inputs": [tensor]}


def rows_of(request: Any) -> list[list[float]]:
    """The rows of an inference request, whether its data are flat or nested. Raises BadInput."""
    if not isinstance(request, dict) or not isinstance(request.get("inputs"), list):
        raise BadInput("an inference request is an object with a list of inputs")
    inputs = request["inputs"]
    if len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise BadInput(f"this model takes one input, {INPUT!r}; the request has {len(inputs)}")
    tensor = inputs[0]
    if tensor.get("datatype") != "FP32":
        raise BadInput(f"datatype is {tensor.get('datatype')!r}, expected FP32")
    count = _row_count(tensor.get("shape"))
    values = _flat(tensor.get("data"))
    if len(values) != count * _WIDTH:
        raise BadInput(f"data holds {len(values)} values, {count} rows need {count * _WIDTH}")
    return [values[start : start + _WIDTH] for start in range(0, len(values), _WIDTH)]


def _row_count(shape: Any) -> int:
    if isinstance(shape, list) and len(shape) == 2 and shape[1] == _WIDTH:
        count = shape[0]
        if isinstance(count, int) and not isinstance(count, bool) and 1 <= count <= MAX_ROWS:
            return count
    raise BadInput(f"shape is {shape!r}, expected [n, {_WIDTH}] with n from 1 to {MAX_ROWS}")


def _flat(data: Any) -> list[float]:
    if not isinstance(data, list):
        raise BadInput("data must be a list of numbers, or a list of rows")
    items = [value for row in data for value in row] if all(isinstance(row, list) for row in data) else data
    for value in items:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
            raise BadInput(f"data holds {value!r}, which is no finite number")
    return [float(value) for value in items]


def inference_answer(model: LoanModel, request: Any) -> dict[str, Any]:
    """Judges every row of the request. Raises BadInput."""
    rows = rows_of(request)
    probabilities = [model.probability(row) for row in rows]
    labels = [int(model.approves(row)) for row in rows]
    count = len(rows)
    answer: dict[str, Any] = {
        "model_name": NAME,
        "model_version": model.version,
        "outputs": [
            {"name": "label", "datatype": "INT32", "shape": [count], "data": labels},
            {"name": "probability", "datatype": "FP32", "shape": [count], "data": probabilities},
        ],
    }
    if isinstance(request.get("id"), str):
        answer["id"] = request["id"]
    return answer
