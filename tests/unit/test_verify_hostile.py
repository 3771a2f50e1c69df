# SPDX-License-Identifier: Apache-2.0
"""Verifying a bucket that somebody filled to stop us: a verdict and a reason, never an exception."""

import gzip
import json
import multiprocessing
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.signed_bucket import ACCOUNT, HOUR, START
from support.verified_world import HOURS, RING, World, overall

from opentrail.cli.verify_table import with_bar
from opentrail.errors import Unavailable
from opentrail.objects.base import Put
from opentrail.objects.readdir import ReadDir
from opentrail.trails.digestfile import HASH_ALGORITHM, LogFileEntry
from opentrail.verification.examine import Examiner
from opentrail.verification.ungzip import LOG_BYTES_MAX
from opentrail.verification.verdict import Finding, KeyRing, Verdict
from opentrail.verification.workers import GROW_SPAWN_S, Growing, Here, Processes, Threads, examined

END = START + HOURS * HOUR
FOLDER = f"AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/2023/11/14/"


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "logs")


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A bucket whose newest digest each test writes anew."""
    return World(tmp_path_factory.mktemp("shared") / "logs", 1)


@pytest.fixture(scope="module")
def before(shared):
    """What its newest digest says."""
    return body_of(shared, shared.trail.digests[-1])


def body_of(world, key):
    return json.loads(gzip.decompress(world.path(key).read_bytes()))


def newest_says(world, text):
    """Let the newest digest have any bytes; return what is said of it."""
    world.rewrite(world.trail.digests[-1], gzip.compress(text))
    (found,) = [each for each in world.wrong(unlisted=None) if each[0].startswith(ACCOUNT)]
    return found[1:]


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 100_000,
        b'{"x":' * 100_000,
        b'{"digestEndTime":' + b"9" * 100_000 + b"}",
        b'{"logFiles":[' + b"null," * 100_000 + b"null]}",
        b'"\\ud800"',
        b"null",
        b"\xef\xbb\xbf{}",
    ],
    ids=["arrays", "objects", "number", "nulls", "surrogate", "null", "bom"],
)
def test_json_that_is_no_digest(shared, before, text):
    assert before
    assert newest_says(shared, text) == ("INVALID", "invalid format")


FIELDS = ["awsAccountId", "digestEndTime", "digestS3Bucket", "digestPublicKeyFingerprint",
          "previousDigestSignature", "logFiles", "digestSignatureAlgorithm"]  # fmt: skip


@pytest.mark.parametrize("value", [None, 7, [], {}, True, "x", "\x00", "é" * 300])
@pytest.mark.parametrize("field", FIELDS)
def test_a_field_of_another_kind(shared, before, field, value):
    text = json.dumps(before | {field: value}).encode()
    verdict, reason = newest_says(shared, text)
    assert (verdict, bool(reason)) == ("INVALID", True)


ODD = ["", "/", "..", "a//b", "../../etc/passwd", "/etc/passwd", "\x00", "\n", "x" * 2000,
       "\ufdd0", "\ud800", ".opentrail/x", "é" * 200]  # fmt: skip


@pytest.mark.parametrize("key", ODD)
def test_a_signed_digest_that_lists_an_odd_key(world, key):
    entry = {"s3Bucket": "logs", "s3Object": key, "hashValue": "0", "hashAlgorithm": HASH_ALGORITHM}
    if key == "\ud800":
        return  # JSON of a digest cannot hold it: see ``test_json_that_is_no_digest``
    world.trail.digest(END, END + HOUR, [entry])
    wrong = world.wrong(unlisted=None)
    assert len(wrong) == 1
    assert wrong[0][1] in ("INVALID", "UNKNOWN")


@pytest.mark.parametrize("bucket", ["", "..", "a/b", "UPPER", "x" * 300])
def test_a_signed_digest_that_lists_a_file_in_an_odd_bucket(world, bucket):
    file = body_of(world, world.trail.digests[-1])["logFiles"][0]
    world.trail.digest(END, END + HOUR, [file | {"s3Bucket": bucket, "s3Object": "x"}])
    assert {verdict for _, verdict, _ in world.wrong(unlisted=None)} == {"UNKNOWN"}


def test_a_file_that_unpacks_to_far_too_much(world):
    bomb = gzip.compress(bytes(LOG_BYTES_MAX + 1), 9)
    world.rewrite(world.trail.logs[0], bomb)
    began = time.monotonic()
    ((_, verdict, reason),) = world.wrong(unlisted=None)
    assert (verdict, reason) == ("INVALID", f"unpacks to more than {LOG_BYTES_MAX} bytes")
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("kind", ["link", "pipe", "directory", "loop"])
@pytest.mark.parametrize("what", ["logs", "digests"])
def test_what_is_no_plain_file_is_not_there(world, what, kind, tmp_path):
    path = world.path(getattr(world.trail, what)[-1])
    same = tmp_path / "same"
    same.write_bytes(path.read_bytes())
    path.unlink()
    if kind == "link":
        path.symlink_to(same)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(path)
    assert overall(world.verify()) is not Verdict.VALID


def test_a_folder_that_is_a_link_hides_nothing(world, tmp_path):
    folder = world.path(FOLDER)
    folder.rename(tmp_path / "away")
    folder.symlink_to(tmp_path / "away")
    assert {reason for _, _, reason in world.wrong(unlisted=None)} == {"not found"}


@pytest.mark.parametrize(
    "place",
    [
        FOLDER.encode() + b"\xff.json.gz",
        f"{FOLDER}{ACCOUNT}_CloudTrail_us-east-1_20231114T2210Z_A.json.gz".encode(),
        f"AWSLogs/{ACCOUNT}/CloudTrail/eu-west-1".encode(),
        f"AWSLogs/{ACCOUNT}/CloudTrail/eu-west-1\udcff".encode(errors="surrogateescape"),
    ],
    ids=["bytes", "file", "folder", "folder in bytes"],
)
def test_what_other_readers_would_follow_or_find_is_told(world, place, tmp_path):
    """Who reads files goes through links, and takes any name."""
    forged = tmp_path / "forged"
    forged.mkdir()
    path = world.root / os.fsdecode(place)
    if b"\xff" in place:
        path.mkdir()
    else:
        path.symlink_to(forged)
    ((_, verdict, reason),) = world.wrong()
    assert (verdict, reason.startswith("is ")) == ("INVALID", True)


@pytest.mark.parametrize("file", ["a\nb", "\x1b[2J", "é", "a b", "%2e%2e", "x" * 255])
def test_files_with_odd_names_are_seen(world, file):
    world.bucket.put(FOLDER + file, b"x", Put())
    assert [each[1:] for each in world.wrong()] == [("INVALID", "is not named as log files are")]


def test_ten_thousand_planted_files(world):
    folder = world.path(FOLDER)
    for number in range(10_000):
        (folder / f"{ACCOUNT}_CloudTrail_us-east-1_20231114T2210Z_{number:016}.json.gz").touch()
    began = time.monotonic()
    wrong = world.wrong()
    assert len(wrong) == 10_000
    assert {reason for _, _, reason in wrong} == {"is in no digest"}
    assert time.monotonic() - began < 5


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from([*FIELDS, "digestS3Object", "digestStartTime"]), json_values)
)
@settings(max_examples=80, deadline=None)
def test_any_nonsense_is_judged(shared, before, changes):
    body = before | changes
    shared.rewrite(shared.trail.digests[-1], gzip.compress(json.dumps(body).encode()))
    if body != before:
        assert overall(shared.verify()) is not Verdict.VALID


def entries_of(world):
    return [
        LogFileEntry(
            s3_bucket=file["s3Bucket"],
            s3_object=file["s3Object"],
            hash_value=file["hashValue"],
            hash_algorithm=file["hashAlgorithm"],
        )
        for key in world.trail.digests
        for file in body_of(world, key)["logFiles"]
    ]


@dataclass(frozen=True)
class Opener:
    """Makes what each process looks with."""

    root: Path
    ring: KeyRing

    def __call__(self):
        return Examiner(ReadDir(self.root, "logs"), nowhere, self.ring, "logs")


def nowhere(_name):
    return None


def growing(opener):
    return Growing(Here(opener()), Processes(opener, 2), 10**9)


@pytest.mark.parametrize(
    "begun",
    [
        lambda opener: Processes(opener, 2),
        lambda opener: Processes(opener, 2, 3),
        lambda opener: Threads(opener(), 3),
        growing,
    ],
    ids=["processes", "processes of threads", "threads", "growing"],
)
def test_many_find_what_one_does(world, begun):
    world.rewrite(world.trail.logs[1], b"x")
    opener = Opener(world.root, RING)
    here = Here(opener())
    pool = begun(opener)
    try:
        keys = world.trail.digests * 5
        assert list(examined(pool, keys)) == list(examined(here, keys))
        entries = entries_of(world)
        assert pool.begin(Examiner.logs, entries)() == here.begin(Examiner.logs, entries)()
    finally:
        pool.close()


def die(_examiner, _items):
    os._exit(1)


def test_a_process_that_dies_is_no_verdict(world):
    pool = Processes(Opener(world.root, RING), 2)
    try:
        with pytest.raises(Unavailable, match="has died"):
            pool.begin(die, [1])()
    finally:
        pool.close()


def how_it_began(_examiner, items):
    return [type(multiprocessing.current_process()).__name__ for _ in items]


def test_processes_are_not_forked_beside_a_thread_that_began_later(world):
    pool = Processes(Opener(world.root, RING), 1)
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        assert pool.begin(how_it_began, [1])() == ["SpawnProcess"]
    finally:
        pool.close()
        done.set()
        thread.join()


HERE = type(multiprocessing.current_process()).__name__


def slow(examiner, items):
    time.sleep(GROW_SPAWN_S)
    return examiner.logs(items)


def test_processes_begin_when_there_is_much_to_do(world):
    opener = Opener(world.root, RING)
    pool = Growing(Here(opener()), Processes(opener, 2), HOURS + 1)
    try:
        list(examined(pool, world.trail.digests))
        pool.begin(Examiner.logs, entries_of(world))()
        assert pool.begin(how_it_began, [1])() == [HERE]
        pool.begin(slow, entries_of(world))()
        assert pool.begin(how_it_began, [1])() != [HERE]
    finally:
        pool.close()


def test_the_bar_begins_no_thread(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    before = threading.active_count()
    finding = Finding("Log file", "s3://logs/x", Verdict.VALID)
    with with_bar(iter([finding]), 1) as findings:
        assert (list(findings), threading.active_count()) == ([finding], before)
