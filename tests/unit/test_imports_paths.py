# SPDX-License-Identifier: Apache-2.0
"""Which files are left out by their path alone, and which must be read."""

import os
import tempfile
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.memory_bucket import MemoryBucket

from opentrail.errors import Unavailable, UsageError
from opentrail.imports.paths import Wanted, is_archive, is_digest, left_out, may_hold_records
from opentrail.imports.sources import (
    BucketObject,
    File,
    LeftOut,
    Listing,
    LocalFile,
    Pipe,
    in_bucket,
    local,
)
from opentrail.objects.base import Put

A, B = "111122223333", "444455556666"
FILE = (
    f"p/AWSLogs/o-abc/{A}/CloudTrail/eu-west-1/2026/01/31/"
    f"{A}_CloudTrail_eu-west-1_20260131T1005Z_AbCdEfGhIjKlMnOp.json.gz"
)
DIGEST = f"AWSLogs/{A}/CloudTrail-Digest/eu-west-1/2026/01/31/{A}_CloudTrail-Digest_eu-west-1_t_us-east-1_20260131T100500Z.json.gz"
AT_S = 1769853900
"""2026-01-31T10:05:00Z."""


@pytest.mark.parametrize(
    ("wanted", "out"),
    [
        (Wanted(), False),
        (Wanted(accounts=frozenset({A})), False),
        (Wanted(accounts=frozenset({B})), True),
        (Wanted(regions=frozenset({"eu-west-1", "x"})), False),
        (Wanted(regions=frozenset({"us-east-1"})), True),
        (Wanted(start_s=AT_S + 300), False),
        (Wanted(start_s=AT_S + 301), True),
        (Wanted(end_s=AT_S - 24 * 3600), False),
        (Wanted(end_s=AT_S - 24 * 3600 - 1), True),
    ],
)
def test_a_log_files_path_tells(wanted: Wanted, *, out: bool):
    assert left_out(FILE, wanted) is out
    assert left_out(FILE.rpartition("/")[2], wanted) is out


def test_other_paths_tell_nothing():
    nobody = Wanted(frozenset({B}), frozenset({"x"}), 1 << 40)
    for path in (
        "events.json",
        f"{A}/x.json.gz",
        f"{A}_CloudTrail_eu-west-1_20261399T9999Z_x.json",
    ):
        assert not left_out(path, Wanted(start_s=1 << 40))
    assert not left_out("events.json", nobody)


def test_what_firehose_writes_without_an_ending_is_read():
    name = "trail-1-2026-01-31-10-05-00-0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
    assert may_hold_records(f"2026/01/31/10/{name}")
    assert not may_hold_records("2026-01-31-10-05-00-0A1B2C3D4E5F6071")  # S3's access logs
    assert not may_hold_records(f"{name}.parquet")


def test_digests_are_told_by_name():
    assert is_digest(DIGEST)
    assert is_digest(DIGEST.replace("Z.json", "Z_backfill.json"))
    assert not is_digest(FILE)
    assert not is_digest("CloudTrail-Digest/mine.json.gz")


@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "a.JSONL", "a.ndjson.gz", "a.log", "a.gz"])
def test_names_that_are_read(name: str):
    assert may_hold_records(name)


ARCHIVES = ["a.tar", "a.tar.gz", "a.TGZ", "a.zip", "a.json.zip", "a.7z", "a.json.zst", "a.tar.bz2"]


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives_are_told_by_name(tmp_path, name: str):
    (tmp_path / name).write_bytes(b"{}")
    out = LeftOut()
    assert list(local(tmp_path, Wanted(), out)) == []
    assert out == LeftOut(archives=[str(tmp_path.resolve() / name)])
    assert len(list(local(tmp_path / name, Wanted(), out))) == 1


@pytest.mark.parametrize("name", ["a.json.gz", "a.star", "tar.json", "tgz", "a.zip.d.json"])
def test_what_is_no_archive(name: str):
    assert not is_archive(name)


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "README.md", "json", "a.json.zip"])
def test_names_that_are_not(name: str):
    assert not may_hold_records(name)


