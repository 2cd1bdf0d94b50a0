"""Whole configurations: what loads, what is reported together, what stays secret."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from router.config.loader import load, mask
from router.config.schema import CanaryRollout, Config
from router.errors import ConfigError

CONFIGS = sorted((Path(__file__).parents[3] / "configs").glob("*.yaml"))

LOAN = """\
deployments:
  loan:
    match: {path: /loan}
    versions: {v1: {url: http://127.0.0.1:9001}}
"""

# The example of the design, with every key of a canary.
WHOLE = """\
listen: 127.0.0.1:8080
workers: auto
admin:
  listen: 127.0.0.1:8081
  tokens:
    - {name: ci, token: "${ROUTER_ADMIN_TOKEN}", role: operator}
state: {path: var/router.db}
pairs: {path: var/pairs, rotate: {size: 128MiB, every: 1h}, keep: 7d}

deployments:
  loan-approval:
    match: {path: /v2/models/loan/**, host: models.example.com, methods: [POST], headers: {x-tenant: acme}}
    versions:
      v1: {url: http://127.0.0.1:9001}
      v2:
        urls: [http://127.0.0.1:9002, http://127.0.0.1:9003]
        health: {path: /v2/health/ready, every: 2s}
        limits: {connections: 256, in_flight: 512}
    timeouts: {connect: 1s, first_byte: 30s, idle: 60s, total: 10m}
    retries: {attempts: 1}
    pairs:
      compare: {json: {ignore: [/id, /created], numbers: {relative: 1e-3, absolute: 1e-9}}}
      redact: {request: [/inputs/0/data/3], response: [], headers: [authorization, cookie]}
    rollout:
      pattern: canary
      stable: v1
      candidate: v2
      sticky: {header: x-user-id}
      force: {header: x-router-version}
      fallback: true
      steps:
        - {share: 0%, mirror: 100%, hold: 30m, gates: [{agreement: {min: 98%}}]}
        - {share: 1%, mirror: 10%, hold: 10m}
        - {share: 10%, hold: 30m}
        - {pause: true}
        - {share: 50%, hold: 1h}
      soak: 1h
      gates:
        - {error_rate: {max_ratio: 1.0, pass_ratio: 2.0, max: 2%}}
        - {latency: {quantile: 95%, max_ratio: 1.2}}
      confidence: 99%
      min_requests: 100
      on_fail: rollback
      on_inconclusive: hold
      give_up: 2h
"""
SECRET = "correct-horse-battery"
ENVIRON = {"ROUTER_ADMIN_TOKEN": SECRET}


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def problems_of(path: Path, environ: dict[str, str] = ENVIRON) -> dict[str, str]:
    """What `load` complains of: rule by path."""
    with pytest.raises(ConfigError) as caught:
        load(path, environ)
    found = {problem.path: problem.rule for problem in caught.value.problems}
    assert len(found) == len(caught.value.problems), "one problem for one place"
    return found


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.name)
def test_every_configuration_we_ship_loads(file: Path) -> None:
    assert load(file, {}).config.deployments


def test_all_four_are_shipped() -> None:
    names = {file.stem for file in CONFIGS}
    assert {"shadow", "canary", "blue_green", "reference"} <= names


def schema_keys(schema: Any) -> set[str]:
    """Every key the JSON schema names, but `kind`, which is written as the key itself."""
    names: set[str] = set()
    if isinstance(schema, dict):
        properties = schema.get("properties", {})
        names |= set(properties)
        for key, part in schema.items():
            names |= schema_keys(list(part.values()) if key in ("properties", "$defs") else part)
    elif isinstance(schema, list):
        for part in schema:
            names |= schema_keys(part)
    return names - {"tag"}


def test_the_reference_documents_every_key() -> None:
    reference = next(file for file in CONFIGS if file.stem == "reference").read_text()
    keys = schema_keys(Config.model_json_schema())
    assert {"deployments", "relative", "gates", "pass_ratio", "noise", "cert", "mirror"} <= keys
    assert [key for key in sorted(keys) if not re.search(rf"\b{key}:", reference)] == []


def test_every_default_the_reference_states_is_the_default() -> None:
    """`key: value  # …; default value` in the reference, where the value shown is the default."""
    reference = next(file for file in CONFIGS if file.stem == "reference")
    shown = load(reference, {}).config
    plain = Config.model_validate(YAML(typ="safe", pure=True).load(LOAN))
    assert (shown.listen, shown.workers, shown.state, shown.pairs) == (
        plain.listen,
        plain.workers,
        plain.state,
        plain.pairs,
    )
    loan, default = shown.deployments["loan"], plain.deployments["loan"]
    assert (loan.timeouts, loan.retries) == (default.timeouts, default.retries)
    assert loan.pairs.redact.headers == default.pairs.redact.headers


def test_the_whole_example_loads(tmp_path: Path) -> None:
    config = load(write(tmp_path, whole=WHOLE) / "whole.yaml", ENVIRON).config
    spec = config.deployments["loan-approval"]
    assert isinstance(spec.rollout, CanaryRollout)
    assert [step.share for step in spec.rollout.steps] == [0.0, 0.01, 0.1, None, 0.5]
    assert [gate.tag for gate in (*spec.rollout.steps[0].gates, *spec.rollout.gates)] == [
        "agreement",
        "error_rate",
        "latency",
    ]
    assert (spec.rollout.on_fail, spec.rollout.give_up) == ("rollback", 7200)
    assert spec.versions["v2"].endpoints == ("http://127.0.0.1:9002", "http://127.0.0.1:9003")
    assert config.admin.tokens[0].token == SECRET
    assert config.pairs.keep == 7 * 86400


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    text = (
        WHOLE.replace("workers: auto", "workers: some")
        .replace("tokens:", "tokns:")
        .replace("candidate: v2", "candidate: v3")
        .replace("connect: 1s", "conect: 1s")
        .replace("share: 10%", "share: 110%")
        .replace("soak: 1h", "soak: ${NOT_SET}")
    )
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, whole=text) / "whole.yaml", ENVIRON)
    problems = caught.value.problems
    loan = "deployments.loan-approval"
    assert [problem.path for problem in problems] == [
        "workers",
        "admin.tokns",
        f"{loan}.timeouts.conect",
        f"{loan}.rollout.candidate",
        f"{loan}.rollout.steps[2].share",
        f"{loan}.rollout.soak",
    ]
    lines = [problem.line for problem in problems]
    assert lines == sorted(lines)
    assert str(caught.value).count("\n") == len(caught.value.problems) - 1


def test_mistakes_of_several_files_are_reported_together(tmp_path: Path) -> None:
    folder = write(tmp_path / "d", a="workers: 2\nlisten: [\n", b="- 1\n", c=LOAN)
    with pytest.raises(ConfigError) as caught:
        load(folder, {})
    assert [Path(problem.file).name for problem in caught.value.problems] == ["a.yaml", "b.yaml"]


def test_secrets_are_neither_in_errors_nor_in_the_masked_configuration(tmp_path: Path) -> None:
    for index, bad in enumerate(
        [
            f"tokens: [{SECRET}]",
            f"tokens: {SECRET}",
            f"tokens: {{ci: {SECRET}}}",
            f"token: {SECRET}",
            f"tokens: [{{name: ci, token: [{SECRET}]}}]",
            f"tokens: [{{name: ci, tken: {SECRET}}}]",
            f"tokens: [{{name: a, token: {SECRET}}}, {{name: b, token: {SECRET}}}]",
            "tokens: [{name: a, token: 1234567890123}]",
        ]
    ):
        folder = write(tmp_path / str(index), a=f"{LOAN}admin:\n  {bad}\n")
        with pytest.raises(ConfigError) as caught:
            load(folder, {})
        assert SECRET not in str(caught.value)
        assert "1234567890123" not in str(caught.value)
    text = LOAN + 'admin: {tokens: [{name: ci, token: "${ROUTER_ADMIN_TOKEN}"}]}\n'
    config = load(write(tmp_path / "good", a=text), ENVIRON).config
    masked = mask(config)
    assert SECRET not in json.dumps(masked)
    assert SECRET not in repr(config)
    assert masked["admin"]["tokens"] == [{"name": "ci", "token": "***", "token_file": "", "role": "viewer"}]
    assert masked["deployments"]["loan"]["pairs"]["compare"]["json"]["ignore"] == []


def test_a_masked_configuration_shows_defaults(tmp_path: Path) -> None:
    masked = mask(load(write(tmp_path, a=LOAN), {}).config)
    assert masked["workers"] == "auto"
    assert masked["deployments"]["loan"]["retries"] == {"attempts": 1, "budget": 0.2}


def test_the_digest_changes_with_text_and_variables_and_nothing_else(tmp_path: Path) -> None:
    folder = write(tmp_path / "d", a=LOAN, b="workers: ${N:-1}\n")
    first = load(folder, {})
    assert re.fullmatch(r"[0-9a-f]{12}", first.digest)
    assert first.files == (folder / "a.yaml", folder / "b.yaml")
    assert load(folder, {"UNUSED": "1"}).digest == first.digest
    assert load(folder, {"N": "2"}).digest != first.digest
    (folder / "notes.txt").write_text("x")
    assert load(folder, {}).digest == first.digest
    (folder / "b.yaml").write_text("workers: ${N:-1} # one\n")
    assert load(folder, {}).digest != first.digest
