# SPDX-License-Identifier: Apache-2.0
"""Records taken in runs: files hold the same as when each record is looked at alone."""

import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.errors import Corrupt
from opentrail.event.codec import decode
from opentrail.event.place import account_of, category_of
from opentrail.event.selectors import AdvancedSelector, EventSelector, FieldSelector
from opentrail.eventlog.base import Entry, Mark, MarkKind, Origin
from opentrail.eventlog.blob import TOGETHER_MIN, BlobCodec
from opentrail.eventlog.frame import BadBytes
from opentrail.trails.groups import grouped
from opentrail.trails.logfile import CHUNK_BYTES, LogFile, Place, folder_of
from opentrail.trails.parts import RUN_RECORDS, Limits, OpenFiles, Packing, Reading
from opentrail.trails.scope import takes
from opentrail.trails.trail import Trail

HOME = "us-east-1"
OWN, MEMBER, STRANGER = "111111111111", "222222222222", "333333333333"
TRAIL = Trail(id="t", name="all", account=OWN, home_region=HOME, bucket="logs")
READS = (EventSelector(read_write_type="ReadOnly"),)
MANAGEMENT = FieldSelector("eventCategory", equals=("Management",))
DATA = FieldSelector("eventCategory", equals=("Data",))
LISTS = FieldSelector("eventName", starts_with=("List",))
SELECTORS: tuple[dict[str, Any], ...] = (
    {},
    {"event_selectors": READS},
    {"event_selectors": (*READS, EventSelector())},
    {"advanced_selectors": (AdvancedSelector((MANAGEMENT,)), AdvancedSelector((DATA, LISTS)))},
    {"advanced_selectors": (AdvancedSelector((DATA,)),)},
)

trails = st.builds(
    lambda selectors, **more: Trail(
        id="t", name="all", account=OWN, home_region=HOME, bucket="logs", **selectors, **more
    ),
    st.sampled_from(SELECTORS),
    is_multi_region=st.booleans(),
    include_global_service_events=st.booleans(),
    members=st.sampled_from([(), (MEMBER,)]),
)
accounts = st.sampled_from([OWN, MEMBER, STRANGER, 7])
times = st.sampled_from(["2026-11-01T10:00:00Z", "2026-11-01T10:00:07Z", "no time", None])
records = st.fixed_dictionaries(
    {"eventTime": times},
    optional={
        "recipientAccountId": accounts,
        "userIdentity": st.one_of(st.builds(lambda own: {"accountId": own}, accounts), st.just(1)),
        "awsRegion": st.sampled_from([HOME, "eu-west-1", "Not A Region", None]),
        "eventCategory": st.sampled_from(["Management", "Data", "Insight", "", 3]),
        "managementEvent": st.sampled_from([True, False, "false", None]),
        "eventSource": st.sampled_from(["iam.amazonaws.com", "sagemaker.amazonaws.com"]),
        "eventName": st.sampled_from(["ListModels", "CreateModel"]),
        "readOnly": st.sampled_from([True, False, None]),
    },
)
origins = st.sampled_from([Origin.CAPTURE, Origin.IMPORT])
items = st.lists(st.one_of(st.tuples(origins, records), st.none()), max_size=40)


def entries_of(found):
    """Return items of a log: records, and marks for None."""
    return [
        Mark(10 * at, 5_999, MarkKind.CUT, b"")
        if each is None
        else Entry(10 * at, 1_000 * at + 999, each[0], json.dumps(each[1]).encode())
        for at, each in enumerate(found)
    ]


def packing_of(trail, end, limits):
    return Packing(trail, (0, end), limits, OpenFiles(limits))


def one_by_one(trail, found):
    """Return the records of each place, by the plainest reading, each with its time."""
    takes_it = takes(trail)
    places: dict[Place, list[Entry]] = {}
    for item in found:
        if isinstance(item, Mark) or item.origin is Origin.IMPORT:
            continue
        record = decode(item.data)
        if takes_it(record):
            region = record.aws_region if record.aws_region in (HOME, "eu-west-1") else HOME
            place = Place(account_of(record), region, folder_of(category_of(record)))
            places.setdefault(place, []).append(item)
    return places


