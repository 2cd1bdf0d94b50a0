"""`router reload`, against an admin API that is this test."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from router.cli import main
from router.cli.client import Admin

CALLS = {
    ("config/reload"): {"digest": "abc", "generation": 7},
    ("workers/replace"): {"replaced": 1},
}


@pytest.fixture
def posted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    posted: list[str] = []

    def post(self: Admin, path: str, *rest: Any) -> Any:
        posted.append(path)
        return CALLS[path]

    monkeypatch.setattr(Admin, "post", post)
    monkeypatch.setattr(Admin, "wait_post", post)
    return posted


@pytest.mark.parametrize(
    ("options", "path", "said"),
    [
        ([], "config/reload", "configuration abc is in force, generation 7\n"),
        (["--workers"], "workers/replace", "1 worker replaced; those before finish what they have\n"),
    ],
)
def test_it_reads_the_files_again_or_replaces_workers(
    posted: list[str], options: list[str], path: str, said: str
) -> None:
    done = CliRunner().invoke(main, ["reload", *options])
    assert (done.exit_code, done.output, posted) == (0, said, [path])
    done = CliRunner().invoke(main, ["reload", *options, "--json"])
    assert json.loads(done.output) == CALLS[path]
