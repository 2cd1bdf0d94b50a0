"""The order of an erasure in a running recorder: what is on its way is waited for, and never written."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from msgspec.structs import replace

from router.channel import Capture, CapturedRequest, Erase, Erasing, RecorderSettings
from router.pairs import erasing
from router.pairs.comparators.json import JsonComparator
from router.pairs.erasing import Eraser
from router.pairs.forgotten import Forgotten
from router.pairs.joining import Joined, Joiner
from router.pairs.pair import build
from router.pairs.pipeline import TOLD_AFTER, Pipeline
from router.pairs.reading import read
from router.pairs.redaction import Redactor
from router.pairs.settings import PairSettings, RedactSpec, SubjectSource
from router.pairs.sinks.jsonl import JsonlSink
from router.pairs.sinks.outlets import Outlets
from router.pairs.sources import Sources
from router.pairs.spool import Spool
from router.pairs.subject import Subjects
from tests.support.captures import message, primary, shadow

SETTINGS = PairSettings().wire(SubjectSource(header="x-user"))


def asked(name: str, user: str, when: float | None = None) -> Capture:
    half = primary(name)
    request = CapturedRequest(b"POST", b"/", message(1, ((b"x-user", user.encode()),)))
    return replace(half, request=request, time=time.time() if when is None else when)


@dataclass
class Recorder:
    """A recorder's parts with one hand on each."""

    path: Path
    told: list[Erasing] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sink, self.spool = JsonlSink(self.path, 1 << 20, 3600.0), Spool(self.path)
        self.pipeline = Pipeline(
            self.spool, self.sink, Joiner(), sources=Sources(self.path), forgotten=Forgotten(self.path)
        )
        self.pipeline.configure(RecorderSettings(str(self.path), 1 << 20, 3600.0, 3600.0, {"loan": SETTINGS}))
        self.disk, self.packer = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self.eraser = Eraser(
            self.pipeline, Outlets(self.path, 60.0), self.spool, self.sink, self.disk, self.packer
        )

    def take(self, *captures: Capture) -> None:
        for capture in captures:
            self.pipeline.take(capture, time.monotonic())
        self.work()

    def work(self) -> None:
        while self.pipeline.work(time.time()):
            pass
        for _ in range(TOLD_AFTER):
            self.pipeline.expire(time.monotonic())

    async def erase(self, deployment: str = "loan", hash_key: str = "") -> Erasing:
        await self.eraser.erase(Erase(7, deployment, "alice", hash_key), self.path, self.told.append)
        assert [each.number for each in self.told] == [7] * len(self.told)
        assert [each.finished for each in self.told] == [False] * (len(self.told) - 1) + [True]
        return self.told[-1]

    def logged(self) -> list[str]:
        return [pair["exchange"] for pair in read(self.path / "loan")]


@pytest_asyncio.fixture
async def recorder(tmp_path: Path) -> AsyncIterator[Recorder]:
    made = Recorder(tmp_path)
    yield made
    made.disk.shutdown()
    made.packer.shutdown()


async def test_the_file_that_is_being_written_is_ended_and_treated(recorder: Recorder) -> None:
    recorder.take(asked("a", "alice"), shadow("a"), asked("b", "bob"), shadow("b"))
    done = await recorder.erase()
    assert (done.removed, done.segments, done.busy, done.error) == (1, 1, 0, "")
    assert recorder.logged() == ["b"]
    assert [each.total > 0 for each in recorder.told[:-1]] == [True]


async def test_what_waits_for_its_other_half_is_waited_for_and_never_written(recorder: Recorder) -> None:
    recorder.take(asked("a", "alice"), asked("b", "bob"))
    erasure = asyncio.create_task(recorder.erase())
    await asyncio.sleep(0.2)
    assert not erasure.done(), "the spool still has it"
    recorder.take(shadow("a"), shadow("b"))
    done = await asyncio.wait_for(erasure, 5)
    assert (done.removed, recorder.logged()) == (1, ["b"])
    assert not any(b"alice" in path.read_bytes() for path in recorder.path.rglob("*-*.spool"))


async def test_requests_of_later_are_records_again(recorder: Recorder) -> None:
    await recorder.erase()
    recorder.take(asked("old", "alice", time.time() - 60), shadow("old"))
    recorder.take(asked("new", "alice", time.time() + 60), shadow("new"))
    assert recorder.logged() == ["new"]


