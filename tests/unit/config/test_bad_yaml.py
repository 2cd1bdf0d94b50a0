"""What is no YAML, or none that can be a configuration, gets one clear error as well."""

from pathlib import Path

import pytest

from tests.support.mistakes import (
    CANARY,
    LOAN,
    Mistakes,
    one_clear_error,
    problems_of,
)

MISTAKES: Mistakes = {
    "missing variable": (
        "${TOKEN}",
        "${TOKN}",
        6,
        "admin.tokens[0].token",
        ["TOKN is not set", "${TOKN:-default}"],
    ),
    "broken variable": ("workers: 2", "workers: ${", 2, "workers", ["${NAME}"]),
    "variable in braces": ("9001", "${PORT}", 13, "", ["not YAML", "in quotes"]),
    "duplicate key": ("workers: 2", "workers: 2\nworkers: 3", 3, "workers", ["twice", "line 2"]),
    "deployment twice": (CANARY, CANARY + "  loan: {}\n", 29, LOAN, ["twice", "line 10"]),
    "tab": ("workers: 2", "workers: 2\n\tfast: 1", 3, "", ["tab", "spaces"]),
    "bracket left open": ("[POST]}", "[POST}", 11, "", ["not YAML"]),
    "wrong indentation": ("workers: 2", "workers: 2\n  fast: 1", 3, "", ["indentation"]),
    "two documents": ("state:", "---\nstate:", 7, "", ["more than one document"]),
    "unknown alias": ("workers: 2", "workers: *hush", 2, "", ["alias", "begins with * in quotes"]),
    "tag": ("workers: 2", "workers: !!python/name:os.system", 2, "workers", ["tags"]),
    "alias of itself": ("versions:", "versions: &a\n      v0: *a", 13, f"{LOAN}.versions.v0", ["part of"]),
    "half a character": ("/v2/models/loan/**", r'"/\ud800"', 11, f"{LOAN}.match.path", ["half a character"]),
    "key of half a character": ("POST]", r'POST], "\ud800": 1', 11, f"{LOAN}.match", ["half a character"]),
    "variable that is not UTF-8": ("var/router.db", '"${BYTES}"', 7, "state.path", ["not UTF-8"]),
    "control character": ("workers: 2", "workers: \x01", 2, "", ["character"]),
}

# (bytes, line, words of the error)
FILES: dict[str, tuple[bytes, int, list[str]]] = {
    "empty": (b"", 1, ["the file is empty"]),
    "only comments": (b"# later\n", 1, ["the file is empty"]),
    "a list": (b"- listen: 1\n", 1, ["a list", "mapping"]),
    "plain text": (b"\nhello\n", 2, ["plain text", "mapping"]),
    "not UTF-8": (b"# ok\nlisten: caf\xe9\n", 2, ["not UTF-8", "0xE9"]),
    "UTF-16": ("listen: x".encode("utf-16"), 1, ["not UTF-8"]),
    "no deployments": (b"workers: 2\n", 1, ["deployments", "required"]),
    "empty deployments": (b"deployments: {}\n", 1, ["must not be empty"]),
    "nested too deeply": (b"a: " + b"[" * 500, 0, ["nested too deeply"]),
    "aliases that explode": (
        b"a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        + b"".join(b"a%d: &a%d [%s]\n" % (n, n, b",".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 9)),
        0,
        ["more than 100000 values"],
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_one_slip_of_the_pen_is_one_clear_error(name: str, tmp_path: Path) -> None:
    one_clear_error(MISTAKES[name], tmp_path)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_configuration(name: str, tmp_path: Path) -> None:
    data, line, words = FILES[name]
    file = tmp_path / "bad.yaml"
    file.write_bytes(data)
    (problem,) = problems_of(file)
    assert (problem.file, problem.line) == (str(file), line)
    assert [word for word in words if word not in str(problem)] == [], str(problem)
