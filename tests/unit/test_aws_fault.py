# SPDX-License-Identifier: Apache-2.0
"""Errors that we write are understood by boto3; errors of every form are read."""

import contextlib
import http.server
import threading

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from opentrail.aws.fault import MESSAGE_CHARS_MAX
from opentrail.aws.protocol import error_of, render_error
from opentrail.aws.request import Target
from opentrail.errors import ClientError as OurError

PROTOCOLS = ("json", "rest-json", "query", "ec2", "rest-xml", "smithy-rpc-v2-cbor", "")
MESSAGE = 'No such thing: <a> & "b" é €.'


def target(protocol="json", service="sagemaker"):
    return Target(service, "sagemaker.amazonaws.com", "CreateModel", protocol)


def read(status, headers, body, protocol="json"):
    return error_of(target(protocol), status, headers, body)


def written(protocol, code, message, status=400, service="sagemaker"):
    error = OurError(code, message, status)
    status, headers, body = render_error(target(protocol, service), error, "request-1")
    return status, {name.decode(): value.decode() for name, value in headers}, body


@pytest.fixture
def answering():
    """Serve one error to whatever is asked: a function sets it and returns the URL."""
    fixed: dict[str, tuple[int, dict[str, str], bytes]] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def handle_one_request(self):
            self.raw_requestline = self.rfile.readline()
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            self.rfile.read(int(self.headers.get("content-length") or 0))
            status, headers, body = fixed["answer"]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()

    def fix(answer):
        fixed["answer"] = answer
        return f"http://127.0.0.1:{server.server_port}"

    yield fix
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("protocol", "service", "call"),
    [
        ("json", "sagemaker", lambda c: c.list_models()),
        ("rest-json", "devops-guru", lambda c: c.describe_account_health()),
        ("query", "sts", lambda c: c.get_caller_identity()),
        ("ec2", "ec2", lambda c: c.describe_regions()),
        ("rest-xml", "s3", lambda c: c.list_objects_v2(Bucket="bucket")),
        ("rest-xml", "route53", lambda c: c.list_hosted_zones()),
        ("json", "sqs", lambda c: c.list_queues()),
        ("smithy-rpc-v2-cbor", "cloudwatchomni", lambda c: c.list_access_profiles(spaceId="s")),
    ],
)
def test_boto3_understands_what_we_write(answering, protocol, service, call):
    url = answering(written(protocol, "ServiceUnavailable", MESSAGE, 503, service))
    client = boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
        aws_secret_access_key="made-up",
        config=Config(retries={"total_max_attempts": 1}, inject_host_prefix=False),
    )
    with contextlib.closing(client), pytest.raises(ClientError) as caught:
        call(client)
    assert caught.value.response["Error"]["Code"] == "ServiceUnavailable"
    assert caught.value.response["Error"]["Message"] == MESSAGE
    assert caught.value.response["ResponseMetadata"]["RequestId"] == "request-1"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503


codes = st.from_regex(r"[A-Z][A-Za-z0-9.]{0,60}", fullmatch=True)
messages = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cn", "Co")), max_size=80
).filter(lambda text: "\r" not in text)


@given(protocol=st.sampled_from(PROTOCOLS), code=codes, message=messages)
def test_what_we_write_we_read(protocol, code, message):
    status, headers, body = written(protocol, code, message)
    assert headers["content-length"] == str(len(body))
    assert read(status, headers, body, protocol) == (code, message)


def test_json_error_speaks_the_clients_version():
    spoken = Target("sqs", "sqs.amazonaws.com", "ListQueues", "json", json_version="1.0")
    _, headers, _ = render_error(spoken, OurError("X", ""), "r")
    assert (b"content-type", b"application/x-amz-json-1.0") in headers


@pytest.mark.parametrize(
    ("service", "protocol", "status", "header"),
    [
        ("sqs", "json", 400, "X;Sender"),
        ("sqs", "json", 503, "X;Receiver"),
        ("cloudwatch", "smithy-rpc-v2-cbor", 499, "X;Sender"),
        ("cloudwatch", "json", 500, "X;Receiver"),
        ("cloudwatch", "query", 400, None),
        ("kms", "json", 400, None),
        ("", "json", 400, None),
    ],
)
def test_services_that_spoke_query_once_name_that_code(service, protocol, status, header):
    _, headers, _ = written(protocol, "X", "m", status, service)
    assert headers.get("x-amzn-query-error") == header


def test_who_is_to_blame_is_said():
    assert b"<Type>Sender</Type>" in written("query", "X", "m", 499)[2]
    assert b"<Type>Receiver</Type>" in written("query", "X", "m", 500)[2]


def test_only_s3_answers_with_a_bare_error():
    assert written("rest-xml", "X", "m", service="s3")[2].startswith(b"<Error><Code>X</Code>")
    wrapped = written("rest-xml", "X", "m", service="cloudfront")[2]
    assert wrapped.startswith(b"<ErrorResponse><Error><Type>Sender</Type><Code>X</Code>")


