"""From the command to the line that says that it is ready, with a first start and an empty journal."""

import os
import subprocess
import time

from bench.peers import Peer, Place, ours
from bench.processes import end
from bench.results import Column, Outcome, Row, Sample
from bench.scenarios import Scenario
from bench.session import Session

TITLE = "Start to ready, 2 workers"

COLUMNS = [Column("ready_s", "seconds", 2), Column("ready_s", "max", 2, "max")]


def _run(session: Session) -> Outcome:
    samples = []
    session.say(f"start: {session.effort.starts} times")
    for _ in range(session.effort.starts):
        with session.directory() as directory, session.upstream() as upstream:
            peer = ours.router(Place(directory, upstream), "router", ours.CANARY, workers=2)
            for name, text in peer.files.items():
                (directory / name).write_text(text)
            samples.append(_started(peer))
    return Outcome("start", TITLE, "ready_s", "router", COLUMNS, [Row("router", samples)])


def _started(peer: Peer) -> Sample:
    began = time.monotonic()
    with open(os.devnull, "wb") as nothing:
        process = subprocess.Popen(
            peer.command, stdout=subprocess.PIPE, stderr=nothing, start_new_session=True
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        took = time.monotonic() - began
        if b"is ready" not in line:
            raise RuntimeError(f"it did not start: {line!r}")
        return {"ready_s": took}
    finally:
        end(process)
        process.stdout.close()


SCENARIO = Scenario("start", TITLE, _run)
