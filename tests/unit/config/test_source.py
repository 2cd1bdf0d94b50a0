"""Files and directories: what is read, how it is merged, what is said when it cannot be."""

import os
from pathlib import Path

import pytest

from router.config.source import find_files, fingerprint, read


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


def test_a_directory_is_its_yaml_files_by_name(tmp_path: Path) -> None:
    write(tmp_path, b_yaml="", a_yml="", _hidden_yaml="", c_json="")
    (tmp_path / "d.yaml").mkdir()
    (tmp_path / "lost.yaml").symlink_to(tmp_path / "nowhere")
    names = [file.name for file in find_files(tmp_path)]
    assert names == ["a.yml", "b.yaml", "lost.yaml"], "a file that is lost is an error, not an absence"


def test_a_name_that_is_no_text_is_read_like_any_other(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff.yaml")).write_text("workers: 2\n")
    assert read(tmp_path, {}).values == {"workers": 2}
    assert fingerprint(tmp_path)


def test_files_are_merged(tmp_path: Path) -> None:
    write(
        tmp_path,
        a_yaml="workers: 2\ndeployments: {x: {a: 1}}\n",
        b_yaml="state: {path: p}\ndeployments:\n  y: {b: 2}\n",
    )
    source = read(tmp_path, {})
    assert source.problems == []
    assert source.values == {
        "workers": 2,
        "state": {"path": "p"},
        "deployments": {"x": {"a": 1}, "y": {"b": 2}},
    }
    assert str(source.place(("deployments", "y", "b"))) == f"{tmp_path}/b.yaml:3"
    assert str(source.place(("deployments", "x", "gone", 3))) == f"{tmp_path}/a.yaml:2"


def test_what_stands_in_two_files_names_both(tmp_path: Path) -> None:
    write(
        tmp_path,
        a_yaml="workers: 2\ndeployments:\n  x: {a: 1}\n",
        b_yaml="deployments:\n  x: {a: 2}\n\nworkers: 2\n",
    )
    source = read(tmp_path, {})
    assert [str(problem) for problem in source.problems] == [
        f"{tmp_path}/b.yaml:2: deployments.x: already given at {tmp_path}/a.yaml:3"
        " (give it another name, or remove one)",
        f"{tmp_path}/b.yaml:4: workers: already given at {tmp_path}/a.yaml:1 (keep it in one file)",
    ]
    assert source.values["deployments"] == {"x": {"a": 1}}, "the first counts"
    assert str(source.place(("deployments", "x", "a"))) == f"{tmp_path}/a.yaml:3"


def test_a_directory_with_one_broken_file_names_it(tmp_path: Path) -> None:
    write(tmp_path, a_yaml="deployments: {x: {}}\n", b_yaml="a: [\n", c_yaml="")
    source = read(tmp_path, {})
    assert not source.complete
    assert [(Path(problem.file).name, problem.line) for problem in source.problems] == [
        ("b.yaml", 2),
        ("c.yaml", 1),
    ]


@pytest.mark.parametrize("kind", ["missing file", "missing directory", "empty directory", "lost link"])
def test_what_is_not_there(kind: str, tmp_path: Path) -> None:
    path = {"missing file": tmp_path / "no.yaml", "missing directory": tmp_path / "no" / "no.yaml"}.get(kind)
    if kind == "lost link":
        (tmp_path / "a.yaml").symlink_to(tmp_path / "nowhere")
    source = read(path or tmp_path, {})
    assert not source.complete
    (problem,) = source.problems
    rule = "the directory holds no *.yaml or *.yml file" if kind == "empty directory" else "no such file"
    assert rule in str(problem)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    write(tmp_path, a_yaml="x: 1\n")
    (tmp_path / "a.yaml").chmod(0)
    (problem,) = read(tmp_path, {}).problems
    assert "Permission denied" in problem.rule


def test_a_path_that_cannot_be_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.d")
    loop = tmp_path / "loop.yaml"
    loop.symlink_to(loop)
    (problem,) = read(loop, {}).problems
    assert problem.rule.startswith("cannot be read: ")


def test_the_fingerprint_is_of_the_configuration_only(tmp_path: Path) -> None:
    write(tmp_path, a_yaml="x: 1\n")
    first = fingerprint(tmp_path)
    write(tmp_path, router_db="rows", _a_yaml_swp="x")
    os.utime(tmp_path / "a.yaml", (1, 1))
    assert fingerprint(tmp_path) == first
    write(tmp_path, b_yaml="")
    second = fingerprint(tmp_path)
    assert second != first
    (tmp_path / "a.yaml").unlink()
    assert fingerprint(tmp_path) not in (first, second)
    assert fingerprint(tmp_path / "gone") != first
