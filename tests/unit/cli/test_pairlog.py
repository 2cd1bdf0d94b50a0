from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from router.cli.client import Failed
from router.cli.pairlog import configuration, files_at, finds_log, segments_of, selects_pairs
from router.pairs.extract import Selection
from tests.support.pairlogs import written

CONFIG = (
    "pairs: {path: elsewhere}\ndeployments: {loan: {match: {path: /x}, versions: {v1: {url: http://h:1}}}}\n"
)


@click.command()
@selects_pairs
@finds_log
def command(selection: Selection, root: Path) -> None:
    click.echo(f"{root} {selection.verdict} {selection.since}")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def test_the_log_lies_where_the_configuration_or_the_caller_says(tmp_path: Path) -> None:
    file = tmp_path / "router.yaml"
    file.write_text(CONFIG)
    assert run().output.startswith("var/pairs ")
    assert run("--from", "here").output.startswith("here ")
    assert run("--config", str(file)).output.startswith("elsewhere ")
    both = run("--config", str(file), "--from", "here")
    assert (both.exit_code, "give --config or --from" in both.stderr) == (2, True)


def test_a_selection_comes_from_the_options() -> None:
    assert run("--verdict", "match", "--since", "2026-01-31T08:00Z").output == (
        "var/pairs match 2026-01-31 08:00:00+00:00\n"
    )
    assert run("--verdict", "same").exit_code == 2


def test_a_wrong_configuration_is_exit_code_2_with_every_problem(tmp_path: Path) -> None:
    file = tmp_path / "router.yaml"
    file.write_text("deployments: {loan: {}}\nlisten: nowhere\n")
    with pytest.raises(SystemExit) as error:
        configuration(file)
    assert error.value.code == 2


def test_segments_of_a_deployment_under_the_root_or_in_the_root(tmp_path: Path) -> None:
    directory = written(tmp_path)
    files = sorted(directory.iterdir())
    assert segments_of(tmp_path, "loan") == files
    assert segments_of(directory, "loan") == files
    assert files_at(directory) == files
    with pytest.raises(Failed, match="there is no pair log at"):
        segments_of(tmp_path, "embed")


def test_a_log_that_may_not_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = written(tmp_path)
    monkeypatch.setattr("os.access", lambda path, mode: not str(path).endswith("2.jsonl"))
    with pytest.raises(Failed, match=r"2\.jsonl: this user may not read it"):
        files_at(directory)
