# SPDX-License-Identifier: Apache-2.0
"""The order of system calls: fdatasync has returned before the first byte of a reply is sent."""

import re
import shutil
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support.aws_clients import Key
from support.server import OpenTrail

from opentrail.sandbox.process import start_sandbox

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")

TRACED = "fdatasync,fsync,write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg"
LINE = re.compile(r"^\d+ +(?P<call>\w+)\(\d+<(?P<file>(?:->|[^>])*)>(?P<rest>.*)$")
RESUMED = re.compile(r"^(?P<thread>\d+) +<\.\.\. (?P<call>\w+) resumed>.* = (?P<result>-?\d+)")
CALLER = Key("AKIAQAAAAAAAAAAAAAAA", "not-a-real-secret")
CLOSED_PORT = "http://127.0.0.1:9"
NAME = "churn"
STACKS = {"CloudFormation": {"StackNames": ["shop"]}}

CALLS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("sagemaker", "create_model", {"ModelName": NAME}),
    ("sagemaker", "create_model", {"ModelName": NAME}),
    ("sagemaker", "list_models", {}),
    ("sagemaker", "describe_model", {"ModelName": "nowhere"}),
    (
        "sagemaker-featurestore-runtime",
        "get_record",
        {"FeatureGroupName": "nowhere", "RecordIdentifierValueAsString": "1"},
    ),
    ("sagemaker-runtime", "invoke_endpoint", {"EndpointName": "nowhere", "Body": b"{}"}),
    ("personalize", "create_dataset_group", {"name": NAME}),
    (
        "devops-guru",
        "update_resource_collection",
        {"Action": "ADD", "ResourceCollection": STACKS},
    ),
    ("sqs", "list_queues", {}),
    ("cloudtrail", "lookup_events", {}),
)
"""Calls that succeed and that fail, of management and of data, of nobody and of OpenTrail itself."""


class Traced(OpenTrail):
    """A server whose system calls are written down; the tracer is not its parent."""

    @property
    def trace(self):
        return self.data.with_name("trace")

    def command(self):
        flags = ["-D", "-f", "-yy", "-s", "16", "-e", f"trace={TRACED}", "-o", str(self.trace)]
        return ["strace", *flags, *super().command()]


def parse(text, port):
    """Return in order: "append" and "synced" when they have returned, "reply" when it begins."""
    happened = []
    waiting: dict[str, str] = {}
    for line in text.splitlines():
        resumed = RESUMED.match(line)
        if resumed is not None:
            kind = waiting.pop(resumed["thread"], "")
            if kind and int(resumed["result"]) >= 0:
                happened.append(kind)
            continue
        found = LINE.match(line)
        if found is None:
            continue
        kind = kind_of(found["call"], found["file"], found["rest"], port)
        if kind == "reply":
            happened.append(kind)
        elif kind and line.endswith("<unfinished ...>"):
            waiting[line.split(" ", 1)[0]] = kind
        elif kind and int(line.rsplit(" = ", 1)[1].split(" ")[0]) >= 0:
            happened.append(kind)
    return happened


def kind_of(call, file, rest, port):
    if file.endswith(".seg"):
        return "synced" if "sync" in call else "append"
    if f"127.0.0.1:{port}->" in file and '"HTTP/1.1 ' in rest:
        return "reply"
    return ""


@pytest.fixture(scope="module")
def happened(tmp_path_factory):
    """Make the calls one after the other; return what the server did for each of them."""
    data = tmp_path_factory.mktemp("order") / "data"
    with start_sandbox() as sandbox:
        nobody = f"sqs={CLOSED_PORT}"
        server = Traced(data, "--upstream", nobody, upstream=sandbox.url)
        with server:
            for service, operation, members in CALLS:
                key = server.admin if service == "cloudtrail" else CALLER
                with suppress(ClientError):
                    getattr(server.client(service, key), operation)(**members)
            recorded = len(server.events())
        port = server.endpoint.rpartition(":")[2]
        return recorded, parse(server.trace.read_text(), port)


def test_every_call_is_recorded_and_answered(happened):
    recorded, order = happened
    assert recorded == len(CALLS)
    assert order.count("reply") == len(CALLS)
    assert order.count("append") >= len(CALLS)


def test_the_record_is_synced_before_the_reply_begins(happened):
    _, order = happened
    since = 0
    for service, operation, _ in CALLS:
        reply = order.index("reply", since)
        steps = order[since:reply]
        assert "append" in steps, (service, operation)
        last_append = len(steps) - 1 - steps[::-1].index("append")
        assert "synced" in steps[last_append:], (service, operation)
        since = reply + 1


def test_the_parser_sees_a_reply_that_comes_too_early():
    log, client = "/data/log/0.seg", "TCP:[127.0.0.1:4540->127.0.0.1:9]"
    text = f"""\
7 pwrite64(5<{log}>, "..."..., 300, 4096) = 300
7 fdatasync(5<{log}> <unfinished ...>
6 sendto(9<{client}>, "HTTP/1.1 200 OK\\r"..., 80, 0, NULL, 0) = 80
7 <... fdatasync resumed>) = 0
7 fdatasync(5<{log}>) = -1 EIO (Input/output error)
6 write(9<TCP:[127.0.0.1:9->127.0.0.1:4540]>, "HTTP/1.1 200"..., 80) = 80
"""
    assert parse(text, "4540") == ["append", "reply", "synced"]
