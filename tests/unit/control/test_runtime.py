"""The runtime directory: private, and short enough for the kernel."""

from pathlib import Path

import pytest

from router.control.runtime import RuntimeDirectory
from router.errors import RouterError


def test_it_lies_beside_the_state_and_is_private(tmp_path: Path) -> None:
    (tmp_path / "db.run").mkdir(mode=0o755)
    runtime = RuntimeDirectory(tmp_path / "db")
    assert runtime.path == tmp_path / "db.run"
    assert runtime.path.stat().st_mode & 0o777 == 0o700
    assert runtime.recorder.parent == runtime.path


def test_rescue_sockets_are_new_each_time_and_found_again(tmp_path: Path) -> None:
    runtime = RuntimeDirectory(tmp_path / "a" / "b" / "db")
    sockets = {runtime.new_worker(3) for _ in range(50)}
    assert len(sockets) == 50
    assert list(runtime.workers()) == []
    for path in sockets:
        path.touch()
    runtime.recorder.touch()
    assert set(runtime.workers()) == sockets


def test_a_long_path_is_taken_relative_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("x" * 90)
    deep.mkdir()
    monkeypatch.chdir(deep)
    runtime = RuntimeDirectory(deep / "db")
    assert runtime.path == Path("db.run")
    assert (deep / "db.run").is_dir()
    assert len(str(runtime.new_worker(255))) <= 107


def test_a_path_too_long_either_way_is_explained(tmp_path: Path) -> None:
    with pytest.raises(RouterError, match=r"state\.path.*over 107 bytes.*choose a shorter path"):
        RuntimeDirectory(tmp_path / ("x" * 100) / "db")


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RouterError, match=r"runtime directory .*file/db\.run: Not a directory"):
        RuntimeDirectory(tmp_path / "file" / "db")
