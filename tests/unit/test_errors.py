"""Errors are written for the person who has to do something about them."""

import pytest

from router.errors import ConfigError, Problem, Refused, RouterError, whence

RULE = "a share lies between 0% and 100%"


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem("a.yaml", 3, "x.share", RULE, "120%", "write 12%"),
         f"a.yaml:3: x.share: found 120%: {RULE} (write 12%)"),
        (Problem("a.yaml", 3, "x.share", RULE), f"a.yaml:3: x.share: {RULE}"),
        (Problem("a.yaml", 0, "", "the file is empty"), "a.yaml: the file is empty"),
        (Problem("a.yaml", 9, "", "a tab", fix="use spaces"), "a.yaml:9: a tab (use spaces)"),
    ],
)  # fmt: skip
def test_a_problem_says_where_what_and_how_to_mend_it(problem: Problem, text: str) -> None:
    assert str(problem) == text


def test_of_an_unforeseen_error_only_kind_and_place_are_told() -> None:
    with pytest.raises(UnicodeEncodeError) as raised:
        "secret é".encode("ascii")
    assert whence(raised.value).startswith("UnicodeEncodeError in test_errors.py:")
    assert whence(KeyError("secret")) == "KeyError"


def test_a_config_error_holds_every_problem_one_a_line() -> None:
    problems = [Problem("a.yaml", line, "", "wrong") for line in (1, 2)]
    error = ConfigError(problems)
    assert error.problems == problems
    assert str(error) == "a.yaml:1: wrong\na.yaml:2: wrong"


def test_a_refusal_carries_its_status_and_what_would_work() -> None:
    error = Refused(404, "no deployment is called x", known=("a", "b"))
    assert (error.status, str(error), error.phase, error.known) == (404, error.detail, "", ("a", "b"))
    assert Refused(409, "not now", phase="steady").phase == "steady"


def test_all_errors_raised_on_purpose_have_one_base() -> None:
    assert issubclass(ConfigError, RouterError)
    assert issubclass(Refused, RouterError)
