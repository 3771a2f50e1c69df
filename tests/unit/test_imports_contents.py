# SPDX-License-Identifier: Apache-2.0
"""Files of any size and however packed: their records, in bounded memory, and where they end early."""

import base64
import bz2
import gzip
import io
import json
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator

import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from opentrail.imports import contents, ungzip, window
from opentrail.imports.contents import begun, found_in
from opentrail.imports.split import Unread
from opentrail.imports.ungzip import NotReadable, unpacked
from opentrail.imports.unpack import Found

ONE = b'{"eventVersion":"1.08","eventTime":"2026-01-31T10:00:00Z","n":70.0,"eventID":"1"}'
TWO = b'{ "eventVersion": "1.0",  "x": [1e3, "\\u00e9"], "eventTime": "2014-03-06T17:10:34Z"}'
PIECE = 50


def inflate(data: bytes) -> bytes:
    return b"".join(unpacked([data]))


class TestUnpacked:
    def test_plain_bytes_stay_as_they_are(self):
        assert inflate(ONE) == ONE
        assert inflate(b"") == b""

    def test_all_members_are_read_wherever_the_pieces_end(self):
        packed = gzip.compress(ONE) + gzip.compress(TWO) + b"\0" * 512
        assert inflate(packed) == ONE + TWO
        for size in (1, 2, 7, 100):
            pieces = [packed[at : at + size] for at in range(0, len(packed), size)]
            assert b"".join(unpacked(pieces)) == ONE + TWO

    def test_what_was_packed_twice_is_read(self):
        assert inflate(gzip.compress(gzip.compress(ONE))) == ONE

    @pytest.mark.parametrize("cut", [3, 12, -1, -8])
    def test_cut_or_damaged_data_is_said(self, cut: int):
        with pytest.raises(NotReadable, match=r"cut short|damaged"):
            inflate(gzip.compress(os.urandom(100))[:cut])

    def test_a_wrong_checksum_is_said(self):
        packed = bytearray(gzip.compress(ONE))
        packed[-6] ^= 1
        with pytest.raises(NotReadable, match="damaged"):
            inflate(bytes(packed))

    def test_members_may_be_very_many(self, monkeypatch: pytest.MonkeyPatch):
        empty = gzip.compress(b"")
        assert inflate(empty * 30_000 + gzip.compress(ONE)) == ONE
        whole = b"".join(gzip.compress(ONE + b"%d" % number) for number in range(300))
        for size in (1, 7, 64, 1000):
            monkeypatch.setattr(ungzip, "SLICE_BYTES", size)
            assert inflate(whole) == b"".join(ONE + b"%d" % number for number in range(300))

    @pytest.mark.parametrize("size", [1, 64, 1 << 20])
    @pytest.mark.parametrize("damage", ["cut", "checksum", "header", "junk", "cut in the header"])
    def test_members_behind_a_damaged_one_are_read(self, damage: str, size: int):
        noise = os.urandom(3000).hex().encode()
        bad = bytearray(gzip.compress(noise))
        if damage.startswith("cut"):
            del bad[5 if "header" in damage else 900 :]
        elif damage == "junk":
            bad[:] = os.urandom(500).replace(b"\x1f", b"x")
        else:
            bad[-6 if damage == "checksum" else 2] ^= 255
        packed = gzip.compress(ONE) + bytes(bad) + gzip.compress(TWO) + gzip.compress(ONE)
        pieces = unpacked(packed[at : at + size] for at in range(0, len(packed), size))
        got: list[bytes] = []
        with pytest.raises(NotReadable, match=r"damaged|what follows"):
            got.extend(pieces)
        assert b"".join(got).startswith(ONE)
        assert b"".join(got).endswith(b"\n" + TWO + ONE)

    def test_what_follows_a_member_must_be_one(self):
        pieces = unpacked([gzip.compress(ONE) + base64.b64encode(TWO)])
        assert next(pieces) == ONE
        with pytest.raises(NotReadable, match="what follows its gzip data is none"):
            next(pieces)


