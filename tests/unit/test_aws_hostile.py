# SPDX-License-Identifier: Apache-2.0
"""Real calls and answers, damaged in any way, are read without an error, fast, and within bounds."""

import functools
import json
import random
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.aws_answers import answer
from support.aws_requests import request, sample, scope, service_model

from opentrail.aws import form, xmlbody
from opentrail.aws.address import addressed
from opentrail.aws.model import operation as model_of
from opentrail.aws.protocol import error_of, render_error, request_members, response_members
from opentrail.aws.request import RequestHead, Target
from opentrail.aws.route import FORM_FIELDS_MAX, identify, parse_credential
from opentrail.errors import ClientError
from opentrail.event.caps import BODY_KEPT_MAX

SERVICES = (
    ("cloudfront", "rest-xml"),
    ("cloudwatch", "json"),
    ("cloudwatch", "query"),
    ("cloudwatch", "smithy-rpc-v2-cbor"),
    ("devops-guru", "rest-json"),
    ("dynamodb", "json"),
    ("iam", "query"),
    ("lambda", "rest-json"),
    ("route53", "rest-xml"),
    ("s3", "rest-xml"),
    ("sagemaker-featurestore-runtime", "rest-json"),
    ("sqs", "json"),
    ("sts", "query"),
)
SLOWEST_S = 3.0
"""For the longest body that is kept: ten times what the slowest takes on a slow machine, and far
below what anything that grows with the square of the length would take."""


