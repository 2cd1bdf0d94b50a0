"""How a wheel is built: when it is compiled, with what, and which modules."""

import importlib.util
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def module(name: str) -> ModuleType:
    """A file of the root, which is no part of the package."""
    pytest.importorskip("setuptools")
    spec = importlib.util.spec_from_file_location(name, ROOT / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.delenv("ROUTER_COMPILE", raising=False)
    return module("build_backend")


def test_it_is_compiled_where_there_is_a_compiler(
    backend: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cc").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(backend.sysconfig, "get_config_var", lambda _: "cc -pthread")
    monkeypatch.setattr(backend.sysconfig, "get_path", lambda _: str(tmp_path))
    assert not backend.compiles(), "without Python's headers there is nothing to compile against"
    (tmp_path / "Python.h").touch()
    assert backend.compiles()
    (tmp_path / "cc").unlink()
    assert not backend.compiles()


@pytest.mark.parametrize(("said", "compiled"), [("0", False), ("1", True)])
def test_what_is_said_counts_more(
    backend: ModuleType, monkeypatch: pytest.MonkeyPatch, said: str, compiled: bool
) -> None:
    monkeypatch.setenv("ROUTER_COMPILE", said)
    monkeypatch.setattr(backend.shutil, "which", lambda _: None if compiled else "/usr/bin/cc")
    assert backend.compiles() is compiled


def test_it_is_built_with_what_it_is_checked_with(backend: ModuleType) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = {*project["dependencies"], *project["optional-dependencies"]["test"]}
    assert {each.replace("[mypyc]", "") for each in backend.COMPILER} <= pinned


def test_what_every_request_runs_through_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.setattr(sys, "argv", ["setup.py", "--version"])
    setup = module("setup")
    found = setup.sources()
    for name in ("downstream", "exchange", "upstream", "copies", "mirror", "engine", "routes"):
        assert f"router/dataplane/{name}.py" in found
    assert all((ROOT / path).is_file() for path in found)
    left = {path.name for path in (ROOT / "router/dataplane").glob("*.py")} - {
        Path(each).name for each in found
    }
    assert left == set(setup.PLAIN), "what is left out exists"
