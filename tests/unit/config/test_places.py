"""Places and how they are written."""

import pytest

from router.config.places import Place, Steps, child_of, dotted


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ((), ""),
        (("listen",), "listen"),
        (("listen", 1), "listen[1]"),
        (("deployments", "loan", "rollout", "steps", 1, "share"), "deployments.loan.rollout.steps[1].share"),
        (("a", 0, 1), "a[0][1]"),
    ],
)
def test_dotted(steps: Steps, text: str) -> None:
    assert dotted(steps) == text


def test_a_place_without_a_line_is_the_file() -> None:
    assert str(Place("a.yaml", 3)) == "a.yaml:3"
    assert str(Place("a.yaml", 0)) == "a.yaml"


@pytest.mark.parametrize(
    ("value", "step", "expected"),
    [
        ({"a": 1}, "a", (True, 1)),
        ({"a": None}, "a", (True, None)),
        ({"a": 1}, "b", (False, None)),
        ({"a": 1}, 0, (False, None)),
        ([1, 2], 1, (True, 2)),
        ([1, 2], 2, (False, None)),
        ([1, 2], "a", (False, None)),
        ("text", 0, (False, None)),
    ],
)
def test_a_step_leads_on_or_not(value: object, step: str | int, expected: tuple[bool, object]) -> None:
    assert child_of(value, step) == expected
