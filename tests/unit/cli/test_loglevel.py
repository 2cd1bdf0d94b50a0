"""`router log-level`: shown, set, and only to what there is."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from router.cli import main


def run(stub: Any, *arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["log-level", *arguments, "--admin", stub.url])
    return result.exit_code, result.stdout, result.stderr


def test_it_is_shown(stub: Any) -> None:
    stub.answer("GET /api/v1/log-level", {"level": "INFO"})
    assert run(stub) == (0, "the log says INFO and above\n", "")
    assert json.loads(run(stub, "--json")[1]) == {"level": "INFO"}


@pytest.mark.parametrize("written", ["debug", "DEBUG"])
def test_it_is_set(stub: Any, written: str) -> None:
    stub.answer("POST /api/v1/log-level", {"level": "DEBUG"})
    assert run(stub, written) == (0, "the log says DEBUG and above\n", "")
    assert stub.asked == [("POST", "/api/v1/log-level", {"level": "debug"})]


def test_what_there_is_not_is_refused_with_what_there_is(stub: Any) -> None:
    code, _, err = run(stub, "loud")
    assert code == 2
    assert "'debug', 'info', 'warning', 'error', 'critical'" in err