async def test_what_was_held_back_is_held_back_by_the_next_recorder(
    recorder: Recorder, tmp_path: Path
) -> None:
    await recorder.erase()
    recorder.pipeline.take(asked("old", "alice", time.time() - 60), time.monotonic())
    recorder.pipeline.take(shadow("old"), time.monotonic())
    killed = tmp_path / "killed"
    shutil.copytree(recorder.path / ".spool", killed / ".spool")
    recorder.work()
    assert recorder.logged() == []
    after = Recorder(killed)
    (left,) = after.spool.leftovers()
    after.pipeline.recover(left, set(), time.monotonic())
    after.work()
    assert after.logged() == []
    assert not any(b"old" in path.read_bytes() for path in (killed / ".spool").glob("*.spool"))


async def test_a_spool_that_another_process_holds_is_said(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "_PATIENCE", 0.1)
    recorder.take(asked("a", "alice"))
    assert (await recorder.erase()).busy == 1


def leave(recorder: Recorder, deployment: str, *lines: bytes) -> Path:
    """A segment of a deployment that is in no file any more."""
    directory = recorder.path / deployment
    directory.mkdir()
    (directory / "20250101T000000Z-000001.jsonl").write_bytes(b"".join(lines))
    return directory


def line_of(user: str, key: str = "", deployment: str = "gone") -> bytes:
    settings = PairSettings.model_validate({"hash": {"key": key}} if key else {})
    half = replace(primary("a"), subject=Subjects.of(settings).hashed(user), deployment=deployment)
    other = replace(shadow("a"), deployment=deployment)
    return build(Joined(half, other, "v2", ()), JsonComparator(), Redactor(RedactSpec())).line()


async def test_a_deployment_that_is_in_no_file_any_more(recorder: Recorder) -> None:
    directory = leave(recorder, "gone", line_of("alice"), line_of("bob"))
    done = await recorder.erase("gone")
    assert (done.removed, done.segments, done.error) == (1, 1, "")
    assert [pair["subject"] for pair in read(directory)] == [Subjects(None).hashed("bob")]


async def test_what_was_hashed_with_a_key_is_found_by_any_that_is_known(recorder: Recorder) -> None:
    ours, older, lost = "k" * 16, "o" * 16, "l" * 16
    keyed = PairSettings.model_validate({"hash": {"key": ours}}).wire(None)
    recorder.pipeline.configure(
        RecorderSettings(str(recorder.path), 1 << 20, 3600.0, 3600.0, {"other": keyed})
    )
    directory = leave(recorder, "gone", *(line_of("alice", key) for key in (ours, older, lost)))
    done = await recorder.erase("gone", hash_key=older)
    assert (done.removed, len(list(read(directory)))) == (2, 1)


async def test_of_a_deployment_that_is_gone_it_is_known_what_named_its_subject(recorder: Recorder) -> None:
    unmarked = build(
        Joined(asked("a", "alice"), shadow("a"), "v2", ()), JsonComparator(), Redactor(RedactSpec())
    ).line()
    directory = leave(recorder, "gone", unmarked, unmarked.replace(b"alice", b"bob"))
    done = await recorder.erase("gone")
    assert (done.removed, done.unattributed, done.unconfigured) == (0, 2, ("gone",))
    Sources(recorder.path).keep({"gone": SubjectSource(header="x-user")})
    after = Recorder(recorder.path)
    done = await after.erase("gone")
    assert (done.removed, done.unattributed, done.unconfigured) == (1, 0, ("gone",))
    assert done.log == str(recorder.path)
    assert b"alice" not in b"".join(path.read_bytes() for path in directory.iterdir())
    after.told.clear()
    assert (await after.erase()).unconfigured == ()


async def test_every_log_there_is(recorder: Recorder) -> None:
    leave(recorder, "gone", line_of("alice"), line_of("bob"))
    recorder.take(asked("a", "alice"), shadow("a"), asked("b", "bob"), shadow("b"))
    done = await recorder.erase("")
    assert (done.removed, done.segments, done.error) == (2, 2, "")
    assert recorder.logged() == ["b"]
    recorder.take(asked("old", "alice", time.time() - 60), shadow("old"))
    assert recorder.logged() == ["b"], "nor is it written again"


async def test_a_disk_that_fails_is_said(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError("broken")

    monkeypatch.setattr(recorder.sink, "settle", fail)
    assert (await recorder.erase()).error == "not all is erased: broken"
