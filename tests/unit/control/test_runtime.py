"""The runtime directory: private, and short enough for the kernel."""

import tempfile
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
    runtime = RuntimeDirectory(tmp_path / "a" / "db")
    sockets = {runtime.new_worker(3) for _ in range(50)}
    assert len(sockets) == 50
    assert list(runtime.workers()) == []
    for path in sockets:
        path.touch()
    runtime.recorder.touch()
    assert set(runtime.workers()) == sockets


def test_a_long_path_moves_to_a_temporary_directory_that_is_found_again(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 90) / "db"
    runtime, again = RuntimeDirectory(deep), RuntimeDirectory(deep)
    try:
        assert runtime.path == again.path != deep.with_name("db.run")
        assert runtime.path.stat().st_mode & 0o777 == 0o700
        assert len(str(runtime.new_worker(255))) <= 107
        other = RuntimeDirectory(deep.with_name("other"))
        assert other.path != runtime.path
        other.path.rmdir()
    finally:
        runtime.path.rmdir()


def test_a_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "db.run").symlink_to(tmp_path / "mine")
    with pytest.raises(RouterError, match="belongs to somebody else"):
        RuntimeDirectory(tmp_path / "db")


def test_a_directory_that_cannot_be_made_is_named() -> None:
    with tempfile.TemporaryDirectory() as short:
        (Path(short) / "f").touch()
        with pytest.raises(RouterError, match=r"runtime directory .*: Not a directory"):
            RuntimeDirectory(Path(short) / "f" / "db")
