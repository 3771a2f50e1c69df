# SPDX-License-Identifier: Apache-2.0
"""A running log goes over to another dictionary: between two appends, or in the middle of them."""

import threading

import pytest
from support.brittle_files import BrittleFiles, Fault, Killed
from support.data_directories import encoded, record
from support.log_files import HandClock
from support.opened_log import Opened
from support.seeded_ids import SeededIds

from opentrail.errors import Unavailable
from opentrail.eventlog import dictionary
from opentrail.eventlog.base import Draft, Origin
from opentrail.eventlog.blob import DICTIONARY_PATH
from opentrail.eventlog.options import LogOptions
from opentrail.eventlog.reader import SegmentReader
from opentrail.eventlog.segment import list_firsts
from opentrail.eventlog.segments import Segments

SHIPPED = DICTIONARY_PATH.read_bytes()
OPTIONS = LogOptions(disk_reserve_bytes=0)


def own(version: int) -> bytes:
    return dictionary.trained(
        [encoded(record(n, userAgent=f"tool-{version}/{n * n}")) for n in range(1500)]
    )


OWN, OTHER = own(1), own(2)


def dictionaries(data) -> list[bytes]:
    reader = SegmentReader(data / "log")
    return [reader.segment_header(first).dictionary for first in list_firsts(data / "log")]


def test_the_next_append_begins_a_segment_with_the_new_one(tmp_path):
    opened = Opened(tmp_path, OPTIONS)
    positions = opened.put(b"a", b"b")
    assert not opened.log.renew(), "nothing was trained"
    dictionary.store(tmp_path / "log", OWN)
    assert dictionaries(tmp_path) == [SHIPPED]
    assert opened.log.renew()
    assert not opened.log.renew(), "it has that one"
    positions += opened.put(b"c") + opened.mark(b"cut") + opened.put(b"d")
    assert dictionaries(tmp_path) == [SHIPPED, OWN]
    dictionary.drop(tmp_path / "log")
    assert opened.log.renew()
    positions += opened.put(b"e")
    assert dictionaries(tmp_path) == [SHIPPED, OWN, SHIPPED]
    assert opened.texts() == [b"a", b"b", b"c", b"d", b"e"]
    assert [opened.log.read(positions[n]).data for n in (0, 2, 4, 5)] == [b"a", b"c", b"d", b"e"]
    again = opened.again()
    assert again.texts() == [b"a", b"b", b"c", b"d", b"e"]
    assert len(again.segments()) == 3


def test_an_empty_segment_is_not_replaced_while_somebody_may_have_it_open(tmp_path):
    opened = Opened(tmp_path, OPTIONS)
    reader = SegmentReader(tmp_path / "log")
    reader.segment_header(0)
    dictionary.store(tmp_path / "log", OWN)
    assert not opened.log.renew()
    opened.put(b"a")
    assert opened.log.renew()
    opened.put(b"b")
    assert [entry.data for entry in reader.entries(0)] == [b"a", b"b"]
    assert dictionaries(tmp_path) == [SHIPPED, OWN]


def test_what_was_compressed_before_is_compressed_anew(tmp_path):
    opened = Opened(tmp_path, OPTIONS)
    opened.put(b"first")
    held, go_on = threading.Event(), threading.Event()
    written: list[bytes] = []

    def hold(operation: str) -> None:
        if operation == "sync" and not held.is_set():
            held.set()
            go_on.wait(10)

    opened.files.watch = hold
    threads = [
        threading.Thread(target=lambda n=n: written.extend(put(opened, n)), name=str(n))
        for n in range(8)
    ]
    threads[0].start()
    assert held.wait(10), "the others are compressed while the first one waits for its disk"
    for thread in threads[1:]:
        thread.start()
    dictionary.store(tmp_path / "log", OWN)
    renewing = threading.Thread(target=opened.log.renew)
    renewing.start()
    go_on.set()
    for thread in (*threads, renewing):
        thread.join(10)
    opened.put(b"last")
    texts = opened.texts()
    assert (texts[0], texts[-1]) == (b"first", b"last")
    assert sorted(texts[1:-1]) == sorted(written)
    assert dictionaries(tmp_path) == [SHIPPED, OWN]
    assert [entry.data for entry in SegmentReader(tmp_path / "log").entries(0)] == texts


def put(opened: Opened, number: int) -> list[bytes]:
    """Append some records from a thread of its own; return them when all can be read there."""
    records = [encoded(record(number * 100 + n)) for n in range(20)]
    positions = opened.log.append([Draft(Origin.CAPTURE, data) for data in records])
    assert [opened.log.read(position).data for position in positions] == records
    return records


def test_it_waits_for_an_append_that_is_under_way(tmp_path):
    opened = Opened(tmp_path, OPTIONS)
    opened.put(b"first")
    records = [encoded(record(n)) for n in range(20)]
    written = opened.log.begin([Draft(Origin.CAPTURE, data) for data in records])
    opened.log.sync(written)
    dictionary.store(tmp_path / "log", OTHER)
    waiting = threading.Thread(target=opened.log.renew)
    waiting.start()
    opened.log.finish(written, None)
    waiting.join(10)
    opened.put(*records)
    assert opened.texts() == [b"first", *records, *records]
    assert dictionaries(tmp_path) == [SHIPPED, OTHER]


def test_a_dictionary_that_cannot_be_read_leaves_the_one_of_before(tmp_path):
    opened = Opened(tmp_path, OPTIONS)
    opened.put(b"a")
    (tmp_path / "log" / "dictionary").mkdir()
    with pytest.raises(Unavailable, match="the dictionary cannot be read"):
        opened.log.renew()
    opened.put(b"b")
    (tmp_path / "log" / "dictionary").rmdir()
    (tmp_path / "log" / "dictionary").write_bytes(b"broken")
    assert not opened.log.renew()
    assert opened.texts() == [b"a", b"b"]
    assert len(opened.segments()) == 1


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("change", range(1, 9))
def test_a_crash_on_the_way_loses_nothing_that_was_acknowledged(tmp_path, fault, change):
    files = BrittleFiles()
    log = Segments.open(tmp_path, HandClock(), SeededIds(1), OPTIONS, files)
    acknowledged = [b"a"]
    log.append([Draft(Origin.CAPTURE, b"a")])
    dictionary.store(tmp_path / "log", OWN)
    files.break_at(change, fault)
    try:
        log.renew()
        for text in (b"b", b"c"):
            log.append([Draft(Origin.CAPTURE, text)])
            acknowledged.append(text)
    except (Killed, Unavailable):
        pass
    log._lock.release()
    again = Opened(tmp_path, OPTIONS)
    texts = again.texts()
    assert texts[: len(acknowledged)] == acknowledged
    again.put(b"z")
    assert again.texts() == [*texts, b"z"]
