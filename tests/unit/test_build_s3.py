# SPDX-License-Identifier: Apache-2.0
"""S3 records are what was on the wire: names, sub-resources, bodies, resources, additional data."""

import msgspec
import pytest
from support import aws_requests
from support.calls import ACCOUNT, REGION, Made, called, record_of

S3_XMLNS = "http://s3.amazonaws.com/doc/2006-03-01/"

BUCKET = {"accountId": ACCOUNT, "type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::b"}
AT = {"bucketName": "b", "Host": "h.example"}


@pytest.mark.parametrize(
    ("operation", "params", "shown"),
    [
        ("ListBuckets", {}, {"Host": "h.example"}),
        ("GetBucketAcl", {"Bucket": "b"}, {**AT, "acl": ""}),
        ("CreateBucket", {"Bucket": "b", "ACL": "private"}, {**AT, "x-amz-acl": "private"}),
        (
            "ListObjectsV2",
            {"Bucket": "b", "Prefix": "p/", "MaxKeys": 7},
            {**AT, "list-type": "2", "prefix": "p/", "max-keys": 7},
        ),
        (
            "GetObject",
            {"Bucket": "b", "Key": "a/ä:1", "VersionId": "v", "Range": "bytes=0-1"},
            {**AT, "key": "a/ä:1", "versionId": "v"},
        ),
        (
            "PutObject",
            {"Bucket": "b", "Key": "k", "Body": b"x", "Metadata": {"owner": "me"}},
            {**AT, "key": "k"},
        ),
        (
            "PutBucketPolicy",
            {"Bucket": "b", "Policy": '{\n "Version": "2012-10-17",\n "Statement": []}'},
            {**AT, "policy": "", "bucketPolicy": {"Version": "2012-10-17", "Statement": []}},
        ),
        (
            "PutBucketTagging",
            {"Bucket": "b", "Tagging": {"TagSet": [{"Key": "k", "Value": "v"}]}},
            {
                **AT,
                "tagging": "",
                "Tagging": {"xmlns": S3_XMLNS, "TagSet": {"Tag": {"Key": "k", "Value": "v"}}},
            },
        ),
        (
            "PutBucketLifecycleConfiguration",
            {
                "Bucket": "b",
                "LifecycleConfiguration": {
                    "Rules": [{"ID": "1", "Status": "Enabled"}, {"ID": "2", "Status": "Disabled"}]
                },
            },
            {
                **AT,
                "lifecycle": "",
                "LifecycleConfiguration": {
                    "xmlns": S3_XMLNS,
                    "Rule": [
                        {"ID": "1", "Status": "Enabled"},
                        {"ID": "2", "Status": "Disabled"},
                    ],
                },
            },
        ),
    ],
)
def test_s3_requests_are_shown_as_on_the_wire(operation, params, shown):
    found = called("s3", operation, params)["requestParameters"]
    found.pop("x-amz-sdk-checksum-algorithm", None)
    found.pop("x-amz-checksum-crc32", None)
    assert found == shown


@pytest.mark.parametrize("verb", ["Get", "Put"])
@pytest.mark.parametrize("what", ["LegalHold", "Retention"])
def test_object_lock_has_names_of_its_own(verb, what):
    record = called("s3", f"{verb}Object{what}", {"Bucket": "b", "Key": "k"})
    assert (record["eventName"], record["eventCategory"]) == (f"{verb}ObjectLock{what}", "Data")


def test_an_s3_body_that_is_no_xml_leaves_what_path_and_host_say():
    made = Made("s3", "PutBucketTagging", b"<oops", status=400, path="/b", query="tagging")
    call = made.call()
    call.head = msgspec.structs.replace(call.head, headers={"host": "h.example"})
    assert record_of(call)["requestParameters"] == {**AT, "tagging": ""}


@pytest.mark.parametrize(
    ("operation", "params", "resources"),
    [
        (
            "GetObject",
            {"Bucket": "b", "Key": "a/b"},
            [{"type": "AWS::S3::Object", "ARN": "arn:aws:s3:::b/a/b"}, BUCKET],
        ),
        (
            "ListObjectsV2",
            {"Bucket": "b", "Prefix": "p/"},
            [{"type": "AWS::S3::Object", "ARNPrefix": "arn:aws:s3:::b/p/"}, BUCKET],
        ),
        (
            "DeleteObjects",
            {"Bucket": "b", "Delete": {"Objects": [{"Key": "k"}]}},
            [{"type": "AWS::S3::Object", "ARNPrefix": "arn:aws:s3:::b/"}, BUCKET],
        ),
        ("GetBucketAcl", {"Bucket": "b"}, [BUCKET]),
        ("DeleteBucket", {"Bucket": "b"}, [BUCKET]),
        ("CreateBucket", {"Bucket": "b"}, None),
        ("ListBuckets", {}, None),
    ],
)
def test_s3_events_name_object_and_bucket(operation, params, resources):
    record = called("s3", operation, params)
    assert record.get("resources") == resources
    assert record["managementEvent"] is (resources in ([BUCKET], None))


