# SPDX-License-Identifier: Apache-2.0
"""The S3 read door, request by request."""

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.open_buckets import SettableClock
from support.s3_server import ACCOUNT, NOBODY, READER, WRITER, allowing, door, principal, request

from opentrail.errors import ClientError, Unavailable
from opentrail.objects.base import Head, Put
from opentrail.objects.localdir import LocalDir
from opentrail.wire.s3_door import READ_BYTES_MAX, S3Door
from opentrail.wire.s3_listing import KEYS_MAX, page_of
from opentrail.wire.s3_object import headers_of, part_of

DATA = b"0123456789"


@pytest.fixture
def opened(tmp_path):
    found, table = door(tmp_path)
    table.find("logs").put("AWSLogs/x.json.gz", DATA, Put(metadata={"signature": "ab"}))
    return found


def answer(opened, *arguments, **changes):
    found = opened.handle(request(*arguments, **changes))
    return found.status, dict(found.headers), found.body


def code_of(opened, *arguments, **changes):
    status, headers, body = answer(opened, *arguments, **changes)
    assert headers[b"Content-Type"] == b"application/xml"
    assert int(headers[b"Content-Length"]) == len(body)
    return status, body.decode().partition("<Code>")[2].partition("</Code>")[0]


def test_an_object_with_all_its_headers(opened):
    status, headers, body = answer(opened, "/logs/AWSLogs/x.json.gz", "x-id=GetObject")
    assert (status, body) == (200, DATA)
    assert headers == {
        b"x-amz-request-id": b"11111111-2222-4333-8444-555555555555",
        b"Server": b"OpenTrail",
        b"Last-Modified": b"Tue, 14 Nov 2023 22:13:20 GMT",
        b"ETag": b'"781e5e245d69b566979b86e28d23f2c7"',
        b"Accept-Ranges": b"bytes",
        b"Content-Type": b"application/json",
        b"Content-Encoding": b"gzip",
        b"Content-Length": b"10",
        b"x-amz-meta-signature": b"ab",
    }


def test_a_head_is_an_answer_without_its_body(opened):
    get = answer(opened, "/logs/AWSLogs/x.json.gz")
    assert answer(opened, "/logs/AWSLogs/x.json.gz", method="HEAD") == (200, get[1], b"")


@pytest.mark.parametrize(
    ("value", "status", "part"),
    [
        ("bytes=0-0", 206, b"0"),
        ("bytes=2-4", 206, b"234"),
        ("bytes=8-", 206, b"89"),
        ("bytes=-3", 206, b"789"),
        ("bytes=-99", 206, DATA),
        ("bytes=5-99", 206, b"56789"),
        ("bytes=0-9", 206, DATA),
        ("bytes=4-2", 200, DATA),
        ("bytes=-", 200, DATA),
        ("bytes=0-1,4-5", 200, DATA),
        ("lines=0-1", 200, DATA),
    ],
)
def test_a_range(opened, value, status, part):
    found = answer(opened, "/logs/AWSLogs/x.json.gz", headers={"range": value})
    assert (found[0], found[2]) == (status, part)
    assert int(found[1][b"Content-Length"]) == len(part)
    if status == 206:
        start = DATA.index(part)
        assert found[1][b"Content-Range"] == b"bytes %d-%d/10" % (start, start + len(part) - 1)


@pytest.mark.parametrize("value", ["bytes=10-", "bytes=10-12", "bytes=-0"])
def test_a_range_that_is_not_there(opened, value):
    headers = {"range": value}
    assert code_of(opened, "/logs/AWSLogs/x.json.gz", headers=headers) == (416, "InvalidRange")


ETAG = '"781e5e245d69b566979b86e28d23f2c7"'
BEFORE, THEN = "Tue, 14 Nov 2023 22:13:19 GMT", "Tue, 14 Nov 2023 22:13:20 GMT"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"if-match": ETAG}, 200),
        ({"if-match": "*"}, 200),
        ({"if-match": '"x", ' + ETAG}, 200),
        ({"if-match": '"x"'}, 412),
        ({"if-none-match": ETAG}, 304),
        ({"if-none-match": "*"}, 304),
        ({"if-none-match": '"x"'}, 200),
        ({"if-modified-since": THEN}, 304),
        ({"if-modified-since": BEFORE}, 200),
        ({"if-unmodified-since": THEN}, 200),
        ({"if-unmodified-since": BEFORE}, 412),
        ({"if-match": ETAG, "if-unmodified-since": BEFORE}, 200),
        ({"if-none-match": '"x"', "if-modified-since": THEN}, 200),
        ({"if-modified-since": "yesterday"}, 200),
    ],
)
def test_conditions(opened, headers, status):
    found = answer(opened, "/logs/AWSLogs/x.json.gz", headers=headers)
    assert found[0] == status
    assert bool(found[2] == DATA) == (status == 200)


