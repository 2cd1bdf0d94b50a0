"""A real recorder process, fed over real sockets as the controller and the workers feed it."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from router import recorder as router_recorder
from router.channel import (
    Capture,
    Drain,
    Frame,
    FrameReader,
    RecorderSettings,
    RecorderTally,
    encode,
)
from router.pairs import reading
from tests.support.captures import message, primary, shadow


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


class Recorder:
    """The process, the controller's end of its channel, and connections as a worker makes them."""

    def __init__(self, root: Path) -> None:
        self.pairs = root / "pairs"
        self.path = root / "recorder.sock"
        self.log = self.pairs / "loan"
        self.start()

    def start(self) -> None:
        self.channel, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "router.recorder"]
            command += ["--channel", str(theirs.fileno()), "--listen", str(self.path)]
            self.process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        self.frames = FrameReader()
        self.configure()

    def configure(self) -> None:
        settings = json.dumps({"redact": {"request": ["/card"], "response": ["/secret"]}}).encode()
        self.tell(RecorderSettings(str(self.pairs), 1 << 20, 3600.0, 3600.0, {"loan": settings}))

    def tell(self, frame: Frame) -> None:
        self.channel.sendall(encode(frame))

    def worker(self) -> socket.socket:
        """Connects when the socket of the present process is there."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(30.0)

        def connected() -> bool:
            with suppress(OSError):
                connection.connect(str(self.path))
                return True
            return False

        until(connected)
        return connection

    def pairs_on_disk(self) -> list[dict[str, Any]]:
        return list(reading.read(self.log))

    def spooled(self) -> int:
        """Whole captures in the spool's files."""
        reader = FrameReader
        count = 0
        for path in (self.pairs / ".spool").glob("*.spool"):
            with suppress(FileNotFoundError):
                count += len(reader().feed(path.read_bytes()))
        return count

    def tallied(self, done: Callable[[RecorderTally], bool]) -> RecorderTally:
        """The first tally that is as wanted."""
        self.channel.settimeout(30.0)
        while data := self.channel.recv(1 << 16):
            for frame in self.frames.feed(data):
                if isinstance(frame, RecorderTally) and done(frame):
                    return frame
        raise AssertionError("the channel ended before the tally came")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(20)
        self.channel.close()

    def ends(self) -> int:
        return self.process.wait(20)


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    recorder = Recorder(tmp_path)
    yield recorder
    recorder.kill()


def test_a_pair_is_on_disk_as_the_design_says_and_secrets_are_not(recorder: Recorder, tmp_path: Path) -> None:
    with recorder.worker() as worker:
        worker.sendall(encode(primary("a", {"label": 1, "secret": "s3cr3t"})))
        worker.sendall(encode(shadow("a", {"label": 2, "secret": "0ther"})))
        until(lambda: len(recorder.pairs_on_disk()) == 1)
    (pair,) = recorder.pairs_on_disk()
    assert list(pair) == [
        *("id", "time", "deployment", "generation", "request", "primary", "shadow"),
        *("verdict", "score", "differences", "differences_more", "exchange"),
        *("slices", "subject", "cohort", "labels", "values"),
    ]
    assert list(pair["request"]) == [
        "method",
        "path",
        "headers",
        "body",
        "body_encoding",
        "size",
        "truncated",
    ]
    assert list(pair["shadow"]) == [
        *("version", "endpoint", "status", "headers", "body", "body_encoding"),
        *("size", "truncated", "latency_ms", "first_byte_ms", "error"),
    ]
    assert pair["id"] == "id-a"
    assert pair["request"]["body"] == {"card": "[redacted]", "amount": 7}
    assert pair["request"]["headers"]["authorization"] == "[redacted]"
    assert pair["verdict"] == "mismatch"
    assert {each["at"] for each in pair["differences"]} == {"/label", "/secret"}
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for secret in (b"4111", b"hunter2", b"s3cr3t", b"0ther"):
        assert secret not in everything


def test_tallies_reach_the_controller(recorder: Recorder) -> None:
    with recorder.worker() as worker:
        for name, value in (("a", 1), ("b", 1), ("c", 2)):
            worker.sendall(encode(primary(name)) + encode(shadow(name, value)))
        worker.sendall(encode(primary("d", copies=())))
        tally = recorder.tallied(lambda t: bool(t.pairs) and sum(t.pairs[0].verdicts.values()) == 3)
    (series,) = tally.pairs
    assert (series.deployment, series.primary, series.shadow) == ("loan", "v1", "v2")
    assert series.verdicts == {"match": 2, "mismatch": 1}
    assert tally.dropped == ((("loan", "no_copies"), 1),)


