# SPDX-License-Identifier: Apache-2.0
"""The index on disk: what makes it start anew, what fsck finds, what a damaged run does."""

import threading
from pathlib import Path

import msgspec
import numpy as np
import pytest
from support.brittle_files import BrittleFiles
from support.history_oracle import NOW_S, FixedClock, record
from support.memory_log import MemoryLog

from opentrail.errors import ClientError, Corrupt, Unavailable
from opentrail.history.check import check
from opentrail.history.derive import ATTRIBUTES
from opentrail.history.index import LOOKUP_WINDOW_S, History, Sizes
from opentrail.history.lookup import Lookup
from opentrail.history.manifest import NAME, load, store
from opentrail.history.run import Run
from opentrail.history.terms import COLUMNS, term

SMALL = Sizes(batch_entries=4, flush_rows=4, merge_runs=3, merge_urgent_runs=5)
ALL = Lookup("111122223333", "us-east-1", "Management")


def full_log(count: int = 9) -> MemoryLog:
    log = MemoryLog()
    log.append([record(number, NOW_S - number) for number in range(count)])
    return log


def indexed(path: Path, log: MemoryLog, sizes: Sizes = SMALL) -> History:
    history = History.open(path, log, FixedClock(), sizes=sizes)
    while history.step():
        pass
    return history


def numbers(history: History, query: Lookup = ALL) -> list[int]:
    return [int(found.derived.event_id[-3:]) for found in history.lookup(query).events]


def changed(path: Path, data: bytes) -> None:
    """Change a file where it lies, so that whoever has it mapped sees that."""
    with path.open("r+b") as file:
        file.write(data)


def test_a_restart_reads_only_what_no_run_covers(tmp_path: Path):
    log = full_log()
    assert indexed(tmp_path, log).rebuilt_because == "there is no index"
    again = History.open(tmp_path, log, FixedClock(), sizes=SMALL)
    assert again.rebuilt_because == ""
    assert 0 < again.indexed_to() < log.durable_end()
    assert numbers(again) == list(range(8))
    while again.step():
        pass
    assert numbers(again) == list(range(9))


def test_named_records_are_found_from_a_position_on_and_a_damaged_run_says_so(tmp_path: Path):
    log = MemoryLog()
    names = ["CreateModel", "StopTrainingJob"] * 5
    at = log.append([record(n, NOW_S - n, eventName=name) for n, name in enumerate(names)])
    history = indexed(tmp_path, log)
    assert history.named(("StopTrainingJob",), at[2]) == (at[3::2], log.durable_end())
    assert history.named(("StopTrainingJob", "CreateModel"), at[9])[0] == at[9:]
    assert history.named(("DeleteModel",), 0)[0] == []
    assert history.named(("StopTrainingJob",), log.durable_end())[0] == []
    run = min(tmp_path.glob("*.run"))
    data = bytearray(run.read_bytes())
    where = next(e for e in Run(run)._footer.sections if e.name == "EventName.terms")
    data[where.offset] ^= 1
    history = History.open(tmp_path, log, FixedClock(), sizes=SMALL)
    changed(run, bytes(data))
    with pytest.raises(Corrupt, match="a run is damaged"):
        history.named(("StopTrainingJob",), 0)
    past = at[4]  # the second run is whole
    assert history.named(("StopTrainingJob",), past)[0] == [at[5], at[7]]


@pytest.mark.parametrize(
    "change", [{"version": 0}, {"derive_version": 0}, {"log_id": "other"}, {"covered": 1 << 40}]
)
def test_an_index_that_is_not_of_this_log_is_built_anew(tmp_path: Path, change: dict[str, object]):
    log = full_log()
    indexed(tmp_path, log)
    manifest = load(tmp_path)
    assert manifest is not None
    store(tmp_path, msgspec.structs.replace(manifest, **change))
    assert list(check(tmp_path, log)) == []
    history = History.open(tmp_path, log, FixedClock(), sizes=SMALL)
    assert history.rebuilt_because != ""
    assert history.indexed_to() == 0
    assert not list(tmp_path.iterdir())
    while history.step():
        pass
    assert numbers(history) == list(range(9))


