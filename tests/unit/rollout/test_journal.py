"""The journal: what it keeps, through kill -9 and full disks, and what it refuses to begin with."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from router.rollout import journal as module
from router.rollout import note
from router.rollout.evidence_counts import Arm, Block, Exposed, Sample
from router.rollout.journal import Entry, Journal, JournalError, Record
from router.rollout.phase import Phase
from router.rollout.samples import EvidenceSample, KeptEvidence
from router.rollout.state import RolloutState
from router.rollout.verdict import Ruling, Verdict

LOAN = RolloutState("loan", "canary", "v1", ("v2",), Phase.PROGRESSING, 1, 1000, 0, 12.5, "anna", "go", 1.0)
FRAUD = RolloutState("fraud", "", "v1")


def entry(number: int, deployment: str = "loan") -> Entry:
    return Entry(
        id=number,
        deployment=deployment,
        when=1000.0 + number,
        who="anna",
        what="promote",
        why="looks good",
        phase_before="progressing",
        phase="progressing",
        share=0.1,
        generation=number,
        config="abc",
        evidence={"v2": {"requests": 7}},
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "router.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    journal = Journal(path)
    yield journal
    journal.close()


def test_a_new_journal_is_empty(journal: Journal) -> None:
    assert (journal.states(), journal.generation(), journal.last_id()) == ({}, 0, 0)
    assert journal.history("loan") == []


def test_what_was_written_is_there_when_it_is_opened_again(path: Path) -> None:
    journal = Journal(path)
    journal.write(Record(3, (LOAN, FRAUD), (entry(1), entry(2), entry(3, "fraud"))))
    journal.close()
    journal = Journal(path)
    assert journal.states() == {"fraud": FRAUD, "loan": LOAN}
    assert (journal.generation(), journal.last_id()) == (3, 3)
    assert journal.history("loan") == [entry(2), entry(1)]
    assert journal.history("loan", limit=1) == [entry(2)]
    journal.close()


def test_records_are_written_in_order_and_twice_does_no_harm(journal: Journal) -> None:
    rolled_back = RolloutState("loan", "canary", "v1", ("v2",), Phase.ROLLED_BACK)
    records = (Record(1, (LOAN,), (entry(1),)), Record(2, (rolled_back,), (entry(2),)))
    journal.write(*records)
    journal.write(*records)
    assert journal.states() == {"loan": rolled_back}
    assert journal.history("loan") == [entry(2), entry(1)]


def test_the_generation_never_goes_back(journal: Journal) -> None:
    journal.write(Record(7))
    journal.write(Record(5, (LOAN,)))
    assert journal.generation() == 7


def test_withdrawn_entries_are_gone(journal: Journal) -> None:
    journal.write(Record(1, (), (entry(1), entry(2))))
    journal.write(Record(2, withdrawn=(2,)))
    assert journal.history("loan") == [entry(1)]


def test_a_second_controller_is_kept_out_and_told_who_is_in(path: Path, journal: Journal) -> None:
    with pytest.raises(JournalError, match=rf"pid {os.getpid()}\b"):
        Journal(path)
    assert journal.generation() == 0


def test_a_controller_that_cannot_open_it_leaves_no_lock(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database at all" * 100)
    for _ in range(2):
        with pytest.raises(JournalError, match="put a copy back"):
            Journal(path)


_WRITE_UNTIL_KILLED = """
import sys
from pathlib import Path
from router.rollout.journal import Journal, Record
from router.rollout.state import RolloutState
journal = Journal(Path(sys.argv[1]))
for number in range(1, 1_000_000):
    journal.write(Record(number, (RolloutState("loan", "canary", "v1", ("v2",), share=number % 10_000),)))
    print(number, flush=True)