def test_kill_between_the_halves_loses_none_and_writes_each_once(recorder: Recorder) -> None:
    with recorder.worker() as worker:
        for number in range(50):
            worker.sendall(encode(primary(str(number))))
            if number < 20:
                worker.sendall(encode(shadow(str(number))))
        until(lambda: recorder.spooled() == 70 and len(recorder.pairs_on_disk()) == 20)
        recorder.kill()
    recorder.start()
    with recorder.worker() as worker:
        for number in range(20, 50):
            worker.sendall(encode(shadow(str(number))))
        until(lambda: len(recorder.pairs_on_disk()) >= 50)
    recorder.tell(Drain(5.0))
    assert recorder.ends() == 0
    pairs = recorder.pairs_on_disk()
    assert sorted(Counter(pair["exchange"] for pair in pairs).items()) == sorted(
        (str(n), 1) for n in range(50)
    )
    verdicts = {pair["exchange"]: pair["verdict"] for pair in pairs}
    assert {verdicts[str(number)] for number in range(20)} == {"match"}
    # The spool has no secrets, so it cannot tell any more whether those are equal.
    assert {verdicts[str(number)] for number in range(20, 50)} == {"incomparable"}
    assert recorder.spooled() == 0


def test_kill_under_load_loses_nothing_that_was_taken(recorder: Recorder) -> None:
    sent = 3000
    frames = [encode(primary(str(n))) + encode(shadow(str(n))) for n in range(sent)]
    with recorder.worker() as worker, suppress(OSError):
        for number, frame in enumerate(frames):
            worker.sendall(frame)
            if number == sent // 2:
                recorder.kill()
    taken = {frame.exchange for frame in _spool_frames(recorder.pairs)}
    taken |= {pair["exchange"] for pair in recorder.pairs_on_disk()}
    torn = max(recorder.log.glob("*.jsonl"))
    with torn.open("ab") as file:  # a kill rarely tears a line by itself
        file.write(b'{"id":"torn","verdict":"match"')
    recorder.start()
    with recorder.worker() as worker:
        worker.sendall(encode(primary("after")) + encode(shadow("after")))
        until(lambda: any(pair["exchange"] == "after" for pair in recorder.pairs_on_disk()))
    recorder.tell(Drain(5.0))
    assert recorder.ends() == 0
    written = Counter(pair["exchange"] for pair in recorder.pairs_on_disk())
    assert len(taken) > 100
    assert taken <= written.keys()
    assert set(written.values()) == {1}
    assert "torn" not in {pair["id"] for pair in recorder.pairs_on_disk()}


def _spool_frames(pairs: Path) -> list[Capture]:
    found: list[Capture] = []
    for path in (pairs / ".spool").glob("*.spool"):
        found += [frame for frame in FrameReader().feed(path.read_bytes()) if isinstance(frame, Capture)]
    return found


def test_sigterm_is_the_controllers_to_answer(recorder: Recorder) -> None:
    with recorder.worker() as worker:
        worker.sendall(encode(primary("a")))
        until(lambda: recorder.spooled() == 1)
        recorder.process.send_signal(signal.SIGTERM)
        worker.sendall(encode(shadow("a")))
        until(lambda: len(recorder.pairs_on_disk()) == 1)
    with pytest.raises(subprocess.TimeoutExpired):
        recorder.process.wait(0.5)


def test_sigterm_without_a_controller_waits_for_the_workers(recorder: Recorder) -> None:
    with recorder.worker() as worker:
        recorder.channel.close()
        recorder.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            recorder.process.wait(0.5)
        worker.sendall(encode(primary("late")) + encode(shadow("late")))
    assert recorder.ends() == 0
    assert len(recorder.pairs_on_disk()) == 1


async def test_sigterm_without_a_controller_sets_the_workers_no_time(tmp_path: Path) -> None:
    orphaned = router_recorder.Recorder(tmp_path / "r.sock")
    orphaned._accept()
    orphaned._on_sigterm()
    assert not orphaned._is_over()
    assert orphaned._leave_at is None, "their drain_timeout may be any; they leave, and so does it"


def test_the_end_writes_what_waits(recorder: Recorder) -> None:
    with recorder.worker() as worker:
        worker.sendall(encode(primary("alone")))
        until(lambda: recorder.spooled() == 1)
    recorder.tell(Drain(5.0))
    assert recorder.ends() == 0
    (pair,) = recorder.pairs_on_disk()
    assert (pair["verdict"], pair["shadow"]["error"]) == ("incomparable", "missing")
    assert recorder.spooled() == 0
    assert not recorder.path.exists()