def test_encryption_is_said_where_there_is_some():
    head = Head(1, '"e"', 0, encryption={"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "arn:k"})
    headers = dict(headers_of(head, part_of(head, {})))
    assert headers[b"x-amz-server-side-encryption"] == b"aws:kms"
    assert headers[b"x-amz-server-side-encryption-aws-kms-key-id"] == b"arn:k"


def test_a_header_cannot_be_broken_out_of():
    head = Head(1, '"e"', 0, content_type="a\r\nSet-Cookie: b", metadata={"k": "v\nx"})
    headers = dict(headers_of(head, part_of(head, {})))
    assert headers[b"Content-Type"] == b"a??Set-Cookie: b"
    assert headers[b"x-amz-meta-k"] == b"v?x"


def test_where_the_bucket_is(tmp_path):
    for region, shown in (("us-east-1", b""), ("eu-west-1", b"eu-west-1")):
        found, table = door(tmp_path / region, region)
        table.find("logs").put("k", DATA, Put())
        status, _, body = answer(found, "/logs", "location")
        assert status == 200
        assert body.endswith(b'/2006-03-01/">' + shown + b"</LocationConstraint>")
        headers = answer(found, "/logs/", method="HEAD")[1]
        assert headers[b"x-amz-bucket-region"] == region.encode()


def test_the_owner_may_do_everything(opened):
    body = answer(opened, "/logs", "acl")[2]
    assert body.count(ACCOUNT.encode()) == 2
    assert b"<Permission>FULL_CONTROL</Permission>" in body


REFUSED = [
    ("PUT", "/logs/new", ""),
    ("PUT", "/logs", ""),
    ("PUT", "/new-bucket", ""),
    ("DELETE", "/logs/AWSLogs/x.json.gz", ""),
    ("DELETE", "/logs", ""),
    ("POST", "/logs", "delete"),
    ("POST", "/logs/x", "uploads"),
    ("GET", "/", ""),
    ("GET", "/logs", "policy"),
    ("GET", "/logs", "versioning"),
    ("GET", "/logs", "versions"),
    ("GET", "/logs", "list-type=3"),
    ("GET", "/logs", "location&acl"),
    ("GET", "/logs/AWSLogs/x.json.gz", "acl"),
    ("GET", "/logs/AWSLogs/x.json.gz", "versionId=1"),
    ("GET", "/logs/AWSLogs/x.json.gz", "response-content-type=text/html"),
    ("OPTIONS", "/logs", ""),
]


@pytest.mark.parametrize(("method", "path", "query"), REFUSED)
def test_writes_and_all_else_are_denied(opened, method, path, query):
    changes = {"method": method, "principal": principal(WRITER)}
    assert code_of(opened, path, query, **changes) == (403, "AccessDenied")


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("GET", "/logs/AWSLogs/x.json.gz", ""),
        ("HEAD", "/logs/AWSLogs/x.json.gz", ""),
        ("GET", "/logs", ""),
        ("GET", "/logs", "list-type=2"),
        ("GET", "/logs", "location"),
        ("GET", "/logs", "acl"),
        ("HEAD", "/logs", ""),
        ("GET", "/absent", ""),
        ("GET", "/absent/k", ""),
    ],
)
def test_who_may_do_nothing_learns_nothing(opened, method, path, query):
    found = answer(opened, path, query, method=method, principal=principal(NOBODY))
    assert found[0] == 403
    assert (found[2] == b"") == (method == "HEAD")


def test_a_policy_can_open_a_part_of_a_bucket(opened):
    policies = allowing("s3:GetObject", resource="arn:aws:s3:::logs/AWSLogs/*")
    who = replace(principal(READER), policies=policies)
    assert answer(opened, "/logs/AWSLogs/x.json.gz", principal=who)[0] == 200
    assert code_of(opened, "/logs/AWSLogs/absent", principal=who) == (403, "AccessDenied")
    assert code_of(opened, "/logs/other", principal=who) == (403, "AccessDenied")
    assert code_of(opened, "/logs", principal=who) == (403, "AccessDenied")


def test_another_owner_than_expected(opened):
    headers = {"x-amz-expected-bucket-owner": "444455556666"}
    assert code_of(opened, "/logs", headers=headers) == (403, "AccessDenied")


@pytest.mark.parametrize(
    ("path", "query", "status", "code"),
    [
        ("/logs/absent", "", 404, "NoSuchKey"),
        ("/logs/AWSLogs", "", 404, "NoSuchKey"),
        ("/absent", "", 404, "NoSuchBucket"),
        ("/absent/k", "", 404, "NoSuchBucket"),
        ("/Bad_Name", "", 400, "InvalidBucketName"),
        ("/..", "", 400, "InvalidBucketName"),
        ("/..%2Flogs/AWSLogs/x.json.gz", "", 400, "InvalidBucketName"),
        ("/logs/../logs/AWSLogs/x.json.gz", "", 400, "InvalidArgument"),
        ("/logs/%2e%2e/x", "", 400, "InvalidArgument"),
        ("/logs//etc/passwd", "", 400, "InvalidArgument"),
        ("/logs/a%00b", "", 400, "InvalidArgument"),
        ("/logs/.opentrail/heads/x.json", "", 400, "InvalidArgument"),
        ("/logs/%ff", "", 400, "InvalidURI"),
        ("/logs", "prefix=%ff", 400, "InvalidURI"),
        ("/logs", "&".join(f"a{n}=" for n in range(40)), 400, "InvalidURI"),
        ("/logs", "max-keys=x", 400, "InvalidArgument"),
        ("/logs", "max-keys=-1", 400, "InvalidArgument"),
        ("/logs", "encoding-type=utf8", 400, "InvalidArgument"),
        ("/logs", "list-type=2&continuation-token=!", 400, "InvalidArgument"),
    ],
)
def test_bad_input(opened, path, query, status, code):
    assert code_of(opened, path, query) == (status, code)


