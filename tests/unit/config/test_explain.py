"""pydantic's errors as people's. The table of bad files tests the rest."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from router.config.explain import explain, nearest, shown
from router.config.places import Place, Steps
from router.config.schema import Config
from router.config.source import Source
from router.errors import Problem

SCHEMA = Config.model_json_schema()
LOAN: dict[str, Any] = {"match": {"path": "/a"}, "versions": {"v1": {"url": "http://h:1"}}}


def problems(**values: Any) -> list[Problem]:
    source = Source(Place("f.yaml", 1), {"deployments": {"loan": LOAN}} | values)
    with pytest.raises(ValidationError) as caught:
        Config.model_validate(source.values)
    return explain(caught.value, source, SCHEMA)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("stabel", "did you mean `stable`?"),
        ("STABLE", "did you mean `stable`?"),
        ("zzz", "known here: stable, candidate"),
    ],
)
def test_nearest(word: str, said: str) -> None:
    assert nearest(word, ["stable", "candidate"]) == said
    assert nearest(word, []) == ""


@pytest.mark.parametrize(
    ("value", "steps", "text"),
    [
        (5, ("workers",), "`5`"),
        (True, ("workers",), "true"),
        (None, ("workers",), "nothing"),
        ({"a": 1}, ("workers",), "a mapping"),
        ([1], ("workers",), "a list"),
        ("x" * 100, ("workers",), f"`{'x' * 57}...`"),
        ("http://u:p@h/", ("url",), "`http://***@h/`"),
        ("http://u:p/q@r@h/", ("url",), "`http://***@h/`"),
        (12345, ("tracing", "headers", "x-api-key"), "a value that is not shown"),
        ("hush", ("tracing", "headers"), "a value that is not shown"),
        ("hush", ("deployments", "d", "pairs", "hash"), "a value that is not shown"),
        ("hush", ("admin", "tokens", 0, "token"), "a value that is not shown"),
        ("hush", ("admin", "tokens", 0), "a value that is not shown"),
        ("hush", ("admin",), "a value that is not shown"),
        ("boss", ("admin", "tokens", 0, "role"), "`boss`"),
    ],
)
def test_shown(value: object, steps: Steps, text: str) -> None:
    assert shown(value, steps) == text


@pytest.mark.parametrize(
    ("listen", "path"),
    [
        (5, "listen"),
        ("x", "listen"),
        ([5], "listen[0]"),
        (["127.0.0.1:1", "x"], "listen[1]"),
        ({"address": "x"}, "listen.address"),
        ([{"address": "x"}], "listen[0].address"),
        ({"adress": "127.0.0.1:1"}, "listen.adress"),
    ],
)
def test_listen_may_be_written_in_three_ways(listen: object, path: str) -> None:
    assert [problem.path for problem in problems(listen=listen)] == [path]


def test_a_key_named_like_its_pattern_is_a_key() -> None:
    rollout = {"pattern": "canary", "canary": 1, "stable": "v1", "candidate": "v2", "steps": [{"share": 0}]}
    (problem,) = problems(deployments={"loan": LOAN | {"rollout": rollout}})
    assert problem.path == "deployments.loan.rollout.canary"
    assert problem.rule == "unknown key"


def test_a_misspelt_key_hides_only_the_key_it_means() -> None:
    found = problems(deployments={"loan": {"mach": {"path": "/a"}}})
    assert {problem.path: problem.rule for problem in found} == {
        "deployments.loan.mach": "unknown key",
        "deployments.loan.versions": "this key is required",
    }


def test_no_model_in_the_schema_speaks_to_people_as_pydantic_does() -> None:
    """Everything wrong in every place at once: each error has words of our own."""
    wrong = [None, 5, -1, "", "x", [], [None], {}, {"x": 1}, True, 1.5, float("nan")]
    spec = LOAN | {"rollout": {"pattern": "canary"}}
    for value in wrong:
        changes: list[dict[str, Any]] = [{key: value} for key in Config.model_fields]
        changes += [{"deployments": {"loan": spec | {key: value}}} for key in (*spec, "timeouts", "pairs")]
        changes += [{"deployments": {"loan": LOAN | {"match": {key: value}}}} for key in ("path", "headers")]
        changes += [{"admin": {"tokens": [{key: value}]}} for key in ("name", "token", "role")]
        for change in changes:
            source = Source(Place("f.yaml", 1), {"deployments": {"loan": LOAN}} | change)
            try:
                Config.model_validate(source.values)
            except ValidationError as error:
                text = "\n".join(map(str, explain(error, source, SCHEMA)))
                assert text
                assert "Input" not in text, text
                assert "valid" not in text, text


def test_lines_come_from_the_source(tmp_path: Path) -> None:
    source = Source(Place("f.yaml", 1), {"deployments": {"loan": LOAN}, "workers": 0})
    source.places[("workers",)] = Place("g.yaml", 7)
    with pytest.raises(ValidationError) as caught:
        Config.model_validate(source.values)
    (problem,) = explain(caught.value, source, {})
    assert (problem.file, problem.line) == ("g.yaml", 7)