def test_a_manifest_that_cannot_be_read_is_no_index(tmp_path: Path):
    log = full_log()
    indexed(tmp_path, log)
    (tmp_path / NAME).write_bytes(b"{")
    assert History.open(tmp_path, log, FixedClock()).rebuilt_because == "there is no index"


@pytest.mark.parametrize("spoil", ["missing", "empty", "cut", "footer", "magic"])
def test_a_run_that_is_not_whole_is_built_anew_and_found(tmp_path: Path, spoil: str):
    log = full_log()
    indexed(tmp_path, log)
    path = min(tmp_path.glob("*.run"))
    data = path.read_bytes()
    changed = {
        "empty": b"",
        "cut": data[:-100],
        "footer": data[:-40] + bytes([data[-40] ^ 1]) + data[-39:],
        "magic": data[:-1] + b"?",
    }
    path.unlink()
    if spoil != "missing":
        path.write_bytes(changed[spoil])
    findings = list(check(tmp_path, log))
    assert [finding.where for finding in findings] == [str(path)]
    assert numbers(indexed(tmp_path, log)) == list(range(9))
    assert list(check(tmp_path, log)) == []


def test_fsck_finds_every_changed_byte_of_the_arrays(tmp_path: Path):
    log = full_log(4)
    indexed(tmp_path, log)
    (path,) = tmp_path.glob("*.run")
    data = path.read_bytes()
    arrays_end = data.index(b'{"version"')
    for offset in range(0, arrays_end, 5):
        path.write_bytes(data[:offset] + bytes([data[offset] ^ 64]) + data[offset + 1 :])
        run = Run(path)
        padding = not run.damaged()
        assert bool(list(check(tmp_path, log))) is not padding
        assert not padding or data[offset] == 0


def test_fsck_compares_with_the_log(tmp_path: Path):
    log = full_log(4)
    indexed(tmp_path, log)
    other = MemoryLog()
    other.append([record(number + 5, NOW_S - number) for number in range(4)])
    found = {finding.what for finding in check(tmp_path, other)}
    assert found == {
        "4 entries of EventId are missing",
        "4 entries of EventId are not in the log",
        "4 entries of ResourceName are missing",
        "4 entries of ResourceName are not in the log",
    }
    earlier = MemoryLog()
    earlier.append([record(number, NOW_S - number - 1) for number in range(4)])
    assert {finding.what for finding in check(tmp_path, earlier)} == {
        "4 rows are missing",
        "4 rows are not in the log",
    }


def test_terms_that_collide_show_nothing_wrong(tmp_path: Path):
    """Records are compared: an index over other records finds rows, but shows none of them."""
    log = full_log(4)
    indexed(tmp_path, log)
    other = MemoryLog()
    other.append([record(number + 5, NOW_S - number) for number in range(4)])
    history = History.open(tmp_path, other, FixedClock(), sizes=SMALL)
    event_id = ("EventId", "00000000-0000-4000-8000-000000000001")
    assert history.rebuilt_because == ""
    assert numbers(history, Lookup(*scope(), attribute=event_id)) == []
    assert numbers(history) == [5, 6, 7, 8]
    earlier = MemoryLog()
    earlier.append([record(number, NOW_S - number - 9) for number in range(4)])
    assert numbers(History.open(tmp_path, earlier, FixedClock(), sizes=SMALL)) == []
    elsewhere = MemoryLog()
    elsewhere.append([record(n, NOW_S - n, awsRegion="eu-west-1") for n in range(4)])
    assert numbers(History.open(tmp_path, elsewhere, FixedClock(), sizes=SMALL)) == []


def scope() -> tuple[str, str, str]:
    return ALL.account, ALL.region, ALL.category