def test_a_folder_is_read_in_order_without_links_and_what_is_ours(tmp_path):
    for name in ("b/2.json", "b/1.json.gz", "a.json", ".opentrail/x.json", "c.csv"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / "link.json").symlink_to(tmp_path / "a.json")
    (tmp_path / "loop").symlink_to(tmp_path)
    out = LeftOut()
    names = [file.name for file in local(tmp_path, Wanted(), out)]
    root = tmp_path.resolve()
    assert names == [str(root / name) for name in ("a.json", "b/1.json.gz", "b/2.json")]
    assert out == LeftOut(other=1, endings={".csv": 1}, links=2)


def test_the_directory_that_takes_the_records_is_not_read(tmp_path, monkeypatch):
    (tmp_path / "into").mkdir()
    for name in ("a.json", "into/quarantine.ndjson"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    for path in (Path(), tmp_path):
        names = [file.name for file in local(path, Wanted(), LeftOut(), Path("into"))]
        assert names == [str(tmp_path.resolve() / "a.json")]


def test_what_cannot_be_read_in_a_folder_ends_nothing(tmp_path):
    (tmp_path / "a.json").write_bytes(b"{}")
    (tmp_path / "b").mkdir()
    (tmp_path / "c.json").write_bytes(b"{}")
    os.mkfifo(tmp_path / "pipe.json")
    out = LeftOut()
    files = local(tmp_path, Wanted(), out)
    found = [next(files)]
    (tmp_path / "b").rmdir()
    (tmp_path / "c.json").unlink()
    found += files
    assert [file.size for file in found] == [2, 0]
    assert (out.other, len(out.folders)) == (1, 1)
    assert "No such file" in out.folders[0]


def test_a_named_file_is_read_whatever_its_name(tmp_path):
    (tmp_path / "records").write_bytes(b"")
    assert len(list(local(tmp_path / "records", Wanted(), LeftOut()))) == 1


def test_a_pipe_that_is_named_is_read_and_a_device_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (found,) = local(tmp_path / "pipe", Wanted(), LeftOut())
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit((tmp_path / "pipe").write_bytes, b"{}")
        assert list(found.pieces()) == [b"{}"]
        assert writing.result() == found.size == 2
    assert found.version == ""
    with pytest.raises(UsageError, match="neither a file"):
        list(local(Path("/dev/null"), Wanted(), LeftOut()))


def test_an_object_of_which_half_comes_is_not_read():
    bucket = MemoryBucket("logs")
    bucket.put("a.json", b"{}\n{}\n", Put("application/json"))
    (found,) = in_bucket(bucket, "", Wanted(), LeftOut())
    assert list(found.pieces()) == [b"{}\n{}\n"]
    bucket.objects["a.json"].data = b"{}\n"
    with pytest.raises(Unavailable, match="3 bytes came of 6"):
        list(found.pieces())


def test_a_listing_has_files_as_they_were():
    one, other = MemoryBucket("one"), MemoryBucket("other")
    files: list[File] = [
        LocalFile(os.fsdecode(b"/logs/\xff\n.json"), 7, "7-1"),
        Pipe("/dev/stdin"),
        BucketObject(one, "\u00e9/a.json", 1 << 40, "1-e"),
        BucketObject(one, "b.json", 2, ""),
        BucketObject(other, "b.json", 3, "3-e"),
        BucketObject(one, "c.json", 4, "4-e"),
        LocalFile("gone.json", 0, ""),
    ]
    with tempfile.TemporaryFile() as kept:
        listing = Listing(kept, iter(files))
        assert list(listing) == files
        assert (listing.count, listing.bytes) == (7, 7 + (1 << 40) + 2 + 3 + 4)


def test_a_listing_of_many_objects_is_not_in_memory():
    bucket, version = MemoryBucket("logs"), "a" * 32
    many = 20_000
    files = (BucketObject(bucket, f"{FILE}{number}", number, version) for number in range(many))
    with tempfile.TemporaryFile() as kept:
        tracemalloc.start()
        try:
            assert sum(file.size for file in Listing(kept, files)) == sum(range(many))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 20 * many
