"""Every mistake a person can make gets one clear error: file, line, path, what is wrong and how to mend it.

Most rows change one piece of a good file; the others are files of their own.
"""

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

SECOND = """\
  other:
    match: {path: /v2/models/%6Coan/**, methods: [GET, POST]}
    versions: {v1: {url: http://127.0.0.1:9003}}
"""

LOAN = "deployments.loan"
ROLLOUT = f"{LOAN}.rollout"
SHADOW = "      pattern: shadow\n      primary: v1\n      shadows: [v2]\n"
CANARY = GOOD[GOOD.index("      pattern: canary") :]


def gate(written: str, path: str, words: list[str]) -> tuple[str, str, int, str, list[str]]:
    """A row with one gate of the rollout."""
    return "      steps:", f"      gates: [{{{written}}}]\n      steps:", 25, f"{ROLLOUT}.gates{path}", words


# (old piece, new piece, line, path, words of the error)
CHANGES: dict[str, tuple[str, str, int, str, list[str]]] = {
    "a kind of sink that is none": (
        "keep: 7d",
        "keep: 7d, sinks: [{webhok: {url: 'http://c'}}]",
        8,
        "pairs.sinks[0].webhok",
        ["one of webhook, redis"],
    ),
    "a password in the URL of a sink": (
        "keep: 7d",
        "keep: 7d, sinks: [{redis: {url: 'redis://:hush@c'}}]",
        8,
        "pairs.sinks[0].redis.url",
        ["`redis://***@c`", "username and password"],
    ),
    "two sinks of one name": (
        "keep: 7d",
        "keep: 7d, sinks: [{webhook: {url: 'http://c'}}, {webhook: {url: 'http://d'}}]",
        8,
        "pairs.sinks",
        ["two sinks are called webhook"],
    ),
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
    "misspelt required key": ("stable:", "stabel:", 22, f"{ROLLOUT}.stabel", ["did you mean `stable`"]),
    "required key missing": ("      stable: v1\n", "", 20, f"{ROLLOUT}.stable", ["required"]),
    "misspelt pattern": (
        "canary",
        "canery",
        21,
        f"{ROLLOUT}.pattern",
        ["shadow", "blue_green", "mean `canary`"],
    ),
    "pattern with a dash": ("canary", "blue-green", 21, f"{ROLLOUT}.pattern", ["did you mean `blue_green`"]),
    "pattern missing": ("pattern: canary", "patern: canary", 20, f"{ROLLOUT}.pattern", ["for `patern`"]),
    "unknown version": (
        "candidate: v2",
        "candidate: v22",
        23,
        f"{ROLLOUT}.candidate",
        ["no such version", "`v2`"],
    ),
    "stable is the candidate": ("candidate: v2", "candidate: v1", 23, f"{ROLLOUT}.candidate", ["`stable`"]),
    "unknown shadow": (
        CANARY,
        SHADOW.replace("[v2]", "[v2, v3]"),
        23,
        f"{ROLLOUT}.shadows[1]",
        ["no such version"],
    ),
    "shadow twice": (CANARY, SHADOW.replace("[v2]", "[v2, v2]"), 23, f"{ROLLOUT}.shadows[1]", ["already"]),
    "primary as shadow": (CANARY, SHADOW.replace("[v2]", "[v1]"), 23, f"{ROLLOUT}.shadows[0]", ["`primary`"]),
    "no shadows": (CANARY, SHADOW.replace("[v2]", "[]"), 23, f"{ROLLOUT}.shadows", ["must not be empty"]),
    "noise": (
        CANARY,
        SHADOW + "      noise: often\n",
        24,
        f"{ROLLOUT}.noise",
        ["noise is true, false or a share", "5% or 0.05"],
    ),
    "a short key": (
        "{compare: {json: {ignore: [/id]}}}",
        "{hash: {key: hush-hush}}",
        19,
        f"{LOAN}.pairs.hash.key",
        ["at least 16 characters", "openssl rand -hex 32", "a value that is not shown"],
    ),
    "a slice that is dropped": (
        "{compare: {json: {ignore: [/id]}}}",
        "{slices: {who: {header: Cookie}}}",
        19,
        f"{LOAN}.pairs",
        ["slices.who reads Cookie, which redact drops", "hash it"],
    ),
    "unknown colour": (
        CANARY,
        "      pattern: blue_green\n      blue: v1\n      green: v2\n      live: gren\n",
        24,
        f"{ROLLOUT}.live",
        ["blue, green", "did you mean `green`"],
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
    "share over 100 %": (
        "share: 5%",
        "share: 105%",
        26,
        f"{ROLLOUT}.steps[0].share",
        ["`105%`", "0% and 100%"],
    ),
    "share without %": ("share: 5%", "share: 5", 26, f"{ROLLOUT}.steps[0].share", ["did you mean 5%"]),
    "falling share": ("share: 50%", "share: 1%", 25, f"{ROLLOUT}.steps", ["lowers the share"]),
    "pause and share": ("pause: true", "pause: true, share: 9%", 27, f"{ROLLOUT}.steps[1]", ["stands alone"]),
    "pause that is none": ("pause: true", "pause: false", 27, f"{ROLLOUT}.steps[1].pause", ["must be true"]),
    "no steps": (
        CANARY[CANARY.index("        - {sh") :],
        "        []\n",
        25,
        f"{ROLLOUT}.steps",
        ["not be empty"],
    ),
    "duration without unit": (
        "hold: 10m",
        "hold: 10",
        26,
        f"{ROLLOUT}.steps[0].hold",
        ["write 10s, 10m or 10h"],
    ),
    "duration of zero": (
        "connect: 1s",
        "connect: 0",
        17,
        f"{LOAN}.timeouts.connect",
        ["must be more than 0"],
    ),
    "size of unknown unit": ("1MiB", "1mb", 8, "pairs.rotate.size", ["`1mb`", "64KiB"]),
    "sticky by what it cannot be": (
        "{header: x-user-id}",
        "ip",
        24,
        f"{ROLLOUT}.sticky",
        ["client_ip", "cookie"],
    ),
    "sticky by two things": ("x-user-id", "a, cookie: b", 24, f"{ROLLOUT}.sticky", ["exactly one of"]),
    "misspelt sticky key": ("header: x-", "heder: x-", 24, f"{ROLLOUT}.sticky.heder", ["mean `header`"]),
    "unknown gate": gate(
        "error_rte: {}", "[0].error_rte", ["one of error_rate, latency", "mean `error_rate`"]
    ),
    "misspelt key of a gate": gate(
        "error_rate: {max_rato: 2}", "[0].error_rate.max_rato", ["mean `max_ratio`"]
    ),
    "bound of nothing": gate("error_rate: {max: 0%}", "[0].error_rate.max", ["more than 0", "`0%`"]),
    "bounds that cross": gate("error_rate: {max_ratio: 3}", "[0].error_rate", ["write pass_ratio: 6"]),
    "latency without a bound": gate("latency: {}", "[0].latency", ["give max_ratio, max or both"]),
    "quantile of all": gate("latency: {max: 1s, quantile: 100%}", "[0].latency.quantile", ["50% and 99.9%"]),
    "gate on pairs without pairs": (
        "      steps:",
        "      gates: [{agreement: {min: 98%}}]\n      steps:",
        20,
        ROLLOUT,
        ["agreement judges pairs", "mirror: 10%"],
    ),
    "slice that is not there": gate(
        "segments: {by: region, gate: {error_rate: {}}}",
        "[0].segments.by",
        ["no such slice", "`region`", "add pairs: {slices: {region: {header: x-region}}}"],
    ),
    "gate that calls nobody": gate(
        "webhook: {url: 'checks:443'}", "[0].webhook.url", ["names scheme and host"]
    ),
    "secret of a gate": gate(
        "webhook: {url: 'http://a', headers: {x-key: 12345678}}",
        "[0].webhook.headers.x-key",
        ["must be text", "not shown"],
    ),
    "query without a condition": gate(
        "prometheus: {url: 'http://a', query: up}", "[0].prometheus", ["give max, min"]
    ),
    "certainty": (
        "      steps:",
        "      confidence: 100%\n      steps:",
        25,
        f"{ROLLOUT}.confidence",
        ["99.99%"],
    ),
    "what nobody waits for": (
        "      steps:",
        "      on_inconclusive: pause\n      steps:",
        20,
        ROLLOUT,
        ["needs give_up", "2h"],
    ),
    "gates of a step": (
        "hold: 10m",
        "gates: [{latency: {}}]",
        26,
        f"{ROLLOUT}.steps[0].gates[0].latency",
        ["give max_ratio"],
    ),
    "comparator without its place": (
        "json: {ignore: [/id]}",
        "label: {kind: argmax}",
        19,
        f"{LOAN}.pairs.compare.label.at",
        ["required"],
    ),
    "comparator at many places": (
        "json: {ignore: [/id]}",
        "text: {at: /choices/*/text}",
        19,
        f"{LOAN}.pairs.compare.text.at",
        ["name it without *"],
    ),
    "unknown kind of label": (
        "json: {ignore: [/id]}",
        "label: {at: /x, kind: argmin}",
        19,
        f"{LOAN}.pairs.compare.label.kind",
        ["argmax, threshold, top_k, value", "mean `argmax`"],
    ),
    "negative tolerance": (
        "json: {ignore: [/id]}",
        "score: {at: /x, tolerance: -1}",
        19,
        f"{LOAN}.pairs.compare.score.tolerance",
        ["at least 0", "`-1`"],
    ),
    "similarity above all": (
        "json: {ignore: [/id]}",
        "text: {min_similarity: 90}",
        19,
        f"{LOAN}.pairs.compare.text.min_similarity",
        ["did you mean 90%?"],
    ),
    "misspelt normalization": (
        "json: {ignore: [/id]}",
        "text: {normalize: {cas: true}}",
        19,
        f"{LOAN}.pairs.compare.text.normalize.cas",
        ["mean `case`"],
    ),
    "unknown comparator": (
        "json: {",
        "jsn: {",
        19,
        f"{LOAN}.pairs.compare.jsn",
        ["json, label, score, text, bytes", "mean `json`"],
    ),
    "two comparators": ("{json: {", "{bytes: {}, json: {", 19, f"{LOAN}.pairs.compare", ["exactly one kind"]),
    "bad JSON pointer": ("[/id]", "[id]", 19, f"{LOAN}.pairs.compare.json.ignore[0]", ["pointer"]),
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
    "fallback is neither": (
        "      stable:",
        "      fallback: maybe\n      stable:",
        22,
        f"{ROLLOUT}.fallback",
        ["true or"],
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
    "size beyond all": ("1MiB", f"{'9' * 400}GiB", 8, "pairs.rotate.size", ["at most"]),
    "number of bytes beyond all": ("1MiB", "9" * 30, 8, "pairs.rotate.size", ["at most"]),
    "duration beyond all": ("7d", f"{'9' * 400}d", 8, "pairs.keep", ["at most 36500d"]),
    "limit beyond all": (
        "connections: 8",
        f"connections: {'9' * 30}",
        16,
        f"{LOAN}.versions.v2.limits.connections",
        ["at most 100000"],
    ),
    "endless tolerance": (
        "ignore: [/id]",
        "numbers: {absolute: .inf}",
        19,
        f"{LOAN}.pairs.compare.json.numbers.absolute",
        ["finite"],
    ),
    "URL with a space": ("9001", "9001/a b", 13, f"{LOAN}.versions.v1.url", ["no spaces"]),
    "URL beyond ASCII": ("9001", "9001/\u00fc", 13, f"{LOAN}.versions.v1.url", ["%C3%BC"]),
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


def problems_of(path: Path) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        load(path, ENVIRON)
    return caught.value.problems


def test_the_good_file_is_good(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    assert load(tmp_path / "good.yaml", ENVIRON).config.workers == 2


@pytest.mark.parametrize("name", CHANGES)
def test_one_mistake_is_one_clear_error(name: str, tmp_path: Path) -> None:
    old, new, line, path, words = CHANGES[name]
    assert old in GOOD
    file = tmp_path / "bad.yaml"
    file.write_text(GOOD.replace(old, new, 1))
    problems = problems_of(file)
    assert [(problem.file, problem.line, problem.path) for problem in problems] == [(str(file), line, path)]
    text = str(problems[0])
    assert text.startswith(f"{file}:{line}: {path}: " if path else f"{file}:{line}: ")
    assert [word for word in words if word not in text] == [], text
    for unfit in ("pydantic", "Input should", "Value error", "hush", "secret"):
        assert unfit not in text.replace(str(file), "")


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_configuration(name: str, tmp_path: Path) -> None:
    data, line, words = FILES[name]
    file = tmp_path / "bad.yaml"
    file.write_bytes(data)
    (problem,) = problems_of(file)
    assert (problem.file, problem.line) == (str(file), line)
    assert [word for word in words if word not in str(problem)] == [], str(problem)
