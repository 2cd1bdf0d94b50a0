"""Every mistake a person can make gets one clear error: file, line, path, what is wrong and how to mend it.

These are about listeners, tokens, versions and matches; test_bad_yaml.py, test_bad_rollouts.py and test_bad_pairs.py
have the others.
"""

from pathlib import Path

import pytest

from router.config.loader import load
from tests.support.mistakes import (
    CANARY,
    ENVIRON,
    GOOD,
    LOAN,
    Mistakes,
    one_clear_error,
)

SECOND = """\
  other:
    match: {path: /v2/models/%6Coan/**, methods: [GET, POST]}
    versions: {v1: {url: http://127.0.0.1:9003}}
"""

MISTAKES: Mistakes = {
    "misspelt key at the top": ("workers:", "wrokers:", 2, "wrokers", ["unknown key", "`workers`"]),
    "misspelt key, deep": (
        "connections",
        "conections",
        16,
        f"{LOAN}.versions.v2.limits.conections",
        ["`connections`"],
    ),
    "key of another spelling": ("connect:", "firstByte:", 17, f"{LOAN}.timeouts.firstByte", ["`first_byte`"]),
    "key nothing resembles": (
        "connect:",
        "zzz:",
        17,
        f"{LOAN}.timeouts.zzz",
        ["connect, first_byte, idle, total"],
    ),
    "two versions, no rollout": (
        "    rollout:\n" + CANARY,
        "",
        12,
        f"{LOAN}.versions",
        ["v1, v2", "add a rollout"],
    ),
    "no version": (
        GOOD[GOOD.index("      v1:") : GOOD.index("    timeouts")],
        "      {}\n",
        12,
        f"{LOAN}.versions",
        ["must not be empty"],
    ),
    "duration of zero": (
        "connect: 1s",
        "connect: 0",
        17,
        f"{LOAN}.timeouts.connect",
        ["must be more than 0"],
    ),
    "bad URL": ("url: http://", "url: ", 13, f"{LOAN}.versions.v1.url", ["scheme and host"]),
    "URL with a password": (
        "url: http://",
        "url: http://me:pw@",
        13,
        f"{LOAN}.versions.v1.url",
        ["`http://***@127."],
    ),
    "bad port in a URL": (
        "http://127.0.0.1:9001",
        '"http://127.0.0.1:${PORT}"',
        13,
        f"{LOAN}.versions.v1.url",
        ["port", "`http://127.0.0.1:99999`"],
    ),
    "url and urls": (
        "        urls:",
        "        url: http://h:1\n        urls:",
        14,
        f"{LOAN}.versions.v2",
        ["either"],
    ),
    "empty version": (
        "{url: http://127.0.0.1:9001}",
        "",
        13,
        f"{LOAN}.versions.v1",
        ["nothing", "url, urls"],
    ),
    "bad version name": (
        "      v1:",
        "      v 1: {url: http://h:1}\n      v1:",
        13,
        f"{LOAN}.versions.v 1",
        ["`v 1`", "a name is made of"],
    ),
    "bad deployment name": ("  loan:", "  lo/an:", 10, "deployments.lo/an", ["a name is made of"]),
    "path without slash": ("path: /v2", "path: v2", 11, f"{LOAN}.match.path", ["begins with /"]),
    "stars inside a path": ("loan/**", "**/loan", 11, f"{LOAN}.match.path", ["** stands last"]),
    "star inside a segment": ("loan/**", "lo*", 11, f"{LOAN}.match.path", ["whole segment"]),
    "small method": ("[POST]", "[post]", 11, f"{LOAN}.match.methods", ["capitals"]),
    "method not in a list": (
        "[POST]",
        "POST",
        11,
        f"{LOAN}.match.methods",
        ["must be a list", "write [POST]"],
    ),
    "host with port": ("methods: [POST]", 'host: "h:80"', 11, f"{LOAN}.match.host", ["without port"]),
    "header that is a number": (
        "methods: [POST]",
        "headers: {x-a: 1}",
        11,
        f"{LOAN}.match.headers.x-a",
        ['"1"'],
    ),
    "empty match": (
        "{path: /v2/models/loan/**, methods: [POST]}",
        "{}",
        11,
        f"{LOAN}.match",
        ["at least one of"],
    ),
    "match is text": (
        "{path: /v2/models/loan/**, methods: [POST]}",
        "/a",
        11,
        f"{LOAN}.match",
        ["`/a`", "mapping"],
    ),
    "two with one match": (
        CANARY,
        CANARY + SECOND,
        30,
        "deployments.other.match",
        ["`loan` (", ":11)", "specific"],
    ),
    "port without address": ("listen: 127.0.0.1:8080", "listen: 8080", 1, "listen", ["`8080`", "host:port"]),
    "true as address": ("listen: 127.0.0.1:8080", "listen: true", 1, "listen", ["must be text"]),
    "address without port": ("listen: 127.0.0.1:8080", "listen: localhost", 1, "listen", ["host:port"]),
    "no address": ("listen: 127.0.0.1:8080", "listen: []", 1, "listen", ["must not be empty"]),
    "address twice": ("127.0.0.1:8080", "[0.0.0.0:80, 127.0.0.1:80]", 1, "listen[1]", ["another listener"]),
    "admin on the data port": ("127.0.0.1:8081", "127.0.0.1:8080", 4, "admin.listen", ["of their own"]),
    "no such certificate": (
        "listen: 127.0.0.1:8080",
        "listen: {address: 127.0.0.1:8080, tls: {cert: no.pem, key: pyproject.toml}}",
        1,
        "listen.tls.cert",
        ["no such file", "`no.pem`"],
    ),
    "workers of none": ("workers: 2", "workers: 0", 2, "workers", ["at least 1, or auto"]),
    "workers in words": ("workers: 2", "workers: two", 2, "workers", ["`two`", "whole number, or auto"]),
    "too many retries": ("attempts: 1", "attempts: 9", 18, f"{LOAN}.retries.attempts", ["at most 5"]),
    "retries are no number": (
        "attempts: 1",
        "attempts: once",
        18,
        f"{LOAN}.retries.attempts",
        ["whole number"],
    ),
    "open admin": (
        GOOD[GOOD.index("  listen") : GOOD.index("state")],
        "  listen: 0.0.0.0:81\n",
        3,
        "admin",
        ["tokens"],
    ),
    "short token": ('"${TOKEN}"', "hush", 6, "admin.tokens[0].token", ["at least 8"]),
    "token without a key": (
        '{name: ci, token: "${TOKEN}", role: operator}',
        "hush-hush",
        6,
        "admin.tokens[0]",
        ["map"],
    ),
    "misspelt token key": ("token:", "tokn:", 6, "admin.tokens[0].tokn", ["mean `token`"]),
    "unknown role": ("role: operator", "role: operater", 6, "admin.tokens[0].role", ["viewer", "`operator`"]),
    "token name twice": (
        "state:",
        "    - {name: ci, token: another-secret}\nstate:",
        7,
        "admin.tokens[1].name",
        ["same name"],
    ),
    "token twice": (
        "state:",
        '    - {name: x, token: "${TOKEN}"}\nstate:',
        7,
        "admin.tokens[1].token",
        ["same value"],
    ),
    "limit beyond all": (
        "connections: 8",
        f"connections: {'9' * 30}",
        16,
        f"{LOAN}.versions.v2.limits.connections",
        ["at most 100000"],
    ),
    "URL with a space": ("9001", "9001/a b", 13, f"{LOAN}.versions.v1.url", ["no spaces"]),
    "URL beyond ASCII": ("9001", "9001/\u00fc", 13, f"{LOAN}.versions.v1.url", ["%C3%BC"]),
}


def test_the_good_file_is_good(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    assert load(tmp_path / "good.yaml", ENVIRON).config.workers == 2


@pytest.mark.parametrize("name", MISTAKES)
def test_one_mistake_is_one_clear_error(name: str, tmp_path: Path) -> None:
    one_clear_error(MISTAKES[name], tmp_path)
