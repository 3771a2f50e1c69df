# SPDX-License-Identifier: Apache-2.0
"""A directory bucket: what it refuses, what it makes of others' files, what a crash leaves."""

import errno
import hashlib
import os
from collections.abc import Callable
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.brittle_files import BrittleFiles, Fault, Killed
from support.open_buckets import NOW_MS, SettableClock

from opentrail.errors import ClientError, Unavailable
from opentrail.objects import beneath
from opentrail.objects.base import Put
from opentrail.objects.localdir import LocalDir
from opentrail.objects.names import KEY_BYTES_MAX, SEGMENT_BYTES_MAX, check_name, segments_of
from opentrail.objects.opened import Opening

OLD, NEW = b"old bytes", b"bytes that are new"
FIRST, SECOND = Put(metadata={"signature": "1"}), Put(metadata={"signature": "2"})


@pytest.fixture
def root(tmp_path):
    return tmp_path / "bucket"


def opened(root, **options):
    return LocalDir(root, "bucket", SettableClock(), **options)


def code_of(call, *arguments):
    with pytest.raises(ClientError) as caught:
        call(*arguments)
    return caught.value.code


def test_the_bytes_lie_under_their_key(root):
    opened(root).put("AWSLogs/1/x.json.gz", OLD, Put())
    assert (root / "AWSLogs/1/x.json.gz").read_bytes() == OLD


