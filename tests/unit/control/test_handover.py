"""Whom to take over from: only the process that holds the journal's lock file open."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from router.control import handover
from router.control.handover import holder_of, take_over
from router.errors import RouterError
from router.rollout.journal import Journal

HOLDER = """
import signal, sys, time
from pathlib import Path
from router.rollout.journal import Journal
journal = Journal(Path(sys.argv[1]))
if sys.argv[2] == "stays":
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
print("held", flush=True)
time.sleep(60)
"""


@contextmanager
def held(state: Path, what: str) -> "Iterator[subprocess.Popen[str]]":
    command = [sys.executable, "-c", HOLDER, str(state), what]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_it_waits_until_the_other_is_gone_and_then_the_journal_is_free(tmp_path: Path) -> None:
    state = tmp_path / "db"
    with held(state, "leaves") as process:
        assert holder_of(state) == process.pid
        take_over(state)
        assert process.wait(5) == -signal.SIGUSR2
    assert holder_of(state) is None
    take_over(state)
    Journal(state).close()


def test_one_that_stays_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "PATIENCE", 0.1)
    with held(tmp_path / "db", "stays") as process:
        with pytest.raises(RouterError, match=f"pid {process.pid}\\) did not leave within 0.1 s"):
            take_over(tmp_path / "db")
        assert process.poll() is None


@pytest.mark.parametrize("text", ["", "nobody", "1", "my own"])
def test_a_number_alone_proves_nothing(tmp_path: Path, text: str) -> None:
    """It may be left over, or come from another container, where it was somebody else."""
    (tmp_path / "db.lock").write_text(text.replace("my own", str(os.getpid())))
    assert holder_of(tmp_path / "db") is None
    take_over(tmp_path / "db")