def test_control_characters_leave_xml_well_formed():
    status, headers, body = written("rest-xml", "X", "a\x00b\x1fc")
    assert read(status, headers, body) == ("X", "a?b?c")


@pytest.mark.parametrize(
    ("headers", "body", "code", "message"),
    [
        (
            {"x-amzn-errortype": "ValidationException:http://internal.amazon.com/coral/"},
            b'{"message":"m"}',
            "ValidationException",
            "m",
        ),
        (
            {},
            b'{"__type":"com.amazonaws.sagemaker#ResourceInUse","Message":"m"}',
            "ResourceInUse",
            "m",
        ),
        ({}, b'{"__type":"aws#X:http://example.com/","message":null}', "X", ""),
        ({}, b' {"code":"Throttled","message":"m"}', "Throttled", "m"),
        ({}, b'{"Code":"AccessForbidden","Message":"m"}', "AccessForbidden", "m"),
        (
            {"x-amzn-query-error": "AWS.SimpleQueueService.NonExistentQueue;Sender"},
            b'{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"m"}',
            "AWS.SimpleQueueService.NonExistentQueue",
            "m",
        ),
        (
            {},
            (
                b"<ErrorResponse xmlns='https://iam.amazonaws.com/doc/2010-05-08/'><Error>"
                b"<Type>Sender</Type><Code>NoSuchEntity</Code><Message>m</Message></Error>"
                b"<RequestId>r</RequestId></ErrorResponse>"
            ),
            "NoSuchEntity",
            "m",
        ),
        (
            {},
            b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code><Message>m</Message></Error>",
            "NoSuchKey",
            "m",
        ),
        (
            {},
            (
                b"<Response><Errors><Error><Code>InvalidInstanceID.NotFound</Code>"
                b"<Message>m</Message></Error></Errors></Response>"
            ),
            "InvalidInstanceID.NotFound",
            "m",
        ),
        ({}, b"\xa2\x66__type\x61X\x67message\x61m", "X", "m"),
        ({}, b"\xbf\x66__type\x78\x03Abc\x67message\x79\x00\x01m\xff", "Abc", "m"),
    ],
)
def test_every_form_is_read(headers, body, code, message):
    assert read(400, headers, body) == (code, message)


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (500, b"<!doctype html>\n<html lang=en><title>500</title></html>", "InternalFailure"),
        (
            404,
            b"<!doctype html>\n<html lang=en><title>404</title></html>",
            "UnknownOperationException",
        ),
        (404, b"", "NotFound"),
        (403, b"", "AccessDenied"),
        (418, b"I'm a teapot", "BadRequest"),
        (503, b"upstream connect error", "ServiceUnavailable"),
        (599, b"", "InternalFailure"),
        (400, b'{"__type":"not a code!","message":"m"}', "BadRequest"),
        (400, b'{"__type":7}', "BadRequest"),
        (400, b"[]", "BadRequest"),
        (400, b"{" * 50_000, "BadRequest"),
        (400, b"<!DOCTYPE a [<!ENTITY b 'X'>]><Error><Code>&b;</Code></Error>", "BadRequest"),
        (400, b"\x66__type", "BadRequest"),
        (400, b"\x66__type\x01", "BadRequest"),
    ],
)
def test_what_is_no_aws_error_gets_a_code_by_its_status(status, body, code):
    assert read(status, {}, body) == (code, f"HTTP status {status} without an AWS error.")


def test_a_page_not_found_by_s3_is_no_unknown_operation():
    assert read(404, {}, b"<html></html>", "rest-xml")[0] == "NotFound"


def test_messages_are_cut():
    body = b'{"__type":"X","message":"%s"}'
    assert read(400, {}, body % (b"m" * MESSAGE_CHARS_MAX))[1] == "m" * MESSAGE_CHARS_MAX
    assert read(400, {}, body % (b"m" * (MESSAGE_CHARS_MAX + 1)))[1] == "m" * MESSAGE_CHARS_MAX


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "SignatureDoesNotMatch",
            (
                "The request signature we calculated does not match.\\n\\nThe Canonical String was"
                "\\nx-amz-security-token:TOKEN"
            ),
        ),
        (
            "IncompleteSignatureException",
            "Authorization header requires 'Signature' parameter. Authorization=TOKEN",
        ),
    ],
)
def test_what_a_signature_error_quotes_is_left_out(code, message):
    found = read(403, {}, f'{{"__type":"{code}","message":"{message}"}}'.encode())
    assert found[0] == code
    assert found[1].endswith(".")
    assert "TOKEN" not in found[1]


@given(st.integers(300, 599), st.binary(max_size=200) | st.text(max_size=99).map(str.encode))
def test_nothing_makes_reading_raise(status, body):
    code, message = read(status, {}, body)
    assert code
    assert len(message) <= MESSAGE_CHARS_MAX
