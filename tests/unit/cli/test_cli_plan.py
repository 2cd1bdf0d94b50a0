"""`router plan`: rollouts as timetables."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from router.cli import main
from router.cli.plan import plan_table, timetable
from router.config.loader import load
from router.rollout.rehearsal import Traffic

CONFIG = """
deployments:
  loan:
    match: {path: /loan}
    versions: {v1: {url: "http://a:1"}, v2: {url: "http://b:1"}}
    rollout:
      pattern: canary
      stable: v1
      candidate: v2
      steps:
        - {share: 0%, mirror: 100%, hold: 30m, gates: [{agreement: {min: 98%}}]}
        - {share: 10%, hold: 10m}
        - {pause: true}
        - {share: 50%, hold: 1h}
      soak: 1h
      gates: [{error_rate: {max: 2%}}, {latency: {max_ratio: 1.2}}]
  copies:
    match: {path: /copies}
    versions: {v1: {url: "http://a:1"}, v2: {url: "http://b:1"}}
    rollout: {pattern: shadow, primary: v1, shadows: [v2]}
  plain:
    match: {path: /plain}
    versions: {v1: {url: "http://a:1"}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "router.yaml"
    path.write_text(CONFIG)
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["plan", *map(str, arguments)])


def test_a_rollout_is_a_timetable(file: Path) -> None:
    result = run(file, "loan")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert " ".join(lines).startswith(
        "assumed: 50 requests/s, 1% fail on either side, 99.5% of the pairs agree, median latency 50ms "
    )
    assert lines[2] == "loan  canary  v1 to v2"
    cells = [line.split() for line in lines[4:-1]]
    assert [row[0] for row in cells] == ["1", "2", "3", "4", "soak"]
    assert cells[0][1:6] == ["0%", "100%", "30m", "30m", "30m"]
    assert cells[0][-3:] == ["error_rate,", "latency,", "agreement"]
    assert cells[2][:4] == ["3", "10%", "promote", "40m"]
    assert cells[4][:4] == ["soak", "100%", "1h", "2h40m"]
    assert lines[-1] == ("  at least 2h40m, and as long as it takes to promote; about 2h40m at this traffic")


def test_all_rollouts_are_told_and_what_is_proxied_is_none(file: Path) -> None:
    out = run(file).stdout
    assert "copies  shadow  v1 to v2" in out
    assert "it does not end by itself: copies go on" in out
    assert "plain" not in out


def test_with_less_traffic_it_takes_longer_than_it_holds(file: Path) -> None:
    (fast,) = json.loads(run(file, "loan", "--json").stdout)
    (slow,) = json.loads(run(file, "loan", "--json", "--rps", "0.5", "--error-rate", "0.5%").stdout)
    assert fast["least"] == slow["least"] == pytest.approx(9600)
    assert fast["about"] == pytest.approx(9600)
    assert slow["about"] > 10_500
    assert [step["requests"] is not None for step in slow["steps"]] == [True, True, False, True, False]


def test_a_plan_that_comes_to_no_end_says_why(file: Path) -> None:
    (never,) = json.loads(run(file, "loan", "--json", "--error-rate", "5%").stdout)
    assert never["about"] is None
    assert never["ends"].startswith("rollback: error_rate")
    assert "it does not end by itself: rollback" in run(file, "loan", "--error-rate", "5%").stdout


def test_it_fits_a_terminal(file: Path) -> None:
    spec = load(file, {}).config.deployments["loan"]
    console = Console(width=80)
    with console.capture() as capture:
        console.print(plan_table(timetable("loan", spec, Traffic(50.0))))
    lines = capture.get().splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    assert "…" not in capture.get()


def test_what_is_not_there_and_what_is_wrong_is_said(file: Path) -> None:
    result = run(file, "lone")
    assert (result.exit_code, "loan, copies" in result.stderr) == (2, True)
    assert run(file, "plain").exit_code == 2
    file.write_text(CONFIG.replace("max: 2%", "max: 200%"))
    result = run(file)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "router.yaml:" in result.stderr
