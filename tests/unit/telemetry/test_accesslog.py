"""Lines reach the end of the file whole, whoever else writes there, and whatever becomes of the file."""

import json
import multiprocessing
import os
import resource
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.telemetry.accesslog import STANDARD_ERROR, Line, LogFile, pieces


def line(**more: Any) -> Line:
    values: dict[str, Any] = {
        "time": datetime(2026, 1, 2, 3, 4, 5, 678000, UTC), "id": "r1", "deployment": "loan", "version": "v1",
        "role": "live", "why": "sticky", "method": "POST", "path": "/m", "status": 200, "bytes_in": 3,
        "bytes_out": 4, "duration_ms": 1.5, "client": "127.0.0.1", "attempts": 1,
    }  # fmt: skip
    return Line(**(values | more))


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(each) for each in path.read_text().splitlines()]


def test_a_line_says_what_there_is_to_say(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "access.jsonl"
    LogFile(str(path)).write([line(), line(error="timeout", upstream_ms=0.25, trace="ab")])
    one, other = read(path)
    assert one == {
        "time": "2026-01-02T03:04:05.678000Z", "id": "r1", "deployment": "loan", "version": "v1", "role": "live",
        "why": "sticky", "method": "POST", "path": "/m", "status": 200, "bytes_in": 3, "bytes_out": 4,
        "duration_ms": 1.5, "client": "127.0.0.1", "attempts": 1,
    }  # fmt: skip
    assert (other["error"], other["upstream_ms"], other["trace"]) == ("timeout", 0.25, "ab")
    assert path.stat().st_mode & 0o777 == 0o640


def test_what_was_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text('{"old": 1}\n')
    LogFile(str(path)).write([line()])
    assert read(path)[0] == {"old": 1}


@pytest.mark.parametrize("away", [lambda path: path.rename(f"{path}.1"), Path.unlink])
def test_a_file_that_is_gone_is_made_anew(tmp_path: Path, away: Any) -> None:
    path = tmp_path / "a"
    log = LogFile(str(path))
    log.write([line(id="before")])
    before = len(os.listdir("/proc/self/fd"))
    away(path)
    log.write([line(id="after")])
    assert [each["id"] for each in read(path)] == ["after"]
    assert len(os.listdir("/proc/self/fd")) <= before, "the old one is closed"


def _many(path: str, name: str) -> None:
    log = LogFile(path)
    for number in range(200):
        log.write([line(id=f"{name}-{number}-{each}", path="/" + name * 100) for each in range(20)])


def test_lines_of_several_processes_never_mix(tmp_path: Path) -> None:
    path = tmp_path / "a"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_many, args=(str(path), name)) for name in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
        assert writer.exitcode == 0
    assert len({each["id"] for each in read(path)}) == 3 * 200 * 20


def test_after_a_full_disk_the_next_line_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a"
    log = LogFile(str(path))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, before[1]))
        with pytest.raises(OSError, match="too large"):
            log.write([line(id=str(number)) for number in range(10)])
        assert path.stat().st_size == 500
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    log.write([line(id="whole")])
    assert json.loads(path.read_text().splitlines()[-1])["id"] == "whole"


def test_standard_error_is_never_closed(capfd: pytest.CaptureFixture[str]) -> None:
    log = LogFile(STANDARD_ERROR)
    log.write([line(id=str(number)) for number in range(100)])
    log.close()
    log.write([line(id="last")])
    assert [json.loads(each)["id"] for each in capfd.readouterr().err.splitlines()] == [
        *map(str, range(100)),
        "last",
    ]


@given(
    st.lists(st.binary(max_size=30).map(lambda data: data.replace(b"\n", b"") + b"\n")), st.integers(1, 40)
)
def test_pieces_are_whole_lines(lines: list[bytes], most: int) -> None:
    data = b"".join(lines)
    found = list(pieces(data, most))
    assert b"".join(found) == data
    assert all(piece.endswith(b"\n") for piece in found)
    assert all(len(piece) <= most or piece.count(b"\n") == 1 for piece in found)