def test_drain_waits_for_the_workers_no_longer_than_its_grace(recorder: Recorder) -> None:
    with recorder.worker() as worker:
        worker.sendall(encode(primary("a")))
        until(lambda: recorder.spooled() == 1)
        recorder.tell(Drain(0.3))
        worker.sendall(encode(shadow("a")))
        assert recorder.ends() == 0
    (pair,) = recorder.pairs_on_disk()
    assert pair["verdict"] == "match"


def test_it_outlives_its_controller_while_a_worker_is_there(recorder: Recorder) -> None:
    with recorder.worker() as worker:
        recorder.channel.close()
        worker.sendall(encode(primary("late")) + encode(shadow("late")))
        until(lambda: len(recorder.pairs_on_disk()) == 1)
        assert recorder.process.poll() is None
    assert recorder.ends() == 0


def test_sigint_is_ignored(recorder: Recorder) -> None:
    with recorder.worker() as worker:
        recorder.process.send_signal(signal.SIGINT)
        worker.sendall(encode(primary("a")) + encode(shadow("a")))
        until(lambda: len(recorder.pairs_on_disk()) == 1)


def test_a_malformed_worker_does_not_disturb_the_others(recorder: Recorder) -> None:
    with recorder.worker() as bad, recorder.worker() as good:
        bad.sendall(b"\x00\x00\x00\x05hello")
        assert bad.recv(1) == b""
        good.sendall(encode(primary("a")) + encode(shadow("a")))
        until(lambda: len(recorder.pairs_on_disk()) == 1)


def test_an_unwritable_log_is_counted_and_heals(recorder: Recorder) -> None:
    recorder.pairs.mkdir(exist_ok=True)
    recorder.log.write_bytes(b"in the way")
    with recorder.worker() as worker:
        worker.sendall(encode(primary("a")) + encode(shadow("a")))
        tally = recorder.tallied(lambda t: bool(t.dropped))
        assert tally.dropped == ((("loan", "write_error"), 2),)
        assert tally.pairs[0].verdicts == {"match": 1}  # the gates still learn of it
        recorder.log.unlink()
        worker.sendall(encode(primary("b")) + encode(shadow("b")))
        until(lambda: len(recorder.pairs_on_disk()) == 1)


def test_a_second_recorder_leaves_the_files_of_a_living_one_alone(tmp_path: Path) -> None:
    first = Recorder(tmp_path)
    with first.worker() as worker:
        worker.sendall(encode(primary("a")) + encode(shadow("a")) + encode(primary("b")))
        until(lambda: len(first.pairs_on_disk()) == 1)
        second = Recorder(tmp_path)
        with second.worker() as other:
            other.sendall(encode(primary("c")) + encode(shadow("c")))
            until(lambda: len(second.pairs_on_disk()) == 2)
            worker.sendall(encode(shadow("b")))
            until(lambda: len(first.pairs_on_disk()) == 3)
        second.kill()
    first.kill()
    assert Counter(pair["exchange"] for pair in first.pairs_on_disk()) == {"a": 1, "b": 1, "c": 1}


def test_a_socket_path_that_is_too_long_says_so(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(encode(RecorderSettings(str(tmp_path / "pairs"), 1, 1.0, 1.0, {})))
        command = [sys.executable, "-m", "router.recorder", "--channel", str(theirs.fileno())]
        path = tmp_path / ("x" * 110)
        done = subprocess.run(
            [*command, "--listen", str(path)],
            check=False,
            pass_fds=[theirs.fileno()],
            capture_output=True,
            timeout=10,
        )
    assert done.returncode == 1
    assert b"too long" in done.stderr
    assert b"Traceback" not in done.stderr


def test_the_log_is_one_json_object_a_line(recorder: Recorder) -> None:
    with recorder.worker() as worker:
        worker.sendall(encode(primary("a")) + encode(shadow("a", message(b'{"secret": 1, "x": NaN}\n'))))
        until(lambda: len(recorder.pairs_on_disk()) == 1)
    (path,) = recorder.log.iterdir()
    (line,) = path.read_bytes().splitlines()
    body = msgspec.json.decode(line)["shadow"]
    assert (body["body_encoding"], body["body"]) == ("text", '{"secret":"[redacted]","x":NaN}')
    assert os.stat(path).st_mode & 0o007 == 0


@pytest.mark.parametrize(("worked", "turns"), [(0.0, 1), (0.004, 1), (0.5, 101)])
async def test_after_pairs_that_took_long_the_links_have_more_turns(worked: float, turns: int) -> None:
    """In one turn a link reads 256 KiB: after half a second of comparing, all that came meanwhile is read."""
    seen = 0

    def count() -> None:
        nonlocal seen
        seen += 1
        asyncio.get_running_loop().call_soon(count)

    asyncio.get_running_loop().call_soon(count)
    await router_recorder._let_links_read(worked)
    assert seen == turns
