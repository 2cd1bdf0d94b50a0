"""`router pairs export` over real segments."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from router.cli import main
from router.pairs.columns import FLAT
from router.pairs.reading import read
from tests.support.pairlogs import written


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return written(tmp_path / "pairs")


def export(log: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["pairs", "export", "loan", "--from", str(log.parent), *arguments])


def test_json_lines_are_those_of_the_log(log: Path) -> None:
    result = export(log)
    assert result.exit_code == 0
    assert [json.loads(line) for line in result.stdout.splitlines()] == list(read(log))


def test_csv_by_option_or_by_the_name_of_the_file(log: Path, tmp_path: Path) -> None:
    out = tmp_path / "pairs.csv"
    assert export(log, "--out", str(out)).output == ""
    assert out.read_bytes().decode() == export(log, "--format", "csv").stdout_bytes.decode()
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20
    assert list(rows[0]) == [column.name for column in FLAT]
    assert json.loads(rows[3]["shadow_body"]) == {"label": 9}


def test_columns_and_selection(log: Path) -> None:
    result = export(log, "--columns", "id, verdict", "--verdict", "mismatch", "--format", "csv")
    assert result.stdout.splitlines() == ["id,verdict", *(f"id-{number},mismatch" for number in range(5))]
    assert json.loads(export(log, "--columns", "verdict,id").stdout.splitlines()[0]) == {
        "verdict": "mismatch",
        "id": "id-0",
    }
    assert export(log, "--since", "2026-01-01").stdout == ""


def test_parquet(log: Path, tmp_path: Path) -> None:
    import duckdb

    out = tmp_path / "pairs.parquet"
    assert export(log, "--out", str(out), "--verdict", "match").exit_code == 0
    query = "select count(*), min(verdict), count(distinct exchange) from read_parquet(?)"
    found = duckdb.execute(query, [str(out)]).fetchall()
    assert found == [(15, "match", 15)]


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["--columns", "id,latency"], 2, "there is no column 'latency'; there are id, time"),
        (["--format", "parquet"], 2, "name a file with --out"),
        (["--out", "{log}/more.jsonl"], 1, "would lie among the segments of the log"),
        (["--out", "{log}/none/x.csv"], 1, "No such file or directory"),
        (["--out", "{log}/none/x.parquet"], 1, "No such file or directory"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    log: Path, arguments: list[str], code: int, complaint: str
) -> None:
    result = export(log, *(argument.format(log=log) for argument in arguments))
    assert result.exit_code == code
    assert complaint in result.stderr
    assert result.stdout == ""


def test_what_is_torn_is_named_and_left_out(log: Path) -> None:
    with (log / "2.jsonl").open("ab") as file:
        file.write(b'rubbish\n{"torn')
    result = export(log)
    assert len(result.stdout.splitlines()) == 20
    assert "2.jsonl: from byte" in result.stderr
    assert "1 damaged line left out" in result.stderr


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_a_packed_segment_that_is_cut_short_is_named_once(log: Path, tmp_path: Path, form: str) -> None:
    packed = log / "1.jsonl.zst"
    packed.write_bytes(packed.read_bytes()[:-1])
    result = export(log, "--out", str(tmp_path / f"pairs.{form}"))
    assert result.exit_code == 0
    assert result.stderr == f"router: {packed}: from byte 0 on the packed file is cut short, left out\n"


def test_a_reader_that_leaves_early_is_no_error(log: Path) -> None:
    with (log / "3.jsonl").open("wb") as file:
        file.write((log / "2.jsonl").read_bytes() * 200)
    command = [sys.executable, "-m", "router.cli", "pairs", "export", "loan", "--from", str(log.parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(10) == 0