"""


def test_what_write_returned_from_survives_kill_9(path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", _WRITE_UNTIL_KILLED, str(path)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    promised = 0
    while promised < 25:
        promised = int(writer.stdout.readline())
    writer.send_signal(signal.SIGKILL)
    promised = max([promised, *map(int, writer.stdout.read().split())])
    writer.wait()
    writer.stdout.close()
    journal = Journal(path)
    assert journal.generation() >= promised
    assert journal.states()["loan"].share == journal.generation()
    journal.close()


@pytest.mark.parametrize("damage", [b"", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_journal_is_never_taken_for_a_new_one(path: Path, damage: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(damage)
    with pytest.raises(JournalError, match=r"router\.db"):
        Journal(path)
    assert path.read_bytes() == damage


def test_a_damaged_journal_is_refused(path: Path) -> None:
    journal = Journal(path)
    journal.write(*(Record(number, (), (entry(number),)) for number in range(1, 200)))
    journal.close()
    content = bytearray(path.read_bytes())
    content[8192 : 8192 + 4096] = b"\xaa" * 4096
    path.write_bytes(content)
    with pytest.raises(JournalError, match="put a copy back"):
        Journal(path)


def test_a_database_of_another_program_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(JournalError, match="another program"):
        Journal(path)


def test_a_newer_layout_is_not_guessed_at(path: Path) -> None:
    Journal(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(JournalError, match="layout 99"):
        Journal(path)


def test_a_full_disk_changes_nothing_and_is_written_to_again_when_there_is_room(
    path: Path, journal: Journal
) -> None:
    journal.write(Record(1, (LOAN,), (entry(1),)))
    fill(journal)
    with pytest.raises(JournalError, match="full"):
        journal.write(Record(2, (FRAUD,), tuple(entry(number) for number in range(2, 500))))
    assert (journal.states(), journal.generation(), journal.last_id()) == ({"loan": LOAN}, 1, 1)
    journal._connection.execute("PRAGMA max_page_count = 1000000")
    journal.write(Record(2, (FRAUD,)))
    assert journal.generation() == 2


def fill(journal: Journal) -> None:
    """As on a full disk: the file may not grow any more."""
    pages = journal._connection.execute("PRAGMA page_count").fetchone()[0]
    journal._connection.execute(f"PRAGMA max_page_count = {pages}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_directory_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(JournalError, match="can't be opened"):
            Journal(tmp_path / "router.db")
    finally:
        tmp_path.chmod(0o700)


def test_a_path_below_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="can't be opened"):
        Journal(tmp_path / "file" / "router.db")


def sample(number: int, deployment: str = "loan", began: int = 1) -> EvidenceSample:
    state = RolloutState(deployment, "canary", "v1", ("v2",), cohort=began, began=began)
    block = Block(began, Exposed(1000), 0.0, 1.0, Sample(candidate=Arm(number, number)))
    return EvidenceSample(number, 10.0 * number, 1000.0, state, "v2", (block,))


def test_evidence_is_kept_of_the_newest_rollout_and_goes_with_its_state(journal: Journal) -> None:
    kept = KeptEvidence("loan", 2, 12.5, b"\x90", 3)
    journal.write(Record(1, (LOAN,), evidence=(kept, KeptEvidence("fraud", 1, 0.0, b""))))
    journal.write(Record(1, evidence=(KeptEvidence("loan", 4, 1.0, b"\x91"),)))
    assert journal.evidence() == {
        "fraud": KeptEvidence("fraud", 1, 0.0, b""),
        "loan": KeptEvidence("loan", 4, 1.0, b"\x91"),
    }


def test_samples_are_told_oldest_first_rollout_by_rollout_and_once(journal: Journal) -> None:
    journal.write(Record(1, samples=(sample(1, began=5), sample(2), sample(1, "fraud"))))
    journal.write(Record(1, samples=(sample(1), sample(2))))
    assert journal.samples("loan") == [sample(1), sample(2), sample(1, began=5)]
    assert journal.samples("none") == []


def test_it_does_not_grow_without_bound(journal: Journal) -> None:
    many = tuple(entry(number) for number in range(1, module.MOST_ENTRIES + 4))
    journal.write(Record(1, entries=(*many, entry(10_000, "fraud"))))
    kept = journal.history("loan", limit=10 * module.MOST_ENTRIES)
    assert (len(kept), kept[0].id, kept[-1].id) == (module.MOST_ENTRIES, module.MOST_ENTRIES + 3, 4)
    assert len(journal.history("fraud")) == 1
    old = tuple(sample(number) for number in range(module.MOST_SAMPLES))
    new = tuple(sample(number, began=2) for number in range(10))
    journal.write(Record(1, samples=(*old, sample(1, "fraud"))))
    journal.write(Record(1, samples=new))
    left = journal.samples("loan")
    assert (len(left), left[0].number, left[-1].state.began) == (module.MOST_SAMPLES, 10, 2)
    assert len(journal.samples("fraud")) == 1


def test_what_gates_said_comes_back(journal: Journal) -> None:
    said = (Ruling("error_rate", Verdict.FAIL, "error ratio 9", {"ratio": 9.0}, hold=True, wait=3.0),)
    told = msgspec.structs.replace(entry(1), gates=said)
    journal.write(Record(1, entries=(told,)))
    assert journal.history("loan") == [told]


# What is jotted down


def test_what_was_jotted_down_is_taken_in_by_the_next_one(path: Path) -> None:
    journal = Journal(path)
    journal.write(Record(3, (LOAN, FRAUD)))
    back = replace(LOAN, phase=Phase.ROLLED_BACK, share=0)
    journal.jot(Record(4, (back,)), Record(4, entries=(entry(1),)))
    journal.close()
    later = Journal(path)
    assert later.states() == {"loan": back, "fraud": FRAUD}
    assert later.generation() == 4
    assert later.history("loan") == [replace(entry(1), evidence={})]
    later.close()


def test_what_was_written_meanwhile_counts_before_what_was_jotted_down(path: Path) -> None:
    journal = Journal(path)
    journal.jot(Record(4, (replace(LOAN, phase=Phase.ROLLED_BACK),)))
    journal.write(Record(5, (LOAN,)))  # and killed before it took the note out
    journal.close()
    later = Journal(path)
    assert later.states() == {"loan": LOAN}
    later.close()


def test_a_note_is_gone_once_it_is_settled_or_taken_in(path: Path) -> None:
    journal = Journal(path)
    journal.jot(Record(4, (LOAN,)))
    journal.settle()
    journal.close()
    journal = Journal(path)
    assert journal.states() == {}
    journal.jot(Record(4, (LOAN,)))
    journal.close()
    Journal(path).close()
    assert note.Note(path.with_name(path.name + ".note")).read() == b""


def test_of_many_rollouts_where_they_are_is_kept_before_who_brought_them_there(path: Path) -> None:
    journal = Journal(path)
    states = tuple(replace(LOAN, deployment=f"d{n}") for n in range(900))
    journal.jot(Record(4, states, tuple(entry(n) for n in range(900))))
    journal.close()
    later = Journal(path)
    assert len(later.states()) == 900
    assert later.history("loan") == []
    later.close()


def test_nobody_goes_on_without_what_was_jotted_down(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the disk is still full the next controller does not start: it would send requests to what was rolled
    back."""
    journal = Journal(path)
    journal.jot(Record(4, (LOAN,)))
    journal.close()
    whole = Journal.write

    def full(self: Journal, *records: Record) -> None:
        if records:
            raise JournalError("full")
        whole(self)

    monkeypatch.setattr(Journal, "write", full)
    with pytest.raises(JournalError, match="full"):
        Journal(path)
    monkeypatch.undo()
    later = Journal(path)
    assert later.states() == {"loan": LOAN}
    later.close()


def test_without_room_the_journal_works_and_nothing_can_be_jotted_down(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir(parents=True)
    path.with_name(path.name + ".note").mkdir()  # where no file can be
    journal = Journal(path)
    assert "no room can be set aside" in caplog.text
    journal.write(Record(1, (LOAN,)))
    with pytest.raises(JournalError, match="no room was set aside"):
        journal.jot(Record(2, (LOAN,)))
    journal.settle()
    journal.close()
