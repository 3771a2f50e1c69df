# SPDX-License-Identifier: Apache-2.0
"""Damaged bytes are Corrupt, never other records; torn tails are cut; fsck sees both."""

import struct
from pathlib import Path

import google_crc32c
import pytest
from support.log_files import HandClock
from support.seeded_ids import SeededIds

from opentrail.errors import Corrupt, Unavailable
from opentrail.eventlog.base import Draft, Entry, Mark, MarkKind, Origin
from opentrail.eventlog.check import LogCheck
from opentrail.eventlog.frame import FRAME_HEADER_BYTES
from opentrail.eventlog.options import LogOptions
from opentrail.eventlog.published import Published
from opentrail.eventlog.reader import SegmentReader
from opentrail.eventlog.segment import list_firsts, segment_path
from opentrail.eventlog.segments import Segments

OPTIONS = LogOptions(segment_bytes_max=400, dictionary=b"")


def open_log(data: Path, options: LogOptions = OPTIONS) -> Segments:
    return Segments.open(data, HandClock(), SeededIds(), options)


def write_log(data: Path, groups: int = 6, options: LogOptions = OPTIONS) -> list[Entry]:
    """Write some segments of two frames or so."""
    log = open_log(data, options)
    for group in range(groups):
        texts = [b"record-%d-%d" % (group, index) * 3 for index in range(2)]
        log.append([Draft(Origin.CAPTURE, text) for text in texts])
    entries = list(log.entries(0))
    log.close()
    return entries


def append_raw(data: Path, more: bytes) -> int:
    """Add bytes to the last segment, as a crash may leave them; return the file's length before."""
    path = segment_path(data / "log", list_firsts(data / "log")[-1])
    before = path.stat().st_size
    path.write_bytes(path.read_bytes() + more)
    return before


def read_all(data: Path, entries: list[Entry]) -> bool:
    """Read in every way; True if something was Corrupt. What is read must be what was written."""
    corrupt = False
    by_position = {entry.position: entry for entry in entries}
    try:
        reader = SegmentReader(data / "log")
    except Corrupt:
        return True
    seen: list[Entry] = []
    try:
        for entry in reader.entries(0):
            seen.append(entry)
            assert by_position[entry.position] == entry
    except Corrupt:
        corrupt = True
    assert corrupt or seen == entries
    for entry in entries:
        try:
            assert reader.read(entry.position) == entry
            assert next(reader.entries(entry.position)) == entry
        except Corrupt:
            corrupt = True
    return corrupt or not same_together(reader, entries)


def same_together(reader: SegmentReader, entries: list[Entry]) -> bool:
    """Read all of them at once; False if something was Corrupt."""
    try:
        found = reader.data_at([entry.position for entry in entries])
    except Corrupt:
        return False
    assert found == [entry.data for entry in entries]
    return True


def test_any_flipped_bit_is_seen_by_readers_and_fsck(tmp_path):
    """Every byte of a segment in the middle and of the last: one bit of each, going round."""
    entries = write_log(tmp_path)
    firsts = list_firsts(tmp_path / "log")
    assert len(firsts) >= 3
    for first in (firsts[1], firsts[-1]):
        path = segment_path(tmp_path / "log", first)
        good = path.read_bytes()
        for at in range(len(good)):
            bad = bytearray(good)
            bad[at] ^= 1 << (at % 8)
            path.write_bytes(bad)
            assert read_all(tmp_path, entries), f"byte {at} of {path.name}"
            assert list(LogCheck(tmp_path / "log").findings()), f"byte {at} of {path.name}"
        path.write_bytes(good)
    assert not read_all(tmp_path, entries)
    assert not list(LogCheck(tmp_path / "log").findings())


def test_damage_in_the_last_segment_opens_read_only_and_cuts_nothing(tmp_path):
    entries = write_log(tmp_path)
    path = segment_path(tmp_path / "log", list_firsts(tmp_path / "log")[-1])
    good = path.read_bytes()
    for at in range(0, len(good), 7):
        bad = bytearray(good)
        bad[at] ^= 0x10
        path.write_bytes(bad)
        log = open_log(tmp_path)
        assert log.damage is not None
        assert "read-only" in log.writable()
        assert path.name in log.writable()
        assert "backup" in log.damage.hint
        with pytest.raises(Unavailable):
            log.append([Draft(Origin.CAPTURE, b"x")])
        with pytest.raises(Unavailable):
            log.expire(2**50, log.durable_end())
        assert log.read(entries[0].position) == entries[0]
        assert list(log.entries(0, entries[4].position)) == entries[:4]
        log.close()
        assert path.read_bytes() == bad


