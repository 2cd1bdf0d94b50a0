import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from router.cli import main

ROOT = Path(__file__).parents[3]
GOOD = """\
deployments:
  loan:
    match: {path: /loan}
    versions: {v1: {url: http://127.0.0.1:9001}}
"""


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["validate", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.yaml"
    path.write_text(GOOD)
    return path


def test_what_is_right_is_summed_up(good: Path) -> None:
    assert run(good) == (0, f"{good}: ok: loan (proxied)\n", "")
    canary = ROOT / "router/demo/canary.yaml"
    assert run(canary) == (0, f"{canary}: ok: loan (canary)\n", "")


def test_every_problem_has_a_line_of_its_own(tmp_path: Path, good: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(GOOD.replace("url:", "uri:") + "    timeouts: {connect: fast}\n")
    code, out, err = run(bad, good)
    assert code == 2
    assert out == f"{good}: ok: loan (proxied)\n"
    lines = err.splitlines()
    assert any(line.startswith(f"{bad}:4: deployments.loan.versions.v1") for line in lines)
    assert any(line.startswith(f"{bad}:5: deployments.loan.timeouts.connect") for line in lines)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    code, out, err = run(tmp_path / "none.yaml")
    assert (code, out) == (2, "")
    assert err.startswith(f"{tmp_path / 'none.yaml'}: ")


def test_variables_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "env.yaml"
    path.write_text(GOOD.replace("http://127.0.0.1:9001", '"${MODEL_URL}"'))
    assert run(path)[0] == 2
    monkeypatch.setenv("MODEL_URL", "http://127.0.0.1:9001")
    assert run(path)[0] == 0


def test_the_schema_is_json_schema_of_the_whole_file() -> None:
    schema = json.loads(CliRunner().invoke(main, ["schema"]).stdout)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert {"listen", "admin", "state", "pairs", "deployments"} <= schema["properties"].keys()
    assert schema["additionalProperties"] is False
