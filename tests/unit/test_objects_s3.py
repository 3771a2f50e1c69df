# SPDX-License-Identifier: Apache-2.0
"""The seam to botocore: which request is made, and what becomes of each of its errors."""

import base64
import datetime as dt
import inspect
import io
from typing import Any

import pytest
from botocore import exceptions as driver
from msgspec.structs import replace
from support.aws_clients import without_aws
from support.open_buckets import SettableClock

from opentrail.cli.verify import THREADS_MAX
from opentrail.errors import ClientError, Unavailable, UsageError
from opentrail.objects.base import Put
from opentrail.objects.driver import (
    POOL_CONNECTIONS,
    ClientSpec,
    known_regions,
    make_client,
)
from opentrail.objects.localdir import LocalDir
from opentrail.objects.names import OBJECT_BYTES_MAX
from opentrail.objects.s3 import DRIVER_ERRORS, S3Bucket, mapped
from opentrail.objects.setting import BucketSetting, Upstream
from opentrail.objects.table import BucketTable, check_profile

DRIVER_CLASSES = [
    found
    for _, found in inspect.getmembers(driver, inspect.isclass)
    if issubclass(found, Exception) and not issubclass(found, Warning)
]
NOT_OF_A_CALL = (driver.UndefinedModelAttributeError,)
"""Raised while a service model is read, which is botocore's own."""


@pytest.mark.parametrize("kind", DRIVER_CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_of_the_driver_has_its_place(kind):
    if issubclass(kind, NOT_OF_A_CALL):
        return
    if issubclass(kind, driver.ClientError):
        response: Any = {"Error": {"Code": "X"}}
        found = mapped(kind(response, "GetObject"))
    else:
        error = kind.__new__(kind)
        Exception.__init__(error, "what it says")
        found = mapped(error)
    assert isinstance(found, ClientError | Unavailable)
    assert kind is driver.ClientError or issubclass(
        kind, (driver.ClientError, *(known for known, _ in DRIVER_ERRORS))
    )


def test_clients_share_what_is_read_of_services():
    """A client alone has 8 MB of it, and there is one for each region that events are of."""
    url = "http://127.0.0.1:9"
    made: list[Any] = [make_client(ClientSpec("s3", region, url)) for region in REGIONS]
    one, other = made
    assert one.meta.service_model.metadata is other.meta.service_model.metadata
    assert {*REGIONS, "cn-north-1"} < known_regions()
    assert "zz-nowhere-1" not in known_regions()


def answered(code, status, message="as it is"):
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return mapped(driver.ClientError(response, "PutObject"))


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("NoSuchBucket", 404, "NoSuchBucket"),
        ("AccessDenied", 403, "AccessDenied"),
        ("404", 404, "NoSuchKey"),
        ("403", 403, "AccessDenied"),
        ("KMS.DisabledException", 400, "KMS.DisabledException"),
        ("", 403, "AccessDenied"),
        (None, 302, "302"),
        ("no\ncode", 405, "405"),
        ("x" * 129, 400, "BadRequest"),
    ],
)
def test_an_answer_that_says_no(code, status, expected):
    error = answered(code, status)
    assert isinstance(error, ClientError)
    assert (error.code, error.status, error.message) == (expected, status, "as it is")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("InternalError", 500),
        ("SlowDown", 503),
        ("RequestTimeout", 400),
        ("TooManyRequestsException", 400),
        ("502", 502),
        ("429", 429),
        ("", 408),
    ],
)
def test_an_answer_after_which_nothing_is_known(code, status):
    assert isinstance(answered(code, status), Unavailable)


def test_what_a_credential_process_printed_is_not_told():
    error = mapped(driver.CredentialRetrievalError(provider="p", error_msg="hunter2"))
    assert "hunter2" not in str(error)
    assert "check its settings" in str(error)


def test_a_topic_is_not_called_a_bucket():
    error = mapped(KeyError("PublishResult"), "sns")
    assert str(error).startswith("sns cannot be asked: KeyError")
    assert "bucket" not in str(error)


REGIONS = ("us-east-1", "eu-west-1")
PUT = {"ETag": '"8d777f385d3dfec8815d20f7496026dc"'}