def read_all(packing, found, slice_records):
    """Read until all is finished; return the records of each file, by place and number."""
    parts = {}
    while not packing.finished:
        rest = [item for item in found if item.position >= packing.start]
        reading = Reading(rest, [packing], slice_records)
        while reading.step():
            pass
        while packing.waiting:
            part = packing.waiting[0]
            parts[part.place, part.number] = part.packed.data, part.packed
            packing.take()
    return parts


@given(trails, items, st.integers(1, 9))
def test_files_hold_what_the_plainest_reading_finds_in_its_order(trail, drawn, slice_records):
    found = entries_of(drawn)
    packing = packing_of(trail, 10 * len(found), Limits())
    parts = read_all(packing, found, slice_records)
    expected = one_by_one(trail, found)
    assert sorted(parts) == sorted((place, 0) for place in expected)
    for place, entries in expected.items():
        data, packed = parts[place, 0]
        body = b'{"Records":[' + b",".join(each.data for each in entries) + b"]}"
        assert (gzip.decompress(data), packed.records) == (body, len(entries))


@given(items, st.integers(1, 9), st.integers(60, 900), st.integers(1, 200), st.integers(1, 3))
def test_files_are_the_same_however_often_the_reading_is_left(drawn, step, size, waiting, places):
    found = entries_of(drawn)
    trail = Trail(
        id="t", name="all", account=OWN, home_region=HOME, bucket="b", is_multi_region=True
    )
    end = 10 * len(found)
    whole = read_all(packing_of(trail, end, Limits(file_bytes_max=size)), found, 5_000)
    limits = Limits(size, places, places, waiting)
    left = read_all(packing_of(trail, end, limits), found, step)
    assert {key: data for key, (data, _) in left.items()} == {
        key: data for key, (data, _) in whole.items()
    }


def test_a_reading_that_is_too_far_ahead_of_its_bucket_is_left_after_a_run():
    record = {"eventTime": "2026-11-01T10:00:00Z", "awsRegion": HOME, "recipientAccountId": OWN}
    found = entries_of([(Origin.CAPTURE, record)] * (3 * RUN_RECORDS))
    size = 15 + 2 * len(found[0].data)
    packing = packing_of(TRAIL, 10 * len(found), Limits(file_bytes_max=size, waiting_bytes_max=1))
    reading = Reading(found, [packing], 5_000)
    assert not reading.step()
    assert not packing.finished
    made = sum(part.packed.records for part in packing.waiting)
    assert made < RUN_RECORDS
    assert packing.start == 10 * made


@given(st.lists(st.integers(0, CHUNK_BYTES), max_size=12), st.integers(1, 12))
def test_how_many_records_come_at_once_does_not_show_in_the_bytes(sizes, at_once):
    made = [Entry(at, 0, Origin.CAPTURE, b'"%s"' % (b"x" * n)) for at, n in enumerate(sizes)]
    alone, together = LogFile(), LogFile()
    for entry in made:
        alone.add([entry], [""])
    for at in range(0, len(made), at_once):
        some = made[at : at + at_once]
        together.add(some, [""] * len(some))
    assert alone.finish().data == together.finish().data


def test_a_time_that_is_none_is_when_its_own_record_was_appended():
    file = LogFile()
    made = [Entry(at, ms, Origin.CAPTURE, b"{}") for at, ms in ((0, 7_999), (1, 3_001))]
    file.add(made, ["never", "never"])
    file.add([Entry(2, 9_000, Origin.CAPTURE, b"{}")], ["1970-01-01T00:00:05Z"])
    packed = file.finish()
    assert (packed.oldest_ms, packed.newest_ms) == (3_000, 7_000)


def test_what_is_no_record_is_corrupt():
    with pytest.raises(Corrupt):
        grouped([Entry(0, 0, Origin.CAPTURE, b"[]")])


@pytest.mark.parametrize("bad", [b"", b"no zstd frame"])
def test_of_many_blobs_a_bad_one_is_told(bad):
    codec = BlobCodec(b"")
    blobs = codec.compress([b'{"a":%d}' % number for number in range(TOGETHER_MIN)])
    assert codec.decompress(blobs)[-1] == b'{"a":%d}' % (TOGETHER_MIN - 1)
    with pytest.raises(BadBytes):
        codec.decompress([*blobs, bad])
