"""The commands in docs/pairs.md do what they say there, on a log of this machine."""

import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from router.cli import main
from router.cli.replay import replay
from tests.support.pairlogs import written

PAGE = (Path(__file__).parents[3] / "docs" / "pairs.md").read_text()


def commands(*names: str) -> list[list[str]]:
    """The commands of that name in the page's blocks, as a shell would split them."""
    blocks = "".join(re.findall(r"^```(?:sh|console)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
    joined = re.sub(r"\\\n\s*|\n {4}", " ", blocks)
    lines = [line.removeprefix("$ ") for line in joined.splitlines()]
    start = " ".join(("router", *names)) + " "
    return [shlex.split(line)[1:] for line in lines if line.startswith(start)]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    written(tmp_path / "var" / "pairs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", [*commands("pairs", "export"), *commands("pairs", "sql")], ids=" ".join)
def test_it_works(here: Path, command: list[str]) -> None:
    redirected = command.index(">") if ">" in command else len(command)
    result = CliRunner().invoke(main, command[:redirected])
    assert result.exit_code == 0, result.output
    assert result.stdout or "--out" in command


@pytest.mark.parametrize("command", commands("replay"), ids=" ".join)
def test_replay_takes_these_options(command: list[str]) -> None:
    redirected = command.index(">") if ">" in command else len(command)
    context = replay.make_context("replay", command[1:redirected], resilient_parsing=False)
    assert isinstance(context, click.Context)


def test_the_commands_are_found() -> None:
    assert [len(commands(*names)) for names in (("pairs", "export"), ("pairs", "sql"), ("replay",))] == [
        4,
        4,
        2,
    ]