def test_a_rank_past_the_rows_is_corrupt_not_a_wrong_answer(tmp_path: Path):
    log = full_log(4)
    indexed(tmp_path, log)
    (path,) = tmp_path.glob("*.run")
    run = Run(path)
    terms, ranks = run.column(COLUMNS.index("Scope"))
    assert terms.tolist() == [term(scope(), "Scope")] * 4
    damaged = path.read_bytes().replace(ranks.tobytes(), np.array([0, 77, 2, 3], "<u4").tobytes())
    history = History.open(tmp_path, log, FixedClock(), sizes=SMALL)
    changed(path, damaged)
    with pytest.raises(Corrupt, match="rank past the last row"):
        history.lookup(ALL)


def test_a_run_that_is_damaged_at_the_start_is_built_anew(tmp_path: Path):
    log = full_log(9)
    history = indexed(tmp_path, log)
    path = min(tmp_path.glob("*.run"))
    for section in Run(path)._footer.sections:
        if section.count:
            path = min(tmp_path.glob("*.run"))
            data = bytearray(path.read_bytes())
            data[section.offset] ^= 4
            path.write_bytes(data)
            history = indexed(tmp_path, log)
            assert f"damaged: {section.name}" in history.rebuilt_because
            assert numbers(history) == list(range(9))
            assert list(check(tmp_path, log)) == []


def test_what_is_damaged_is_not_merged_into_what_looks_whole(tmp_path: Path):
    log = full_log(8)
    history = History.open(tmp_path, log, FixedClock(), sizes=SMALL)
    while not list(tmp_path.glob("*.run")):
        history.step()
    path = min(tmp_path.glob("*.run"))
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    changed(path, bytes(data))
    log.append([record(number, NOW_S) for number in range(100, 140)])
    with pytest.raises(Corrupt, match="damaged: times"):
        all(history.step() for _ in range(100))


def test_many_runs_become_one_and_expired_ones_go(tmp_path: Path):
    log = full_log(12)
    history = indexed(tmp_path, log)
    assert len(list(tmp_path.glob("*.run"))) == 1
    positions = [entry.position for entry in log.entries(0)]
    log.expire(positions[11])
    assert history.step() is False
    log.reads = 0
    assert numbers(history) == [11]
    assert log.reads == 1
    log.append([record(12, NOW_S - 12)])
    log.expire(log.durable_end())
    while history.step():
        pass
    assert not list(tmp_path.glob("*.run"))
    assert numbers(history) == []


def test_leftovers_of_a_crash_are_deleted_and_other_files_are_not(tmp_path: Path):
    log = full_log()
    indexed(tmp_path, log)
    for name in ("x.run", "x.run.tmp", "manifest.json.tmp", "notes.txt"):
        (tmp_path / name).write_bytes(b"?")
    History.open(tmp_path, log, FixedClock(), sizes=SMALL)
    left = {path.name for path in tmp_path.iterdir() if path.suffix != ".run"}
    assert left == {NAME, "notes.txt"}


