"""`router pairs sql` over real segments."""

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from router.cli import main
from router.cli import sql as module
from router.cli.database import Rows
from tests.support.pairlogs import written


@pytest.fixture
def root(tmp_path: Path) -> Path:
    written(tmp_path, "loan")
    written(tmp_path, "embed", count=4, different=0)
    return tmp_path


def ask(root: Path, query: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["pairs", "sql", query, *arguments, "--from", str(root)])


COUNT = "select deployment, count(*) as pairs from pairs group by 1 order by 1"


def test_a_table(root: Path) -> None:
    assert ask(root, COUNT).stdout.splitlines() == [
        "deployment  pairs",
        "embed           4",
        "loan           20",
    ]


def test_deployments_by_name(root: Path) -> None:
    assert "embed" not in ask(root, COUNT, "loan").stdout
    assert len(ask(root, COUNT, "loan", "embed").stdout.splitlines()) == 3
    missing = ask(root, COUNT, "loans")
    assert (missing.exit_code, missing.stderr) == (1, f"router: there is no pair log at {root}/loans\n")


def test_json_has_json_within(root: Path) -> None:
    query = "select time, request.body, score from pairs where exchange = '3' and deployment = 'loan'"
    assert [json.loads(line) for line in ask(root, query, "--format", "json").stdout.splitlines()] == [
        {"time": "2023-11-14T22:13:20.250000Z", "body": {"number": 3}, "score": 0.0}
    ]


def test_csv(root: Path) -> None:
    query = "select request_body, shadow_error, 1/3.0 third, true yes from flat where exchange = '3' limit 1"
    rows = list(csv.DictReader(io.StringIO(ask(root, query, "--format", "csv").stdout)))
    assert rows == [{"request_body": '{"number": 3}', "shadow_error": "", "third": str(1 / 3), "yes": "true"}]


def test_what_a_table_leaves_out_is_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHOWN", 3)
    result = ask(root, "select id from pairs")
    assert len(result.stdout.splitlines()) == 4
    assert result.stderr == "router: the first 3 of 24 rows; --format json has all\n"


def test_rows_wider_than_the_terminal_are_written_below_each_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "output", lambda: Console(width=40))
    module.WRITERS["table"](Rows(["id", "body"], [("a", "x" * 500), ("b", None)]))
    first, *_, _, second, last = capsys.readouterr().out.splitlines()
    assert first == "id    a"
    assert second == "id    b"
    assert last == "body  -"


def test_answers_of_others_steer_no_terminal(root: Path) -> None:
    assert "\x1b" not in ask(root, "select chr(27) || ']0;gotcha' as x").stdout


def test_a_deployment_whose_records_are_all_gone_hides_no_other(root: Path) -> None:
    for path in (root / "embed").iterdir():
        path.unlink()
    assert ask(root, COUNT).stdout.split() == ["deployment", "pairs", "loan", "20"]


def test_what_is_torn_is_named(root: Path) -> None:
    plain, packed = root / "loan" / "2.jsonl", root / "loan" / "1.jsonl.zst"
    at = plain.stat().st_size
    with plain.open("ab") as file:
        file.write(b'{"torn')
    packed.write_bytes(packed.read_bytes()[:-1])
    result = ask(root, COUNT)
    assert result.stdout.split() == ["deployment", "pairs", "embed", "4", "loan", "10"]
    assert result.stderr.splitlines() == [
        f"router: {packed}: from byte 0 on the packed file is cut short, left out",
        f"router: {plain}: from byte {at} on a line is torn, left out",
    ]


def test_wrong_sql_is_exit_code_1_and_one_line(root: Path) -> None:
    result = ask(root, "select count( from pairs")
    assert (result.exit_code, result.stderr) == (1, 'router: Parser Error: syntax error at or near "from"\n')
