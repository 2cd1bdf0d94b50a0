"""A subject's lines are gone from every file, the others are as they were, and a kill leaves whole files."""

import fcntl
import os
from pathlib import Path

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from router.pairs.comparators.json import JsonComparator
from router.pairs.erasure import Erased, Finder, erase, files, undelivered
from router.pairs.joining import Joined
from router.pairs.pair import build
from router.pairs.redaction import Redactor, digest
from router.pairs.settings import PairSettings, RedactSpec, SubjectSource
from router.pairs.sinks.jsonl import abandoned, pack
from router.pairs.subject import Subjects
from tests.support.captures import message, primary, shadow

KEY = "0123456789abcdef"
SETTINGS = {"subject": {"header": "x-user"}, "hash": {"key": KEY}}
KEYED = Subjects.of(PairSettings.model_validate(SETTINGS))
PLAIN = Subjects.of(PairSettings.model_validate({"subject": {"header": "x-user"}}))
FINDER = Finder(KEYED, "alice")


def line(subject: str | None, body: object = 1, header: str | None = None) -> bytes:
    left = msgspec.structs.replace(primary("a", body), subject=subject or "")
    pair = build(Joined(left, shadow("a", body), "v2", ()), JsonComparator(), Redactor(RedactSpec()))
    if header is not None and pair.request is not None:
        request = msgspec.structs.replace(pair.request, headers={"x-user": header})
        pair = msgspec.structs.replace(pair, request=request)
    return pair.line()


ALICE, BOB = line(KEYED.hashed("alice")), line(KEYED.hashed("bob"))
NOBODY = line(None)


def run(paths: list[Path]) -> tuple[Erased, list[tuple[int, int]]]:
    told: list[tuple[int, int]] = []
    return erase(dict.fromkeys(paths, FINDER), lambda done, total: told.append((done, total))), told


def unpacked(path: Path) -> bytes:
    return zstandard.ZstdDecompressor().stream_reader(path.open("rb"), read_across_frames=True).read()


@pytest.mark.parametrize(
    ("written", "found"),
    [
        (ALICE, True),
        (line(PLAIN.hashed("alice")), True),  # from before there was a key
        (BOB, False),
        (NOBODY, None),
        (line(None, header="alice"), True),
        (line(None, header="bob"), False),
        (line(KEYED.hashed("bob"), header="alice"), False),
        (b"rubbish\n", None),
        (line(KEYED.hashed("bob"), {"subject": KEYED.hashed("alice")}), False),
        (line(None, {"subject": KEYED.hashed("alice")}), None),
        (line(None, {"subject": "a letter"}, header="alice"), True),
        (line(None, {"subject": "a letter"}), None),
        (line(None, {"subject": "0" * 32, "cohort": 1, "labels": None}, header="alice"), True),
        (build(Joined(None, shadow("a"), "v2", ()), JsonComparator(), Redactor(RedactSpec())).line(), None),
    ],
)
def test_whose_line_it_is(written: bytes, found: bool | None) -> None:
    assert FINDER.finds(written) is found


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        ("alice", True),
        ("bob", False),
        ("[redacted]", None),
        (digest(KEY.encode(), "alice"), True),
        (digest(KEY.encode(), "bob"), False),
        (digest(b"o" * 16, "alice"), True),
    ],
)
def test_a_line_without_a_hash_says_it_by_what_is_seen_of_its_request(shown: str, found: bool | None) -> None:
    """What is redacted may be anyone's; a digest is told like the value."""
    assert Finder(KEYED, "alice", [b"o" * 16]).finds(line(None, header=shown)) is found


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"user": 7}, True),
        ({"user": "7"}, True),
        ({"user": digest(KEY.encode(), 7)}, True),
        ({"user": digest(KEY.encode(), "7")}, True),
        ({"user": 8}, False),
        ({"user": "[redacted]"}, None),
        ({"other": 7}, None),
        ("text", None),
    ],
)
def test_also_in_its_body(body: object, found: bool | None) -> None:
    subjects = Subjects(SubjectSource.model_validate({"json": "/user"}), KEY.encode())
    live = primary("a")
    assert live.request is not None
    live = replace(live, request=replace(live.request, message=message(body)))
    pair = build(Joined(live, shadow("a"), "v2", ()), JsonComparator(), Redactor(RedactSpec()))
    assert Finder(subjects, "7").finds(pair.line()) is found