class RecordingFiles(BrittleFiles):
    """Notes what becomes durable, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []
        self._names: dict[int, str] = {}

    def open(self, path: Path) -> int:
        fd = super().open(path)
        self._names[fd] = path.name
        return fd

    def sync(self, fd: int) -> None:
        super().sync(fd)
        self.done.append(f"sync {self._names[fd]}")

    def rename(self, old: Path, new: Path) -> None:
        super().rename(old, new)
        self.done.append(f"name {new.name}")

    def sync_dir(self, path: Path) -> None:
        super().sync_dir(path)
        self.done.append("sync directory")


def test_a_run_is_durable_before_the_manifest_names_it(tmp_path: Path):
    files = RecordingFiles()
    history = History.open(tmp_path / "h", full_log(4), FixedClock(), sizes=SMALL, files=files)
    files.done.clear()
    assert history.step() is True
    (run,) = (tmp_path / "h").glob("*.run")
    assert files.done == [
        f"sync {run.name}.tmp",
        f"name {run.name}",
        "sync directory",
        f"sync {NAME}.tmp",
        f"name {NAME}",
        "sync directory",
    ]


def test_a_directory_that_cannot_be_used(tmp_path: Path):
    (tmp_path / "history").write_bytes(b"")
    with pytest.raises(Unavailable, match="index"):
        History.open(tmp_path / "history", full_log(), FixedClock())


def test_the_window_ends_to_the_second(tmp_path: Path):
    log = MemoryLog()
    oldest_s = NOW_S - LOOKUP_WINDOW_S
    log.append([record(1, oldest_s), record(2, oldest_s - 1)])
    assert numbers(indexed(tmp_path, log)) == [1]
    assert numbers(indexed(tmp_path, log), Lookup(*scope(), start_s=0)) == [1]


def test_bounds_are_inclusive_and_may_be_absurd(tmp_path: Path):
    log = MemoryLog()
    log.append([record(number, NOW_S + number) for number in range(5)])
    for sizes in (SMALL, Sizes()):
        history = indexed(tmp_path / str(sizes.flush_rows), log, sizes)
        assert numbers(history, Lookup(*scope(), start_s=NOW_S + 1, end_s=NOW_S + 3)) == [3, 2, 1]
        assert numbers(history, Lookup(*scope(), start_s=NOW_S + 3, end_s=NOW_S + 1)) == []
        assert numbers(history, Lookup(*scope(), start_s=-(1 << 90), end_s=1 << 90)) == [
            4,
            3,
            2,
            1,
            0,
        ]
        assert numbers(history, Lookup(*scope(), start_s=1 << 90)) == []
        assert numbers(history, Lookup(*scope(), end_s=-(1 << 90))) == []


@pytest.mark.parametrize("sizes", [SMALL, Sizes()], ids=["runs", "memtable"])
def test_pages_stay_as_they_were_while_events_arrive_and_runs_merge(tmp_path: Path, sizes: Sizes):
    log = MemoryLog()
    history = History.open(tmp_path, log, FixedClock(), sizes=sizes)
    log.append([record(number, NOW_S - number // 3) for number in range(40)])
    while history.step():
        pass
    before = history.lookup(Lookup(*scope(), limit=100)).events
    seen, after, more = [], None, True
    while more:
        page = history.lookup(Lookup(*scope(), limit=3, after=after))
        seen += page.events
        after = (seen[-1].derived.event_time_s, seen[-1].position)
        more = page.more
        log.append([record(100 + len(seen), NOW_S + 5)])
        history.step()
    assert seen == before


def test_only_durable_records_are_shown(tmp_path: Path):
    log = full_log(3)
    history = indexed(tmp_path, log)
    log.append([record(7, NOW_S)], durable=False)
    assert history.step() is False
    assert numbers(history) == [0, 1, 2]
    log.sync()
    assert history.step() is True
    assert numbers(history) == [7, 0, 1, 2]


def test_an_attribute_that_does_not_exist(tmp_path: Path):
    with pytest.raises(ClientError) as raised:
        indexed(tmp_path, full_log()).lookup(Lookup(*scope(), attribute=("Scope", "")))
    assert raised.value.code == "InvalidLookupAttributesException"
    assert set(ATTRIBUTES) < set(COLUMNS)


def test_records_that_are_no_events_are_counted(tmp_path: Path):
    log = full_log(5)
    log.append([b"7", b'{"eventTime":"soon"}'])
    assert indexed(tmp_path, log).tally()[1].others == 2
    assert indexed(tmp_path, log).tally()[1].others == 2


def test_lookups_of_another_thread_see_whole_answers_while_it_indexes(tmp_path: Path):
    log = MemoryLog()
    log.append([record(number, NOW_S - 400 + number) for number in range(400)])
    history = History.open(tmp_path, log, FixedClock(), sizes=SMALL)
    wrong: list[list[int]] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            found = numbers(history, Lookup(*scope(), limit=1000))
            if found != list(range(len(found) - 1, -1, -1)):
                wrong.append(found)

    thread = threading.Thread(target=look)
    thread.start()
    while history.step():
        pass
    done.set()
    thread.join()
    assert wrong == []
    assert len(numbers(history, Lookup(*scope(), limit=1000))) == 400