@pytest.mark.parametrize(
    ("service", "of_object", "of_point"),
    [
        ("s3", "AWS::S3::Object", "AWS::S3::AccessPoint"),
        ("s3-object-lambda", "AWS::S3::Object", "AWS::S3ObjectLambda::AccessPoint"),
        ("s3-outposts", "AWS::S3Outposts::Object", "AWS::S3Outposts::AccessPoint"),
    ],
)
def test_an_access_point_stands_for_the_bucket(service, of_object, of_point):
    point = f"arn:aws:{service}:{REGION}:210987654321:accesspoint/p"
    record = called("s3", "HeadObject", {"Bucket": point, "Key": "k"})
    assert record["resources"] == [
        {"type": of_object, "ARN": f"{point}/object/k"},
        {"accountId": "210987654321", "type": of_point, "ARN": point},
    ]


def test_a_directory_bucket_has_types_of_its_own():
    record = called("s3", "GetObject", {"Bucket": "b--use1-az1--x-s3", "Key": "k"})
    arn = f"arn:aws:s3express:{REGION}:{ACCOUNT}:bucket/b--use1-az1--x-s3"
    assert record["resources"] == [
        {"type": "AWS::S3Express::Object", "ARN": f"{arn}/k"},
        {"accountId": ACCOUNT, "type": "AWS::S3Express::DirectoryBucket", "ARN": arn},
    ]


def test_a_session_with_a_directory_bucket_is_a_data_event_that_only_reads():
    record = called("s3", "CreateSession", {"Bucket": "b--use1-az1--x-s3"})
    arn = f"arn:aws:s3express:{REGION}:{ACCOUNT}:bucket/b--use1-az1--x-s3"
    assert (record["eventCategory"], record["managementEvent"], record["readOnly"]) == (
        "Data",
        False,
        True,
    )
    assert record["resources"] == [
        {"type": "AWS::S3Express::Object", "ARNPrefix": f"{arn}/"},
        {"accountId": ACCOUNT, "type": "AWS::S3Express::DirectoryBucket", "ARN": arn},
    ]


def test_s3_says_how_it_was_signed_and_how_much_went_over_the_wire():
    record = called(
        "s3",
        "PutObject",
        {"Bucket": "b", "Key": "k", "Body": b"12345"},
        response_headers={
            "x-amz-id-2": "id2",
            "content-length": "0",
            "x-amz-version-id": "v1",
            "x-amz-server-side-encryption": "AES256",
            "etag": "e",
        },
        request_headers={
            "authorization": aws_requests.scope("s3"),
            "x-amz-decoded-content-length": "5",
            "content-length": "99",
        },
    )
    assert record["additionalEventData"] == {
        "SignatureVersion": "SigV4",
        "AuthenticationMethod": "AuthHeader",
        "bytesTransferredIn": 5,
        "x-amz-id-2": "id2",
        "bytesTransferredOut": 0,
    }
    assert record["responseElements"] == {
        "x-amz-server-side-encryption": "AES256",
        "x-amz-version-id": "v1",
    }


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("X-Amz-Credential=c&X-Amz-Signature=s", ("SigV4", "QueryString")),
        ("AWSAccessKeyId=a&Signature=s", ("SigV2", "QueryString")),
        ("prefix=ignature%3D", (None, None)),
    ],
)
def test_a_presigned_call_is_told_from_a_signed_one(query, said):
    shown = Made("s3", "GetObject", method="GET", path="/b/k", query=query).record()
    found = shown["additionalEventData"]
    assert (found.get("SignatureVersion"), found.get("AuthenticationMethod")) == said


@pytest.mark.parametrize("length", ["9" * 19, "\u0663", "-1", "x"])
def test_a_length_that_is_none_is_not_believed(length):
    made = Made("s3", "PutObject", b"123", method="PUT", path="/b/k")
    call = made.call()
    call.head = msgspec.structs.replace(call.head, headers={"content-length": length})
    assert record_of(call)["additionalEventData"]["bytesTransferredIn"] == 3


@pytest.mark.parametrize(("name", "sent"), [("GetObject", 4096), ("HeadObject", 0)])
def test_a_question_about_an_object_transfers_nothing(name, sent):
    method = name.removesuffix("Object").upper()
    made = Made("s3", name, method=method, path="/b/k")
    made.more = {"response_headers": {"content-length": "4096"}}
    assert made.record()["additionalEventData"]["bytesTransferredOut"] == sent