class Client:
    """Answers what it is told to, and keeps what it was asked."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = {}

    def __getattr__(self, name):
        def operation(**arguments):
            self.asked = {"operation": name, **arguments}
            return self.answer

        return operation


def test_the_request_of_a_put():
    client = Client(PUT)
    how = Put(kms_key_id="arn:key", kms_context={"aws:cloudtrail:arn": "arn:trail"})
    S3Bucket(client, "b", "AES256").put("k", b"data", how)
    context = base64.b64decode(client.asked.pop("SSEKMSEncryptionContext"))
    assert context == b'{"aws:cloudtrail:arn":"arn:trail"}'
    assert client.asked == {
        "operation": "put_object",
        "Bucket": "b",
        "Key": "k",
        "Body": b"data",
        "ContentMD5": "jXd/OF09/siBXSD3SWAm3A==",
        "ContentType": "application/json",
        "ContentEncoding": "gzip",
        "Metadata": {},
        "ACL": "bucket-owner-full-control",
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": "arn:key",
    }


class NoAcls(Client):
    """Knows no ACLs, as it says itself."""

    def __init__(self, code, status=501):
        super().__init__(PUT)
        self.refusal: Any = {
            "Error": {"Code": code, "Message": "Cannot insert legacy ACL"},
            "ResponseMetadata": {"HTTPStatusCode": status},
        }
        self.listing: Any = None
        self.calls = []

    def __getattr__(self, name):
        def operation(**arguments):
            self.calls.append((name, "ACL" in arguments))
            if name == "get_bucket_acl" or "ACL" in arguments:
                raise driver.ClientError(self.refusal, name)
            if name == "list_objects_v2" and self.listing:
                raise driver.ClientError({"Error": {"Code": self.listing}}, name)
            return self.answer

        return operation


@pytest.mark.parametrize(
    ("code", "status"),
    [("NotImplemented", 501), ("", 501), ("MethodNotAllowed", 405), ("InvalidArgument", 400)],
)
def test_a_server_without_acls_gets_none(code, status):
    client = NoAcls(code, status)
    bucket = S3Bucket(client, "b")
    bucket.put("k", b"data", Put())
    bucket.put("k", b"data", Put())
    assert client.calls == [("put_object", True), ("put_object", False), ("put_object", False)]
    client.calls.clear()
    bucket.acl_readable()
    client.listing = "AccessDenied"
    bucket.acl_readable()
    client.listing = "NoSuchBucket"
    with pytest.raises(ClientError, match="NoSuchBucket"):
        bucket.acl_readable()
    with pytest.raises(ClientError, match="AccessDenied"):
        S3Bucket(NoAcls("AccessDenied", 403), "b").put("k", b"", Put())


@pytest.mark.parametrize("encryption", ["", "AES256"])
def test_an_encryption_is_asked_for_only_where_the_bucket_is_set_so(encryption):
    client = Client(PUT)
    S3Bucket(client, "b", encryption).put("k", b"", Put())
    assert client.asked.get("ServerSideEncryption", "") == encryption


@pytest.mark.parametrize("over", [0, 1])
def test_an_object_larger_than_what_fits_is_not_read(over):
    body = io.BytesIO(b"x")
    answer = {
        "ContentLength": OBJECT_BYTES_MAX + over,
        "LastModified": dt.datetime.fromtimestamp(0, tz=dt.UTC),
        "ETag": '"e"',
        "Body": body,
    }
    bucket = S3Bucket(Client(answer), "b")
    if over:
        with pytest.raises(ClientError, match="EntityTooLarge"):
            bucket.get("k")
        assert body.closed
    else:
        assert bucket.get("k")[1] == b"x"


@pytest.fixture
def alone(monkeypatch):
    """No settings of the machine's own."""
    without_aws(monkeypatch)


def table(tmp_path, upstream=None, **settings):
    return BucketTable(settings, tmp_path, SettableClock(), "eu-west-1", upstream)


@pytest.mark.usefixtures("alone")
class Pages(Client):
    """Answers one page after another."""

    def __init__(self, *pages):
        super().__init__({})
        self.pages = list(pages)

    def list_objects_v2(self, **arguments):
        self.asked = arguments
        return self.pages.pop(0) if len(self.pages) > 1 else self.pages[0]


def page(*keys, **said):
    modified = dt.datetime.fromtimestamp(0, dt.UTC)
    items = [{"Key": key, "Size": 1, "LastModified": modified, "ETag": '"e"'} for key in keys]
    return {"Contents": items, "IsTruncated": False, "KeyCount": len(keys), **said}


def more(*keys, token="t"):
    return page(*keys, IsTruncated=True, NextContinuationToken=token)


def test_a_listing_is_read_to_its_end():
    client = Pages(more("a", "b", token="1"), more(token="2"), page("c"))
    assert [each.key for each in S3Bucket(client, "b").list("", limit=9)] == ["a", "b", "c"]
    assert client.asked["ContinuationToken"] == "2"