@pytest.mark.parametrize("cut", [1, 60, 10_000])
def test_acknowledged_records_that_are_gone_are_damage(tmp_path, cut):
    entries = write_log(tmp_path)
    path = segment_path(tmp_path / "log", list_firsts(tmp_path / "log")[-1])
    path.write_bytes(path.read_bytes()[:-cut])
    log = open_log(tmp_path)
    assert log.damage is not None
    log.close()
    assert read_all(tmp_path, entries)
    assert list(LogCheck(tmp_path / "log").findings())


@pytest.mark.parametrize("which", [0, 1, -1])
def test_a_missing_segment_is_damage(tmp_path, which):
    entries = write_log(tmp_path)
    segment_path(tmp_path / "log", list_firsts(tmp_path / "log")[which]).unlink()
    log = open_log(tmp_path)
    assert log.damage is not None
    log.close()
    assert read_all(tmp_path, entries)
    assert list(LogCheck(tmp_path / "log").findings())


def test_a_segment_of_another_log_is_damage(tmp_path):
    entries = write_log(tmp_path / "a")
    other = Segments.open(tmp_path / "b", HandClock(), SeededIds(9), OPTIONS)
    for group in range(6):
        texts = [b"record-%d-%d" % (group, index) * 3 for index in range(2)]
        other.append([Draft(Origin.CAPTURE, text) for text in texts])
    other.close()
    first = list_firsts(tmp_path / "a/log")[1]
    source = segment_path(tmp_path / "b/log", first)
    segment_path(tmp_path / "a/log", first).write_bytes(source.read_bytes())
    assert read_all(tmp_path / "a", entries)


@pytest.mark.parametrize("size", [1, 8, FRAME_HEADER_BYTES, 45, 80])
@pytest.mark.parametrize("filler", ["zeros", "noise", "torn"])
def test_a_torn_tail_is_cut_off(tmp_path, size, filler):
    entries = write_log(tmp_path)
    last = entries[-2].position - FRAME_HEADER_BYTES
    path = segment_path(tmp_path / "log", list_firsts(tmp_path / "log")[-1])
    frame = path.read_bytes()[-(Published(tmp_path / "log").end() - last) :]
    position = Published(tmp_path / "log").end()
    torn = with_position(frame, position)
    more = {"zeros": bytes(size), "noise": SeededIds().random_bytes(size), "torn": torn[:size]}
    before = append_raw(tmp_path, more[filler])
    assert not read_all(tmp_path, entries)
    check = LogCheck(tmp_path / "log")
    assert not list(check.findings())
    assert check.totals.unacknowledged_bytes == size
    log = open_log(tmp_path)
    assert log.damage is None
    assert path.stat().st_size == before
    assert list(log.entries(0)) == entries
    (position,) = log.append([Draft(Origin.CAPTURE, b"next")])
    assert log.read(position).data == b"next"
    log.close()


def with_position(frame: bytes, position: int) -> bytes:
    """Return ``frame`` as if it had been written at ``position``."""
    checked = frame[8:24] + struct.pack("<Q", position) + frame[32:40]
    head = frame[:4] + struct.pack("<I", google_crc32c.value(checked)) + checked
    return head + frame[40:]


def frames_past_the_end(data: Path) -> tuple[bytes, bytes]:
    """Return two good frames that would follow what is in the log of ``data``."""
    end = Published(data / "log").end()
    entries = list(SegmentReader(data / "log").entries(0))
    path = segment_path(data / "log", list_firsts(data / "log")[-1])
    size = end - (entries[-2].position - FRAME_HEADER_BYTES)
    frame = path.read_bytes()[-size:]
    return with_position(frame, end), with_position(frame, end + size)


