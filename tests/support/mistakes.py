"""A good configuration, and what makes it a bad one: rows that change one piece of it, and what each must say."""

from pathlib import Path

import pytest

from router.config.loader import load
from router.errors import ConfigError, Problem

ENVIRON = {"TOKEN": "a-secret-of-ci", "PORT": "99999", "BYTES": "\udcff"}

GOOD = """\
listen: 127.0.0.1:8080
workers: 2
admin:
  listen: 127.0.0.1:8081
  tokens:
    - {name: ci, token: "${TOKEN}", role: operator}
state: {path: var/router.db}
pairs: {path: var/pairs, rotate: {size: 1MiB, every: 1h}, keep: 7d}
deployments:
  loan:
    match: {path: /v2/models/loan/**, methods: [POST]}
    versions:
      v1: {url: http://127.0.0.1:9001}
      v2:
        urls: [http://127.0.0.1:9002]
        limits: {connections: 8}
    timeouts: {connect: 1s}
    retries: {attempts: 1}
    pairs: {compare: {json: {ignore: [/id]}}}
    rollout:
      pattern: canary
      stable: v1
      candidate: v2
      sticky: {header: x-user-id}
      steps:
        - {share: 5%, hold: 10m}
        - {pause: true}
        - {share: 50%}
"""

LOAN = "deployments.loan"
ROLLOUT = f"{LOAN}.rollout"
CANARY = GOOD[GOOD.index("      pattern: canary") :]

Mistake = tuple[str, str, int, str, list[str]]
"""An old piece of the good file, the new one in its place, and of the error its line, its path and words of it."""

Mistakes = dict[str, Mistake]


def problems_of(path: Path) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        load(path, ENVIRON)
    return caught.value.problems


def one_clear_error(mistake: Mistake, directory: Path) -> None:
    """The good file with this mistake gets one error: with file, line and path, the words, and no secret."""
    old, new, line, path, words = mistake
    assert old in GOOD
    file = directory / "bad.yaml"
    file.write_text(GOOD.replace(old, new, 1))
    problems = problems_of(file)
    assert [(problem.file, problem.line, problem.path) for problem in problems] == [(str(file), line, path)]
    text = str(problems[0])
    assert text.startswith(f"{file}:{line}: {path}: " if path else f"{file}:{line}: ")
    assert [word for word in words if word not in text] == [], text
    for unfit in ("pydantic", "Input should", "Value error", "hush", "secret"):
        assert unfit not in text.replace(str(file), "")