BAD_KEYS = (
    "",
    "/",
    "/etc/passwd",
    "..",
    "../x",
    "a/../../x",
    "a/./b",
    "a//b",
    "a//",
    "a\0b",
    "\ud800",
    ".opentrail",
    ".opentrail/",
    ".opentrail/heads/x.json",
    "a/" + "b" * (SEGMENT_BYTES_MAX + 1),
    "ä" * (SEGMENT_BYTES_MAX // 2 + 1),
)


@pytest.mark.parametrize("key", BAD_KEYS)
def test_a_key_that_a_directory_must_not_hold_is_refused(root, key):
    bucket = opened(root)
    bucket.put("a/kept", OLD, Put())
    before = sorted(root.rglob("*"))
    for call in (bucket.get, bucket.head):
        assert code_of(call, key) == "InvalidArgument"
    assert code_of(bucket.put, key, NEW, Put()) == "InvalidArgument"
    assert sorted(root.rglob("*")) == before
    assert sorted(root.parent.iterdir()) == [root]


@pytest.mark.parametrize("key", ["b" * SEGMENT_BYTES_MAX, "/".join(["c" * 203] * 5) + "/" * 1])
def test_the_longest_names_are_held(root, key):
    bucket = opened(root)
    data = b"" if key.endswith("/") else OLD
    bucket.put(key, data, Put())
    assert bucket.get(key)[1] == data


def test_the_longest_key_is_held_and_no_longer_one(root):
    bucket = opened(root)
    key = "/".join(["k" * 204] * 5)
    assert len(key) == KEY_BYTES_MAX
    bucket.put(key, OLD, Put())
    assert [one.key for one in bucket.list("")] == [key]
    assert code_of(bucket.put, key + "k", OLD, Put()) == "KeyTooLongError"


def test_a_key_with_a_slash_at_its_end_has_no_bytes(root):
    assert code_of(opened(root).put, "a/", OLD, Put()) == "InvalidArgument"


def test_a_key_cannot_be_below_another_in_a_directory(root):
    bucket = opened(root)
    bucket.put("a", OLD, Put())
    bucket.put("d/x", OLD, Put())
    assert code_of(bucket.put, "a/b", NEW, Put()) == "InvalidArgument"
    assert code_of(bucket.put, "d", NEW, Put()) == "InvalidArgument"
    assert [one.key for one in bucket.list("")] == ["a", "d/x"]


def test_a_directory_bucket_does_not_claim_to_encrypt(root):
    assert code_of(opened(root).put, "k", OLD, Put(kms_key_id="key")) == "NotImplemented"


def test_no_link_is_followed(root, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    bucket = opened(root)
    bucket.put("kept", OLD, Put())
    (root / "folder").symlink_to(outside)
    (root / "file").symlink_to(outside / "secret")
    os.mkfifo(root / "pipe")
    for key in ("folder/secret", "file", "pipe", "folder/"):
        assert code_of(bucket.get, key) == "NoSuchKey"
    for key in ("folder/secret", "file", "folder/new"):
        assert code_of(bucket.put, key, NEW, Put()) == "InvalidArgument"
    assert [one.key for one in bucket.list("")] == ["kept"]
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert (outside / "secret").read_bytes() == b"secret"


@pytest.mark.parametrize("folder", ["new", "heads"])
def test_no_link_in_our_own_folder_is_followed(root, tmp_path, folder):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    own = root / ".opentrail" / folder
    own.mkdir(parents=True)
    name = hashlib.sha256(b"k").hexdigest()
    for suffix in (".tmp", ".json", ".json.tmp"):
        (own / (name + suffix)).symlink_to(victim)
    assert code_of(opened(root).put, "k", NEW, Put()) == "InvalidArgument"
    assert victim.read_bytes() == b"precious"


def test_a_bucket_that_is_a_link_is_the_operators_wish(root, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    root.symlink_to(tmp_path / "elsewhere")
    opened(root).put("k", OLD, Put())
    assert opened(root).get("k")[1] == OLD


def test_what_others_put_there_is_shown_as_it_is(root):
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "found.txt").write_bytes(b"found")
    os.utime(root / "sub" / "found.txt", ns=(0, 1_600_000_000_000_000_000))
    head, data = opened(root).get("sub/found.txt")
    assert data == b"found"
    assert head.etag == f'"{hashlib.md5(b"found").hexdigest()}"'
    assert (head.size, head.modified_ms) == (5, 1_600_000_000_000)
    assert head.content_type == "binary/octet-stream"
    assert (head.content_encoding, head.metadata) == ("", {})


def test_what_others_changed_is_shown_as_it_is_and_put_again(root):
    bucket = opened(root)
    bucket.put("k", OLD, FIRST)
    (root / "k").write_bytes(b"OLD bytes")
    os.utime(root / "k", ns=(0, 1_600_000_000_000_000_000))
    head, data = bucket.get("k")
    assert (data, head.etag) == (b"OLD bytes", f'"{hashlib.md5(b"OLD bytes").hexdigest()}"')
    assert head.metadata == FIRST.metadata
    bucket.put("k", OLD, FIRST)
    assert bucket.get("k")[1] == OLD


def test_bytes_changed_behind_an_unchanged_time_are_put_again(root):
    bucket = opened(root)
    bucket.put("k", OLD, FIRST)
    stat = (root / "k").stat()
    (root / "k").write_bytes(b"OLD bytes")
    os.utime(root / "k", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    bucket.put("k", OLD, FIRST)
    assert (root / "k").read_bytes() == OLD


@pytest.mark.parametrize("damage", [b"", b"{}", b"[1]", b"\xff\xfe", b'{"key":"other"}'])
def test_a_damaged_head_is_none(root, damage):
    bucket = opened(root)
    bucket.put("k", OLD, FIRST)
    (head,) = (root / ".opentrail" / "heads").iterdir()
    head.write_bytes(damage)
    found, data = bucket.get("k")
    assert (data, found.metadata, found.size) == (OLD, {}, len(OLD))


def test_a_deleted_file_is_gone_and_can_be_put_again(root):
    bucket = opened(root)
    bucket.put("k", OLD, FIRST)
    (root / "k").unlink()
    assert code_of(bucket.head, "k") == "NoSuchKey"
    assert list(bucket.list("")) == []
    bucket.put("k", OLD, FIRST)
    assert bucket.get("k")[1] == OLD


def test_a_name_that_is_not_utf8_is_no_key(root):
    opened(root).put("k", OLD, Put())
    (root / os.fsdecode(b"bad\xff")).write_bytes(b"x")
    (root / ".opentrail.txt").write_bytes(b"x")
    assert [one.key for one in opened(root).list("")] == [".opentrail.txt", "k"]


def test_the_same_bytes_again_write_nothing(root):
    clock = SettableClock()
    files = BrittleFiles()
    bucket = LocalDir(root, "bucket", clock, files=files)
    bucket.put("k", OLD, FIRST)
    bucket.put("d/", b"", FIRST)
    clock.ms += 1000
    files.break_at(1, Fault.REFUSED_LOST)
    bucket.put("k", OLD, FIRST)
    bucket.put("d/", b"", FIRST)
    files.break_at(0, Fault.REFUSED_LOST)
    assert bucket.head("k").modified_ms == NOW_MS


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("existing", [False, True], ids=["new", "existing"])
def test_a_put_that_fails_anywhere_leaves_the_old_bytes_or_the_new(tmp_path, fault, existing):
    change = 0
    failed = True
    while failed:
        change += 1
        files = BrittleFiles()
        bucket = opened(tmp_path / str(change), files=files)
        bucket.put("other", OLD, Put())
        if existing:
            bucket.put("d/k", OLD, FIRST)
        files.break_at(change, fault)
        try:
            bucket.put("d/k", NEW, SECOND)
            failed = False
        except (Unavailable, Killed):
            files.break_at(0, fault)
        _check_after(opened(tmp_path / str(change)), existing=existing)
    assert change > 3


def _check_after(bucket, *, existing):
    found = {one.key: bucket.get(one.key) for one in bucket.list("")}
    assert set(found) <= {"other", "d/k"}
    if existing:
        assert "d/k" in found
    if "d/k" in found:
        head, data = found["d/k"]
        assert data in ((OLD, NEW) if existing else (NEW,))
        assert (head.size, head.etag) == (len(data), f'"{hashlib.md5(data).hexdigest()}"')
        assert data == OLD or head.metadata == SECOND.metadata
    bucket.put("d/k", NEW, SECOND)
    head, data = bucket.get("d/k")
    assert (data, head.metadata) == (NEW, SECOND.metadata)


def test_a_full_disk_leaves_the_outcome_unknown_and_says_where_to_look(root):
    files = BrittleFiles()
    files.break_at(1, Fault.REFUSED_LOST)
    with pytest.raises(Unavailable, match=r"No space left on device.*look at the disk"):
        opened(root, files=files).put("k", OLD, Put())


@given(st.lists(st.text(alphabet="ab-./!0", min_size=1, max_size=8), max_size=12), st.data())
def test_a_listing_is_what_a_sorted_set_of_keys_is(tmp_path_factory, texts, data):
    bucket = opened(tmp_path_factory.mktemp("keys") / "bucket")
    held = set()
    for key in texts:
        try:
            bucket.put(key, b"", Put())
        except ClientError:
            continue
        held.add(key)
    (bucket._path).mkdir(exist_ok=True)
    prefix = data.draw(st.text(alphabet="ab-./!0", max_size=2))
    after = data.draw(st.text(alphabet="ab-./!0", max_size=4))
    wanted = sorted(key for key in held if key.startswith(prefix) and key > after)
    assert [one.key for one in bucket.list(prefix, after)] == wanted


@pytest.mark.parametrize("name", ["abc", "a" * 63, "my.bucket-1", "1-2-3", "0.0.0", "a.b.c.d"])
def test_a_good_name(name):
    check_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "", "ab", "a" * 64, "Bucket", "a_b", "-ab", "ab-", ".ab", "ab.", "a..b", "192.168.5.4",
        "../x", "a/b", "xn--abc", "sthree-abc", "abc-s3alias", "abc--ol-s3", "a\nb", "äbc", "..",
    ],
)  # fmt: skip
def test_a_bad_name(name):
    assert code_of(check_name, name) == "InvalidBucketName"


def test_the_parts_of_a_key():
    assert segments_of("a/b.c/") == ("a", "b.c", "")


class Racing(Opening):
    """Opens objects where something is put when a head is read: ``before`` that, or after."""

    before = True
    waits: ClassVar[list[Callable[[], None]]] = []

    def kept(self, key):
        if self.before:
            self._put()
        kept = super().kept(key)
        self._put()
        return kept

    def _put(self):
        if self.waits:
            self.waits.pop()()


@pytest.mark.parametrize("before", [True, False])
def test_bytes_and_head_are_of_one_put_whenever_another_comes(root, before):
    opened(root).put("k", OLD, FIRST)
    opening = Racing(root)
    opening.before = before
    opening.waits.append(lambda: opened(root).put("k", NEW, SECOND))
    with opening.opened("k") as found:
        head, data = found.head, found.read(0, found.head.size)
    opening.close()
    assert (data, head.metadata) in ((OLD, FIRST.metadata), (NEW, SECOND.metadata))
    assert head.etag == f'"{hashlib.md5(data).hexdigest()}"'


@pytest.mark.parametrize("data", [NEW, OLD[:-1], OLD.upper()], ids=["longer", "cut", "as long"])
def test_a_file_that_is_written_into_while_it_is_read_is_not_given(root, data):
    bucket = opened(root)
    bucket.put("k", OLD, FIRST)
    os.utime(root / "k", (0, 0))  # a clock of a file system may be a coarse one
    with bucket.opened("k") as found:
        (root / "k").write_bytes(data)
        with pytest.raises(Unavailable, match="changed"):
            found.read(0, found.head.size)


def test_a_file_that_may_not_be_read_is_not_left_out_of_a_listing(root, monkeypatch):
    bucket = opened(root)
    bucket.put("a", OLD, FIRST)
    bucket.put("b", OLD, FIRST)

    def refused(_folders, _segments):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(beneath.Folders, "open_file", refused)
    with pytest.raises(ClientError, match="AccessDenied"):
        list(bucket.list(""))
