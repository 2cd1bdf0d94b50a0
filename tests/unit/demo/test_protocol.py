from typing import Any

import pytest

from router.demo.model import load
from router.demo.population import FEATURES
from router.demo.protocol import BadInput, inference_answer, inference_request, metadata, rows_of

ROW = [50.0, 0.3, 8.0, 20.0, 1.0, 4.0]


def tensor(**changes: Any) -> dict[str, Any]:
    request = inference_request([ROW])
    request["inputs"][0].update(changes)
    return request


def test_flat_and_nested_data_are_the_same_rows() -> None:
    flat = tensor(shape=[2, 6], data=ROW + ROW)
    nested = tensor(shape=[2, 6], data=[ROW, ROW])
    assert rows_of(flat) == rows_of(nested) == [ROW, ROW]


def test_an_answer_judges_every_row() -> None:
    model = load("v1")
    poor = [15.0, 0.9, 0.0, 60.0, 6.0, 0.0]
    answer = inference_answer(model, inference_request([ROW, poor], "abc"))
    label, probability = answer["outputs"]
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("abc", "loan", "v1")
    assert (label["name"], label["datatype"], label["shape"], label["data"]) == (
        "label",
        "INT32",
        [2],
        [1, 0],
    )
    assert probability["data"] == [model.probability(ROW), model.probability(poor)]


def test_an_answer_has_an_id_only_when_it_was_asked_for() -> None:
    assert "id" not in inference_answer(load("v1"), inference_request([ROW]))


@pytest.mark.parametrize(
    ("request_body", "wrong"),
    [
        ([], "an object with a list of inputs"),
        ({}, "an object with a list of inputs"),
        ({"inputs": []}, "takes one input"),
        ({"inputs": [1]}, "takes one input"),
        (tensor(datatype="INT64"), "expected FP32"),
        (tensor(shape=[1, 5]), "expected \\[n, 6\\]"),
        (tensor(shape=[0, 6]), "expected \\[n, 6\\]"),
        (tensor(shape=[True, 6]), "expected \\[n, 6\\]"),
        (tensor(shape=6), "expected \\[n, 6\\]"),
        (tensor(shape=[2, 6]), "holds 6 values, 2 rows need 12"),
        (tensor(data=[]), "holds 0 values"),
        (tensor(data="abc"), "list of numbers"),
        (tensor(data=["a", *ROW[1:]]), "'a', which is no finite number"),
        (tensor(data=[True, *ROW[1:]]), "True, which is no finite number"),
        (tensor(data=[float("nan"), *ROW[1:]]), "nan, which is no finite number"),
        (tensor(data=[[1.0], 2.0]), "no finite number"),
    ],
)
def test_what_is_wrong_is_said(request_body: Any, wrong: str) -> None:
    with pytest.raises(BadInput, match=wrong):
        rows_of(request_body)


def test_the_metadata_names_inputs_and_outputs() -> None:
    described = metadata(["v2"])
    assert described["versions"] == ["v2"]
    assert described["inputs"][0]["shape"] == [-1, len(FEATURES)]
    assert [output["name"] for output in described["outputs"]] == ["label", "probability"]
