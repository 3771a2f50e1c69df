# SPDX-License-Identifier: Apache-2.0
"""A log file's bytes and name: one gzip member, the records' own bytes, the same every time."""

import gzip
import hashlib
import json
import re
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.eventlog.base import Entry, Origin
from opentrail.trails.gzipped import gzipped
from opentrail.trails.logfile import (
    CHUNK_BYTES,
    FileName,
    LogFile,
    Place,
    folder_of,
    log_file_key,
)
from opentrail.trails.spool import MEMORY_BYTES_MAX
from opentrail.trails.trail import Trail

TIME = "2023-07-10T12:27:45Z"
TIME_MS = 1_688_992_065_000
PLACE = Place("123456789012", "us-east-1", "CloudTrail")
NAME = FileName("5f6ed2cc-6f4c-4c5b-9d3f-0d3a3c9b7a51", 4711, TIME_MS + 999, PLACE, 0)
TRAIL = Trail(
    id="7d3c1a52-0000-4000-8000-000000000001",
    name="audit",
    account="123456789012",
    home_region="us-east-1",
    bucket="logs",
)


def entry(record):
    return Entry(0, 1_700_000_000_999, Origin.CAPTURE, record)


def packed(*records, times=()):
    file = LogFile()
    for number, record in enumerate(records):
        file.add([entry(record)], [times[number] if number < len(times) else TIME])
    size = file.size
    whole = file.finish()
    assert whole.size == len(whole.data)
    assert len(gzip.decompress(whole.data)) == size
    return whole


@given(st.lists(st.dictionaries(st.text(max_size=5), st.integers()), max_size=30))
def test_the_records_keep_their_bytes(parts):
    records = [json.dumps(part).encode() for part in parts]
    whole = packed(*records)
    body = gzip.decompress(whole.data)
    assert body == b'{"Records":[' + b",".join(records) + b"]}"
    assert whole.sha256 == hashlib.sha256(body).hexdigest()
    assert whole.records == len(records)


@pytest.mark.parametrize("size", [CHUNK_BYTES - 20, CHUNK_BYTES, CHUNK_BYTES + 1, 5 * CHUNK_BYTES])
def test_records_around_a_chunk_join_well(size):
    records = [b'"%s"' % (letter * size) for letter in (b"a", b"b", b"c")]
    assert json.loads(gzip.decompress(packed(*records).data)) == {
        "Records": [record[1:-1].decode() for record in records]
    }


def test_more_than_memory_holds_waits_on_disk(tmp_path):
    noise = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(2000)).hex().encode()
    file = LogFile(tmp_path)
    for _ in range(2 * MEMORY_BYTES_MAX // 50_000):
        file.add([entry(b'"%s"' % noise)], [TIME])
        noise = noise[1:] + noise[:1]
    whole = file.finish()
    assert len(whole.data) > MEMORY_BYTES_MAX
    assert json.loads(gzip.decompress(whole.data))["Records"][0].encode() != noise
    assert list(tmp_path.iterdir()) == []
    whole.close()


def test_what_was_added_does_not_wait_in_memory(tmp_path):
    file = LogFile(tmp_path)
    tracemalloc.start()
    try:
        for letter in range(30):
            file.add([entry(b'"%c' % (65 + letter) * 500_000)], [TIME])
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
    file.finish().close()


def test_it_is_one_member_with_no_time_and_nothing_behind_it():
    data = packed(b'{"a":1}').data
    assert data[:10] == bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255))
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
    inflate.decompress(data)
    assert (inflate.eof, inflate.unused_data) == (True, b"")


def test_the_same_records_give_the_same_bytes():
    records = [b'{"n":%d}' % number for number in range(50_000)]
    assert packed(*records).data == packed(*records).data


@pytest.mark.parametrize("data", [b"", b"x", b"digest" * 100_000])
def test_gzip_in_one_go(data):
    assert gzip.decompress(gzipped(data)) == data


@pytest.mark.parametrize(
    ("times", "oldest_ms", "newest_ms"),
    [
        ([TIME], TIME_MS, TIME_MS),
        (["2023-07-10T12:27:46Z", TIME], TIME_MS, TIME_MS + 1000),
        ([TIME, TIME, "2023-07-10T12:27:47Z", TIME], TIME_MS, TIME_MS + 2000),
        (["yesterday", TIME], TIME_MS, 1_700_000_000_000),
        (["yesterday", "yesterday"], 1_700_000_000_000, 1_700_000_000_000),
        (["2023-07-10T12:27:45"], 1_700_000_000_000, 1_700_000_000_000),
        ([""], 1_700_000_000_000, 1_700_000_000_000),
        (["1969-12-31T23:59:59Z"], 0, 0),
    ],
    ids=[
        "one",
        "two",
        "back and forth",
        "no time",
        "never a time",
        "no zone",
        "none",
        "before 1970",
    ],
)
def test_oldest_and_newest_are_event_times(times, oldest_ms, newest_ms):
    whole = packed(*[b"{}"] * len(times), times=times)
    assert (whole.oldest_ms, whole.newest_ms) == (oldest_ms, newest_ms)


def test_only_a_record_without_a_time_counts_as_when_it_was_appended():
    early, late = (Entry(0, ms, Origin.CAPTURE, b"{}") for ms in (1_000_000_000_999, 2 * TIME_MS))
    file = LogFile()
    file.add([early, late], ["yesterday", TIME])
    whole = file.finish()
    assert (whole.oldest_ms, whole.newest_ms) == (1_000_000_000_000, TIME_MS)


def test_the_key_is_laid_out_as_the_service_does():
    assert re.fullmatch(
        r"AWSLogs/123456789012/CloudTrail/us-east-1/2023/07/10/"
        r"123456789012_CloudTrail_us-east-1_20230710T1227Z_[A-Za-z0-9]{16}\.json\.gz",
        log_file_key(TRAIL, NAME),
    )


def test_a_prefix_stands_before_it():
    trail = Trail(id="1", name="a", account="1", home_region="r", bucket="b", prefix="a/b")
    assert log_file_key(trail, NAME).startswith("a/b/AWSLogs/123456789012/CloudTrail/")


def test_what_makes_a_file_another_gives_it_another_name():
    trail = Trail(id="2", name="audit", account="1", home_region="r", bucket="b")
    place = Place("123456789012", "us-east-1", "CloudTrail")
    others = [
        log_file_key(trail, NAME),
        log_file_key(TRAIL, FileName("another log", 4711, NAME.cut_ms, place, 0)),
        log_file_key(TRAIL, FileName(NAME.log_id, 4712, NAME.cut_ms, place, 0)),
        log_file_key(TRAIL, FileName(NAME.log_id, 4711, NAME.cut_ms, place, 1)),
        log_file_key(TRAIL, NAME),
    ]
    assert len({key[-24:] for key in others}) == len(others)
    assert log_file_key(TRAIL, NAME) == others[-1]


@pytest.mark.parametrize(
    ("category", "folder"),
    [
        ("Management", "CloudTrail"),
        ("Data", "CloudTrail"),
        ("Insight", "CloudTrail-Insight"),
        ("NetworkActivity", "CloudTrail-NetworkActivity"),
        ("", "CloudTrail"),
    ],
)
def test_the_category_gives_the_folder(category, folder):
    assert folder_of(category) == folder