def test_good_frames_past_the_durable_end_are_kept(tmp_path):
    entries = write_log(tmp_path)
    append_raw(tmp_path, b"".join(frames_past_the_end(tmp_path)))
    assert not read_all(tmp_path, entries)
    log = open_log(tmp_path)
    kept = list(log.entries(0))
    assert kept[:-4] == entries
    assert [entry.data for entry in kept[-4:]] == [entry.data for entry in entries[-2:]] * 2
    log.close()


@pytest.mark.parametrize("at", [2, 30, FRAME_HEADER_BYTES + 20])
def test_a_good_frame_after_a_bad_one_is_damage(tmp_path, at):
    """A torn write is the last thing written: what follows it was acknowledged."""
    write_log(tmp_path)
    one, two = frames_past_the_end(tmp_path)
    bad = bytearray(one)
    bad[at] ^= 1
    before = append_raw(tmp_path, bytes(bad) + two)
    path = segment_path(tmp_path / "log", list_firsts(tmp_path / "log")[-1])
    log = open_log(tmp_path)
    assert log.damage is not None
    assert path.stat().st_size == before + len(one) + len(two)
    log.close()


def test_what_looks_like_a_frame_inside_a_torn_one_is_not_a_frame(tmp_path):
    """Only its own header says how far a torn frame reaches; a record may hold anything."""
    write_log(tmp_path)
    one, _ = frames_past_the_end(tmp_path)
    end = Published(tmp_path / "log").end()
    inner = with_position(one, end + FRAME_HEADER_BYTES)
    checked = one[8:16] + struct.pack("<I", len(inner) + 10) + bytes(4) + one[24:40]
    outer = one[:4] + struct.pack("<I", google_crc32c.value(checked)) + checked + inner
    append_raw(tmp_path, outer)
    log = open_log(tmp_path)
    assert log.damage is None
    assert log.durable_end() == end
    log.close()


def test_a_kind_that_is_not_known_is_checked_and_skipped(tmp_path):
    entries = write_log(tmp_path)
    one, two = frames_past_the_end(tmp_path)
    payload = b"a cut frame of a later version"
    end = Published(tmp_path / "log").end()
    checked = (
        struct.pack("<BBHIII", 1, 7, 0, 3, len(payload), google_crc32c.value(payload))
        + struct.pack("<Q", end)
        + one[32:40]
    )
    frame = one[:4] + struct.pack("<I", google_crc32c.value(checked)) + checked + payload
    append_raw(tmp_path, frame + with_position(two, end + len(frame)))
    log = open_log(tmp_path)
    assert [entry.data for entry in log.entries(0)][len(entries) :] == [
        entry.data for entry in entries[-2:]
    ]
    assert len(list(log.entries(end))) == 2
    with pytest.raises(KeyError):
        log.read(end + FRAME_HEADER_BYTES)
    log.close()
    check = LogCheck(tmp_path / "log")
    assert not list(check.findings())
    assert check.totals.records == len(entries) + 2


def test_any_flipped_bit_of_a_mark_is_seen(tmp_path):
    log = open_log(tmp_path)
    log.append([Draft(Origin.CAPTURE, b"a")])
    log.append_marks([(MarkKind.CUT, b'{"cut_ms":1}'), (MarkKind.CONTROL, b'{"change":"x"}')])
    log.append([Draft(Origin.CAPTURE, b"b")])
    items = list(log.items(0))
    log.close()
    check = LogCheck(tmp_path / "log")
    assert not list(check.findings())
    assert (check.totals.marks, check.totals.records, check.totals.frames) == (2, 2, 4)
    path = segment_path(tmp_path / "log", 0)
    good = path.read_bytes()
    marks = [item for item in items if isinstance(item, Mark)]
    base = len(good) - Published(tmp_path / "log").end()
    for at in range(base + marks[0].position, base + items[-1].position - FRAME_HEADER_BYTES):
        bad = bytearray(good)
        bad[at] ^= 1 << (at % 8)
        path.write_bytes(bad)
        reader = SegmentReader(tmp_path / "log")
        for read in (reader.items, reader.marks, reader.entries):
            with pytest.raises(Corrupt):
                list(read(0))
        assert list(LogCheck(tmp_path / "log").findings()), f"byte {at}"