@functools.cache
def calls(service: str, protocol: str) -> list[tuple[str, RequestHead, bytes, Any]]:
    """Return for every operation: name, head and body of a full call, and a full answer."""
    model = service_model(service)
    found = []
    for name in model.operation_names:
        made = model.operation_model(name)
        params = sample(made.input_shape, random.Random(5), full=True)
        head, body = request(made, params, protocol, authorization=scope(model.signing_name))
        shape = made.output_shape
        answered = None
        if shape is not None and not made.has_event_stream_output:
            answered = answer(made, sample(shape, random.Random(5), full=True), protocol)
        found.append((name, head, body, answered))
    return found


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Cut, swap, repeat, insert and flip a few bytes."""
    for _ in range(rng.randrange(1, 5)):
        at, end = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
        odd = rng.choice(
            (b"\0", b"\xff", b"{", b"[", b"<", b"&", b"=", b".", b"%", b"\x9f", b"\xbf")
        )
        data = rng.choice(
            (
                data[:at] + odd + data[at:],
                data[:at] + data[end:],
                data[:end] + data[at:],
                data[:at] + rng.randbytes(end - at) + data[end:],
                data[:at],
                data[:at] + odd * rng.randrange(300) + data[at:],
            )
        )
    return data


def damaged_text(text: str, rng: random.Random) -> str:
    return damaged(text.encode("latin-1", "replace"), rng).decode("latin-1")


@settings(max_examples=700, deadline=None)
@given(st.sampled_from(SERVICES), st.integers(0, 2**64))
def test_damaged_calls(picked, seed):
    rng = random.Random(seed)
    service, protocol = picked
    name, head, body, _ = rng.choice(calls(service, protocol))
    if rng.random() < 0.5:
        path, query = damaged_text(head.path, rng), damaged_text(head.query, rng)
        headers = {
            key: damaged_text(value, rng) if rng.random() < 0.2 else value
            for key, value in head.headers.items()
        }
        head = RequestHead(rng.choice((head.method, "GET", "POST")), path, query, headers)
    body = damaged(body, rng)
    credential = parse_credential(head)
    address = addressed(head, credential, "aws.example.org")
    found = identify(address.head, credential, body, address.service)
    for target in (found, Target(service, "", name, protocol)):
        model = model_of(target)
        if model is not None:
            msgspec.json.encode(request_members(model, address.head, body))
        status, headers_sent, written = render_error(target, ClientError("X", "m", 400), "r")
        assert error_of(target, status, text_of(headers_sent), written) == ("X", "m")


def text_of(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in headers}


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(SERVICES), st.integers(0, 2**64))
def test_damaged_answers(picked, seed):
    rng = random.Random(seed)
    service, protocol = picked
    name, _, _, answered = rng.choice([call for call in calls(service, protocol) if call[3]])
    status, headers, body = answered
    model = model_of(Target(service, "", name, protocol))
    assert model is not None
    body = damaged(body, rng)
    found = response_members(model, status, headers, body)
    json.loads(msgspec.json.encode(found))
    code, _ = error_of(Target(service, "", name, protocol), 500, headers, body)
    assert code


CONTAINERS = Target("sagemaker", "", "CreateModel", "json")
METRICS = Target("cloudwatch", "", "PutMetricData", "smithy-rpc-v2-cbor")
RULES = Target("s3", "", "PutBucketLifecycleConfiguration", "rest-xml")
INSTANCES = Target("ec2", "", "RunInstances", "ec2")
TAGS = Target("rds", "", "CreateDBInstance", "query")


def filled(start: bytes, unit: bytes, end: bytes) -> bytes:
    return start + unit * ((BODY_KEPT_MAX - len(start) - len(end)) // len(unit)) + end


def numbered(form_of: Callable[[int], bytes], count: int) -> bytes:
    return b"&".join(map(form_of, range(count)))[:BODY_KEPT_MAX]


@pytest.mark.parametrize(
    ("target", "body"),
    [
        (CONTAINERS, filled(b'{"Containers":[', b"{},", b"{}]}")),
        (CONTAINERS, filled(b"", b'{"Containers":[', b"")),
        (CONTAINERS, filled(b"{", b'"a":0,', b'"a":0}')),
        (CONTAINERS, filled(b'{"ModelName":', b"9", b"}")),
        (METRICS, filled(b"\xbf\x6aMetricData\x9f", b"\xa0", b"\xff\xff")),
        (METRICS, filled(b"\xbf\x6aMetricData\x9f", b"\xc1" * 40 + b"\x01", b"\xff\xff")),
        (METRICS, filled(b"\xbf\x6aMetricData\x5f", b"\x40", b"\xff\xff")),
        (METRICS, filled(b"", b"\x9f", b"")),
        (RULES, filled(b"<L>", b"<Rule/>", b"</L>")),
        (RULES, filled(b"<L><Rule><ID>", b"a<!---->&lt;", b"</ID></Rule></L>")),
        (RULES, filled(b"<L>", b"<a>" * 60 + b"</a>" * 60, b"</L>")),
        (RULES, filled(b"<L>", b"<a>", b"")),
        (RULES, b"<L " + b" ".join(b'a%d=""' % n for n in range(25_000)) + b"/>"),
        (INSTANCES, numbered(lambda n: b"NetworkInterface.%d.A=1" % n, 10_000)),
        (INSTANCES, numbered(lambda n: b"A." * 31 + b"%d=1" % n, 4_000)),
        (INSTANCES, filled(b"", b"&", b"")),
        (INSTANCES, filled(b"", b".", b"")),
        (INSTANCES, filled(b"A=", b"%41", b"")),
        (TAGS, numbered(lambda n: b"Tags.Tag.%d.Key=1" % n, 10_000)),
    ],
    ids=range(19),
)
def test_the_worst_bodies_take_no_longer_than_their_length(target, body):
    model = model_of(target)
    assert model is not None
    method = "PUT" if target.service == "s3" else "POST"
    head = RequestHead(method, "/b", "lifecycle", {"content-type": "application/octet-stream"})
    began = time.perf_counter()
    identify(head, None, body)
    found = request_members(model, head, body)
    msgspec.json.encode(found)
    error_of(target, 400, {}, body)
    assert time.perf_counter() - began < SLOWEST_S


def test_forms_have_bounds():
    model = model_of(TAGS)
    assert model is not None
    head = RequestHead("POST", "/", "", {})
    body = b"&".join(b"Tags.Tag.%d.Key=1" % n for n in range(1, form.FIELDS_MAX + 1))
    found: Any = request_members(model, head, body)
    assert len(found["Tags"]) == form.FIELDS_MAX
    assert request_members(model, head, body + b"&") is None
    name = b"A." * (form.DEPTH_MAX - 1) + b"A=1"
    tree: Any = {}
    form._plant(tree, name.partition(b"=")[0].decode().split("."), "1")
    assert tree
    tree = {}
    form._plant(tree, ("A." + name.partition(b"=")[0].decode()).split("."), "1")
    assert not tree


def test_xml_has_bounds():
    levels = xmlbody.DEPTH_MAX
    assert xmlbody.parse(b"<a>" * levels + b"</a>" * levels) is not None
    assert xmlbody.parse(b"<a>" * (levels + 1) + b"</a>" * (levels + 1)) is None
    assert xmlbody.parse(filled(b"<a>", b"x", b"</a>")) is not None
    assert xmlbody.parse(b"<a>" + b"x" * xmlbody.BYTES_MAX + b"</a>") is None


FORM = {"content-type": "application/x-www-form-urlencoded"}


def test_an_encoded_name_is_looked_for_up_to_a_bound():
    head = RequestHead("POST", "/", "", FORM)
    wanted = b"&%41ction=GetCallerIdentity&Version=2011-06-15"
    for before, name in ((FORM_FIELDS_MAX - 2, "GetCallerIdentity"), (FORM_FIELDS_MAX, "")):
        body = b"&".join([b"a=1"] * before) + wanted
        assert identify(head, None, body).operation == name