def test_every_file_loses_the_subject_and_nothing_else(tmp_path: Path) -> None:
    one, two, three, four = (tmp_path / f"{number}.jsonl" for number in range(1, 5))
    one.write_bytes(ALICE + BOB + ALICE + NOBODY)
    two.write_bytes(BOB + ALICE + BOB)
    pack(two)
    three.write_bytes(ALICE + ALICE)
    four.write_bytes(BOB)
    old = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in files(tmp_path)}
    paths = files(tmp_path)
    total = sum(path.stat().st_size for path in paths)
    found, told = run(paths)
    assert found == Erased(removed=5, segments=3, unattributed=1)
    assert [path.name for path in files(tmp_path)] == ["1.jsonl", "2.jsonl.zst", "4.jsonl"]
    assert one.read_bytes() == BOB + NOBODY
    assert unpacked(two.with_name("2.jsonl.zst")) == BOB + BOB
    assert told[-1] == (total, total)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    for path in files(tmp_path):
        assert path.stat().st_mtime_ns == old[path][0], "retention counts from the last pair"
        assert path.stat().st_mode & 0o777 in (0o640, 0o644)
    assert four.stat().st_ino == old[four][1], "a file without such lines is not touched"
    assert sorted(os.listdir(tmp_path)) == [path.name for path in files(tmp_path)]


def test_once_more_finds_nothing(tmp_path: Path) -> None:
    (tmp_path / "1.jsonl").write_bytes(ALICE + BOB)
    run(files(tmp_path))
    assert run(files(tmp_path))[0] == Erased()


def test_a_file_that_was_packed_or_went_meanwhile(tmp_path: Path) -> None:
    one, two = tmp_path / "1.jsonl", tmp_path / "2.jsonl"
    one.write_bytes(ALICE + BOB)
    two.write_bytes(ALICE)
    paths = files(tmp_path)
    pack(one)
    two.unlink()
    assert run(paths)[0].removed == 1
    assert unpacked(tmp_path / "1.jsonl.zst") == BOB


def test_a_file_that_somebody_writes_is_left_alone_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "1.jsonl"
    path.write_bytes(ALICE)
    with path.open("ab") as writer:
        fcntl.flock(writer.fileno(), fcntl.LOCK_EX)
        assert run([path])[0] == Erased(busy=1)
    assert path.read_bytes() == ALICE


def test_of_a_packing_that_was_interrupted_both_files_are_treated(tmp_path: Path) -> None:
    path = tmp_path / "1.jsonl"
    path.write_bytes(ALICE + BOB)
    pack(path)
    path.write_bytes(ALICE + BOB)
    assert run(files(tmp_path))[0].removed == 2
    assert (path.read_bytes(), unpacked(tmp_path / "1.jsonl.zst")) == (BOB, BOB)


@pytest.mark.parametrize("step", ["fsync", "utime", "replace"])
def test_a_failure_leaves_the_file_whole_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "1.jsonl"
    path.write_bytes(ALICE + BOB)

    def fail(*_: object, **__: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="no space"):
        run([path])
    assert path.read_bytes() == ALICE + BOB
    assert os.listdir(tmp_path) == ["1.jsonl"]


def test_what_a_kill_leaves_beside_it_is_cleared_away(tmp_path: Path) -> None:
    """The scratch file is named as packing names its own, by a process that is gone."""
    log = tmp_path / "loan"
    log.mkdir()
    path = log / "1.jsonl"
    path.write_bytes(ALICE + BOB)
    if (child := os.fork()) == 0:
        setattr(os, "replace", lambda *_: os._exit(0))  # noqa: B010
        run([path])
    os.waitpid(child, 0)
    assert len(os.listdir(log)) == 2
    abandoned(tmp_path)
    assert os.listdir(log) == ["1.jsonl"]
    assert path.read_bytes() == ALICE + BOB


@given(st.lists(st.sampled_from((ALICE, BOB, NOBODY))), st.booleans())
def test_whatever_the_order(
    tmp_path_factory: pytest.TempPathFactory, written: list[bytes], packed: bool
) -> None:
    path = tmp_path_factory.mktemp("log") / "1.jsonl"
    path.write_bytes(b"".join(written))
    if packed:
        pack(path)
    found, _ = run(files(path.parent))
    assert (found.removed, found.unattributed) == (written.count(ALICE), written.count(NOBODY))
    left = b"".join(
        unpacked(each) if each.name.endswith(".zst") else each.read_bytes() for each in files(path.parent)
    )
    assert left == b"".join(each for each in written if each != ALICE)


def test_what_waits_for_another_sink_is_counted(tmp_path: Path) -> None:
    finders = {"loan": FINDER}
    assert undelivered(tmp_path, finders) == 0
    queue = tmp_path / ".sinks" / "webhook"
    queue.mkdir(parents=True)
    (queue / "1-2-3.spool").write_bytes(ALICE + BOB + ALICE + b"torn")
    assert undelivered(tmp_path, finders) == 2
    assert undelivered(tmp_path, {"other": FINDER}) == 0, "what waits is another deployment's"