def test_a_mark_that_says_that_it_has_records_is_found(tmp_path):
    log = open_log(tmp_path)
    log.append_marks([(MarkKind.CUT, b"{}")])
    log.close()
    path = segment_path(tmp_path / "log", 0)
    data = path.read_bytes()
    frame = data[-FRAME_HEADER_BYTES - 2 :]
    checked = frame[8:12] + struct.pack("<I", 1) + frame[16:40]
    head = frame[:4] + struct.pack("<I", google_crc32c.value(checked)) + checked
    path.write_bytes(data[: -len(frame)] + head + frame[40:])
    (finding,) = LogCheck(tmp_path / "log").findings()
    assert "mark" in finding.what


def test_a_torn_control_leaves_its_cut(tmp_path):
    """The change was not acknowledged; a cut alone ends files there, as any does."""
    log = open_log(tmp_path)
    log.append([Draft(Origin.CAPTURE, b"a")])
    before = log.durable_end()
    log.append_marks([(MarkKind.CUT, b"{}"), (MarkKind.CONTROL, b"{}")])
    log.close()
    path = segment_path(tmp_path / "log", 0)
    path.write_bytes(path.read_bytes()[:-1])
    durable = tmp_path / "log/durable"
    data = bytearray(durable.read_bytes())
    data[32:48] = struct.pack("<QQ", before, before ^ (2**64 - 1))
    durable.write_bytes(data)
    log = open_log(tmp_path)
    assert log.damage is None
    assert [mark.kind for mark in log.marks(0)] == [MarkKind.CUT]
    log.close()


def test_a_start_where_nothing_begins_is_the_callers_mistake(tmp_path):
    entries = write_log(tmp_path)
    reader = SegmentReader(tmp_path / "log")
    with pytest.raises(ValueError, match="nothing begins"):
        next(reader.entries(entries[3].position + 1))


@pytest.mark.parametrize("offset", [0, 9, 13, 20])
def test_a_damaged_durable_file_is_corrupt(tmp_path, offset):
    write_log(tmp_path)
    path = tmp_path / "log/durable"
    bad = bytearray(path.read_bytes())
    bad[offset] ^= 1
    path.write_bytes(bad)
    with pytest.raises(Corrupt, match="durable"):
        open_log(tmp_path)
    assert len(list(LogCheck(tmp_path / "log").findings())) == 1
    path.write_bytes(bytes(bad)[:-1])
    with pytest.raises(Corrupt, match="64 bytes"):
        SegmentReader(tmp_path / "log")
    open_again = LogCheck(tmp_path / "log")
    assert len(list(open_again.findings())) == 1


def test_a_missing_durable_file_is_not_a_new_log(tmp_path):
    write_log(tmp_path)
    (tmp_path / "log/durable").unlink()
    with pytest.raises(Corrupt, match="missing"):
        open_log(tmp_path)


@pytest.mark.parametrize("offset", [32, 40])
def test_a_durable_end_torn_by_a_kill_is_made_good(tmp_path, offset):
    """The smaller of both halves is on disk; what lies past it checks out and is kept."""
    entries = write_log(tmp_path)
    path = tmp_path / "log/durable"
    data = bytearray(path.read_bytes())
    end = Published(tmp_path / "log").end()
    older = entries[-2].position - FRAME_HEADER_BYTES
    value = older if offset == 32 else older ^ (2**64 - 1)
    data[offset : offset + 8] = struct.pack("<Q", value)
    path.write_bytes(data)
    assert SegmentReader(tmp_path / "log").durable_end() == older
    log = open_log(tmp_path)
    assert log.durable_end() == end
    assert list(log.entries(0)) == entries
    log.close()


@pytest.mark.parametrize(("offset", "size"), [(32, 32), (32, 16), (48, 16), (40, 8)])
def test_a_cell_of_zeros_is_no_torn_one(tmp_path, offset, size):
    """Zeros in both halves would say that nothing was ever acknowledged: all would be hidden."""
    write_log(tmp_path)
    path = tmp_path / "log/durable"
    data = bytearray(path.read_bytes())
    data[offset : offset + size] = bytes(size)
    path.write_bytes(data)
    with pytest.raises(Corrupt, match="damaged"):
        list(open_log(tmp_path).entries(0))
    assert [each.where for each in LogCheck(tmp_path / "log").findings()] == [str(path)]