def found(data: bytes, size: int = PIECE) -> list[Found]:
    stored = (data[at : at + size] for at in range(0, len(data), size))
    return list(found_in(begun(stored)))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is large is small, so that tests are quick."""
    monkeypatch.setattr(contents, "WHOLE_BYTES_MAX", 400)
    for module in (window, contents):
        monkeypatch.setattr(module, "VALUE_BYTES_MAX", 1000)
    monkeypatch.setattr(window, "_AHEAD", 60)


RECORDS = [b'{"eventTime":"2026-01-31T10:00:00Z","n":%d}' % number for number in range(40)]
LIST = b'{"Records":[' + b",".join(RECORDS) + b"]}"
LARGE = {
    "lines": b"\n".join(RECORDS),
    "lines with carriage returns": b"\r\n".join(RECORDS) + b"\r\n",
    "lines behind a mark": b"\xef\xbb\xbf" + b"\n".join(RECORDS),
    "a log file": LIST,
    "a log file with spaces": b' { "Records" : [ ' + b" , ".join(RECORDS) + b" ] } \n",
    "a log file on many lines": b'{"Records": [\n' + b",\n".join(RECORDS) + b"\n]}\n",
    "a list": b"[" + b",".join(RECORDS) + b"]",
    "log files, joined": b'{"Records":[' + b",".join(RECORDS[:20]) + b']}{"Records":['
    + b",".join(RECORDS[20:]) + b"]}",
    "records on many lines, joined": b"\n".join(
        json.dumps(json.loads(each), indent=1).encode() for each in RECORDS
    ),
    "records on one line, joined": b"".join(RECORDS),
    "lists on many lines, joined": b"[\n" + b",\n".join(RECORDS[:20]) + b"\n]\n[\n"
    + b",\n".join(RECORDS[20:]) + b"\n]\n",
    "LookupEvents": json.dumps(
        {"Events": [{"EventId": "1", "CloudTrailEvent": each.decode()} for each in RECORDS], "NextToken": "t]}"},
        indent=4,
    ).encode(),
    "CloudWatch Logs": json.dumps(
        {"messageType": "DATA_MESSAGE", "subscriptionFilters": ["a", "b"], "logEvents":
            [{"message": each.decode()} for each in RECORDS]}
    ).encode(),
    "Elasticsearch": json.dumps(
        {"took": 1, "timed_out": False, "_shards": {"total": 1}, "hits": {"total": {"value": 40}, "max_score":
            None, "hits": [{"_source": {"message": each.decode()}} for each in RECORDS]}, "x": [1]}
    ).encode(),
    "log files, a line each": b"".join(
        b'{"Records":[' + b",".join(RECORDS[at : at + 5]) + b"]}\n" for at in range(0, 40, 5)
    ),
}  # fmt: skip


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("shape", list(LARGE))
@pytest.mark.parametrize("size", [7, 50, 401, 10_000])
def test_every_record_of_a_large_file_is_read(shape: str, size: int):
    assert len(LARGE[shape]) > contents.WHOLE_BYTES_MAX
    assert found(LARGE[shape], size) == RECORDS


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("size", [7, 50, 401, 100_000])
def test_a_large_file_may_be_in_another_encoding(encoding: str, size: int):
    for shape in ("lines", "a log file", "records on many lines, joined"):
        data = LARGE[shape].decode().encode(encoding)
        assert found(data, size) == RECORDS
        *_, last = found(data[:-1], size)
        assert isinstance(last, Unread)


@pytest.mark.usefixtures("small")
def test_what_is_too_large_and_no_list_is_not_looked_into():
    inside = b"[%b]" % b",".join(RECORDS)
    for odd in (
        b'{"eventTime":"2026-01-31T10:00:00Z","events":%b}' % inside,
        b'{"eventVersion":"1.0","requestParameters":{"records":%b}}' % inside,
        b'{"events":{"a":%b}}' % inside,
    ):
        assert not set(RECORDS).intersection(found(odd))


@pytest.mark.usefixtures("small")
def test_a_large_file_is_never_in_memory_as_a_whole():
    read = 0

    def stored() -> Iterator[bytes]:
        nonlocal read
        yield b'{"Records":['
        for _ in range(300):
            read += 1
            yield RECORDS[0] + b","
        yield RECORDS[0] + b"]}"

    for number, each in enumerate(found_in(begun(stored()))):
        assert each == RECORDS[0]
        assert read <= number + 30
    assert number == 300


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("cut", [450, 777, -2, -1])
def test_of_a_large_file_that_is_cut_what_lies_before_the_cut_is_kept(cut: int):
    *records, last = found(LIST[:cut])
    assert isinstance(last, Unread)
    assert records == RECORDS[: len(records)]
    assert len(records) >= (len(LIST[:cut]) - 12) // 46 - 1


VERSIONED = [
    b'{"eventVersion":"1.08","eventTime":"2026-01-31T10:00:00Z","n":"%d"}' % number
    for number in range(40)
]
WHOLE = b'{"Records":[' + b",".join(VERSIONED) + b"]}"
DAMAGE = [b"oops ", b'"', b"}", b"{", b"]", b"[", b"\0" * 70, b"\n", b'","', b'{"a":[']


def is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except ValueError:
        return False
    return True


LARGER = contents.WHOLE_BYTES_MAX


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("whole", [400, LARGER])
@pytest.mark.parametrize("size", [50, 401, 100_000])
@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_in_a_list_costs_one_record_and_is_said_with_its_place(
    damage: bytes, size: int, whole: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(contents, "WHOLE_BYTES_MAX", whole)
    at = WHOLE.index(VERSIONED[30])
    last = len(VERSIONED[30]) - 1
    for begin, end in ((0, 40), (0, 1), (60, 61), (last - 1, last), (last, last + 1)):
        data = WHOLE[: at + begin] + damage + WHOLE[at + end :]
        if is_json(data):
            continue  # nobody can tell
        here = [each for each in found(data, size) if isinstance(each, bytes)]
        assert here == VERSIONED[:30] + VERSIONED[31:]
        said = [each.position for each in found(data, size) if isinstance(each, Unread)]
        assert at <= said[0] <= at + 120


@pytest.mark.usefixtures("small")
def test_damage_in_records_on_many_lines_costs_only_one():
    texts = [json.dumps(json.loads(each), indent=1).encode() for each in RECORDS]
    texts[20] = texts[20].replace(b"}", b"")
    here = [each for each in found(b"\n".join(texts), 401) if isinstance(each, bytes)]
    assert here == RECORDS[:20] + RECORDS[21:]


@pytest.mark.usefixtures("small")
def test_a_line_without_an_end_is_not_kept_in_memory():
    (last,) = found(b"x" * 2000)
    assert isinstance(last, Unread)
    assert "longer than 400 bytes" in last.reason


def test_what_was_unpacked_before_the_damage_is_kept_and_the_damage_said_once():
    texts = [json.dumps({"n": number, "x": os.urandom(900).hex()}).encode() for number in range(3)]
    packed = gzip.compress(b'{"Records":[' + b",".join(texts) + b"]}")
    for cut in (len(packed) - 1, len(packed) - 500):
        *records, last = found(packed[:cut], 1000)
        assert records == texts[: len(records)]
        assert len(records) >= 2
        assert isinstance(last, Unread)
        assert last.reason == "its gzip data is cut short"


@pytest.mark.parametrize("whole", [400, 1 << 26])
def test_of_joined_files_of_which_one_is_cut_the_others_are_read(
    whole: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(contents, "WHOLE_BYTES_MAX", whole)
    texts = [
        json.dumps({"eventVersion": "1", "eventTime": "2026", "x": os.urandom(900).hex()})
        for _ in range(9)
    ]
    files = [gzip.compress(b'{"Records":[' + each.encode() + b"]}") for each in texts]
    files[4] = files[4][:700]
    got = found(b"".join(files), 1000)
    assert [each for each in got if isinstance(each, bytes)] == [
        each.encode() for each in (*texts[:4], *texts[5:])
    ]
    (said,) = (each for each in got if isinstance(each, Unread))
    assert said.reason.startswith("its gzip data is damaged: of it nothing was taken")


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
@example(at=402, bit=2)
def test_no_record_of_damaged_gzip_data_is_taken_as_it_may_be_altered(at: int, bit: int):
    packed = bytearray(gzip.compress(WHOLE, mtime=0))
    packed[at % len(packed)] ^= 1 << bit
    got = found(gzip.compress(LIST) + packed + gzip.compress(LIST), 1000)
    records = [each for each in got if isinstance(each, bytes)]
    said = {each.reason for each in got if isinstance(each, Unread)}
    # What has lost its end cannot be told from what is cut short.
    if "its gzip data is cut short" not in said:
        assert records in (RECORDS + RECORDS, RECORDS + VERSIONED + RECORDS)
    assert all(isinstance(each, bytes | Unread) for each in got)


def test_of_damaged_gzip_data_that_is_too_large_to_be_held_it_is_said(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(ungzip, "HELD_BYTES_MAX", 1000)
    monkeypatch.setattr(ungzip, "PIECE_BYTES", 500)
    packed = bytearray(gzip.compress(LIST))
    packed[-6] ^= 1
    *records, said = found(bytes(packed), 1000)
    assert records == RECORDS[: len(records)]
    assert len(records) > 30
    assert isinstance(said, Unread)
    assert said.reason.endswith("what was taken of it may be altered")


@pytest.mark.usefixtures("small")
def test_files_that_were_joined_packed_are_read_up_to_the_damage():
    joined = b"".join(gzip.compress(b'{"Records":[' + each + b"]}") for each in RECORDS)
    assert found(joined, 1000) == RECORDS
    *records, said = found(joined[:-4], 1000)
    assert records == RECORDS
    assert said == Unread(0, "its gzip data is cut short")


def test_what_is_bad_before_damaged_gzip_data_is_said_besides():
    packed = gzip.compress(RECORDS[0] + b"\n[NaN]\n") + b"junk"
    record, bad, junk = found(packed, 1000)
    assert record == RECORDS[0]
    assert isinstance(bad, Unread)
    assert junk == Unread(0, "what follows its gzip data is none")


def test_a_log_file_is_read_the_fast_way():
    assert isinstance(found_in(begun([gzip.compress(LIST)])), list)
    assert found(gzip.compress(LIST), 1 << 20) == RECORDS


def archive(kind: str) -> bytes:
    made = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(made, "w") as zipped:
            zipped.writestr("a.json", LIST)
    else:
        with tarfile.open(fileobj=made, mode="w") as tarred:
            member = tarfile.TarInfo("a.json")
            member.size = len(LIST)
            tarred.addfile(member, io.BytesIO(LIST))
    return gzip.compress(made.getvalue()) if kind == "tar.gz" else made.getvalue()


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_of_an_archive_nothing_is_read_and_that_is_said_once(kind: str):
    assert found(archive(kind), 1 << 20) == [
        Unread(
            0,
            f"it is a {kind.partition('.')[0]} archive, of which nothing was read: unpack it first",
        )
    ]


def test_a_word_in_a_record_makes_no_archive_of_its_file():
    text = b'{"eventTime":"2026-01-31T10:00:00Z","x":"'
    blank = text + b"x" * (148 - len(text)) + b"%s" + b"u" * 101 + b"ustar" + b"x" * 400 + b'"}'
    right = sum((blank % (b" " * 8))[:512])
    data = blank % (b"%06o  " % right)
    assert found(data, 1 << 20) == [data]


def packed_thrice(data: bytes) -> bytes:
    return gzip.compress(gzip.compress(gzip.compress(data)))


PACKERS = [bz2.compress, lzma.compress, zlib.compress, zstandard.compress, packed_thrice]


@pytest.mark.parametrize("pack", PACKERS)
def test_what_is_packed_otherwise_is_said(pack):
    (said,) = found(pack(LIST), 1 << 20)
    assert isinstance(said, Unread)
    assert "packed by" in said.reason


@pytest.mark.parametrize("begins", [b"PAR1\x15\x04\n", b"Obj\x01\x04\x14avro.codec\n"])
def test_a_table_of_another_form_is_said_once(begins):
    (said,) = found(begins + bytes(range(256)), 1 << 20)
    assert isinstance(said, Unread)
    assert said.reason.endswith("of which nothing was read: make JSON of it first")