@dataclass
class OneObject:
    """A bucket with one object of a given size, that can be read or not."""

    size: int
    fails: bool = False
    name: str = "logs"

    def directory(self, name):
        del name
        return self

    def exists(self):
        return None

    @contextmanager
    def opened(self, key):
        del key
        yield self

    @property
    def head(self):
        return Head(self.size, '"e"', 0)

    def read(self, _offset, count):
        if self.fails:
            raise Unavailable("disk: Input/output error")
        return bytes(count)


def door_to(bucket: Any) -> S3Door:
    return S3Door(bucket, ACCOUNT, "us-east-1")


@pytest.mark.parametrize("over", [0, 1])
def test_an_object_too_large_for_one_answer_is_read_in_ranges(over):
    size = READ_BYTES_MAX + over
    found = door_to(OneObject(size))
    if over:
        assert code_of(found, "/logs/k") == (400, "EntityTooLarge")
    else:
        assert len(answer(found, "/logs/k")[2]) == size
    assert answer(found, "/logs/k", headers={"range": f"bytes={over}-"})[0] == 206


def test_what_cannot_be_read_is_a_503_that_names_no_file_and_is_told(caplog):
    found = door_to(OneObject(10, fails=True))
    assert code_of(found, "/logs/secret-name") == (503, "ServiceUnavailable")
    assert b"disk" not in answer(found, "/logs/secret-name")[2]
    assert "could not be read: " in caplog.text


class Replaced(LocalDir):
    """A directory bucket whose object somebody puts something else in the place of, once it is open."""

    def directory(self, name):
        del name
        return self

    @contextmanager
    def opened(self, key):
        with super().opened(key) as found:
            other = self.path.with_name("other")
            other.write_bytes(b"of another length and content")
            other.replace(self.path / key)
            yield found


@pytest.mark.parametrize(("range_", "part"), [("", DATA), ("bytes=2-4", DATA[2:5])])
def test_an_object_that_is_replaced_while_it_is_read_is_the_one_that_was(tmp_path, range_, part):
    bucket = Replaced(tmp_path / "logs", "logs", SettableClock())
    bucket.put("k", DATA, Put())
    _, headers, body = answer(door_to(bucket), "/logs/k", headers={"range": range_})
    assert (headers[b"ETag"], headers[b"Content-Length"]) == (ETAG.encode(), b"%d" % len(part))
    assert body == part


def test_a_bucket_that_is_elsewhere_is_denied():
    class Elsewhere:
        def directory(self, name):
            del name

    assert code_of(door_to(Elsewhere()), "/logs/k") == (403, "AccessDenied")


@settings(deadline=None)
@given(
    st.sets(st.text(alphabet="ab/-", min_size=1, max_size=6), max_size=10),
    st.sampled_from(["", "a", "a/", "b"]),
    st.sampled_from(["", "/", "-", "a", "/a"]),
    st.integers(1, 4),
)
def test_pages_joined_are_the_whole_listing(tmp_path_factory, texts, prefix, delimiter, limit):
    bucket = LocalDir(tmp_path_factory.mktemp("pages") / "b", "b", SettableClock())
    bucket.put("zz", b"", Put())
    held = {key for key in texts if _put(bucket, key)} | {"zz"}
    expected = []
    for key in sorted(key for key in held if key.startswith(prefix)):
        head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
        entry = prefix + head + found if found else key
        if entry not in expected:
            expected.append(entry)
    joined, after = [], ""
    while True:
        page = page_of(bucket, prefix, delimiter, after, limit)
        joined += [one if isinstance(one, str) else one.key for one in page.entries]
        assert len(page.entries) <= limit
        after = page.next
        if not after:
            break
    assert joined == expected


def _put(bucket, key):
    try:
        bucket.put(key, b"", Put())
    except ClientError:
        return False
    return True


@pytest.mark.parametrize("asked", [0, 1, 2, 3, KEYS_MAX + 1])
def test_max_keys(opened, tmp_path, asked):
    LocalDir(tmp_path / "logs", "logs", SettableClock()).put("b", b"", Put())
    body = answer(opened, "/logs", f"list-type=2&max-keys={asked}")[2]
    assert body.count(b"<Contents>") == min(asked, 2)
    assert (b"<IsTruncated>true" in body) == (asked == 1)
    assert b"<MaxKeys>%d<" % min(asked, KEYS_MAX) in body