@pytest.mark.parametrize(
    "pages",
    [
        [more("a", token="")],
        [more("a"), more("b")],
        [more("a"), page("a")],
        [page("b", "a")],
        [page("a", KeyCount=2)],
        [{"Contents": [], "KeyCount": 0}],
        [{"Contents": [{"Key": "a"}], "IsTruncated": False}],
    ],
    ids=[
        "no token",
        "one token for ever",
        "again",
        "in no order",
        "cut short",
        "no end",
        "no size",
    ],
)
def test_a_listing_that_is_not_whole_or_in_order_is_none(pages):
    with pytest.raises(Unavailable):
        list(S3Bucket(Pages(*pages), "b").list("", limit=9))


def test_a_listing_from_a_key_on_does_not_begin_before():
    with pytest.raises(Unavailable):
        list(S3Bucket(Pages(page("a", "c")), "b").list("", "b"))


def test_an_endpoint_that_is_not_there_leaves_the_outcome_unknown(tmp_path):
    bucket = table(tmp_path, Upstream("http://127.0.0.1:9", "", "AKIATEST", "secret")).find("abc")
    with pytest.raises(Unavailable, match="Could not connect"):
        bucket.head("k")


@pytest.mark.usefixtures("alone")
def test_without_credentials_the_hint_says_what_to_check(tmp_path):
    bucket = table(tmp_path, Upstream("http://127.0.0.1:9")).find("abc")
    with pytest.raises(Unavailable, match=r"NoCredentialsError.*credentials"):
        bucket.head("k")


@pytest.mark.usefixtures("alone")
def test_where_a_bucket_is(tmp_path):
    upstream = Upstream("http://127.0.0.1:9", "", "AKIATEST", "secret")
    here = BucketSetting(directory=str(tmp_path / "here"))
    there = BucketSetting(endpoint="http://127.0.0.1:10", region="us-west-2")
    behind = table(tmp_path, upstream, here=here, there=there)
    assert isinstance(behind.find("here"), LocalDir)
    assert isinstance(behind.find("there"), S3Bucket)
    assert isinstance(behind.find("other"), S3Bucket)
    assert behind.directory("here") is behind.find("here")
    assert behind.directory("other") is None
    assert behind.find("other") is behind.find("other")
    by_default = table(tmp_path, there=there)
    assert isinstance(by_default.find("other"), LocalDir)
    assert isinstance(by_default.find("there"), S3Bucket)


def test_a_configured_directory_is_not_made_and_a_default_one_is(tmp_path):
    buckets = table(tmp_path, here=BucketSetting(directory=str(tmp_path / "here")))
    with pytest.raises(ClientError, match="NoSuchBucket"):
        buckets.find("here").put("k", b"", Put())
    buckets.find("other").put("k", b"", Put())
    assert (tmp_path / "other" / "k").exists()


def test_a_bad_name_is_no_bucket(tmp_path):
    with pytest.raises(ClientError, match="InvalidBucketName"):
        table(tmp_path).find("../escape")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (BucketSetting(directory="/x", region="eu-west-1"), "has no endpoint"),
        (BucketSetting(directory="relative"), "absolute"),
        (BucketSetting(endpoint="ftp://x"), "http"),
        (BucketSetting(ca="/no/such/file"), "there is no file"),
    ],
)
def test_a_setting_that_cannot_be_meant(tmp_path, setting, said):
    with pytest.raises(UsageError, match=said):
        table(tmp_path, abc=setting)


@pytest.mark.usefixtures("alone")
def test_a_profile_that_does_not_exist_is_its_buckets_trouble_alone(tmp_path):
    other = BucketSetting(endpoint="http://127.0.0.1:9", region="us-west-2")
    profiled = replace(other, credentials_profile="nobody")
    buckets = table(tmp_path, Upstream("", "nobody"), abc=profiled, other=other)
    for name in ("abc", "at-the-upstream"):
        with pytest.raises(Unavailable, match="nobody"):
            buckets.find(name)
    assert isinstance(buckets.find("other"), S3Bucket)
    with pytest.raises(UsageError, match="nobody"):
        check_profile("nobody")


@pytest.mark.usefixtures("alone")
def test_as_many_connections_are_kept_as_threads_ask():
    assert POOL_CONNECTIONS >= THREADS_MAX


def test_an_endpoint_that_no_client_takes(tmp_path):
    buckets = table(tmp_path, abc=BucketSetting(endpoint="http://"))
    with pytest.raises(Unavailable, match=r"no s3 client.*check the settings"):
        buckets.find("abc")
