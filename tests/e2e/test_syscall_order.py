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

TRACED = "io_getevents,fdatasync,fsync,write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg"
KERNEL_SYNCED = re.compile(r"^\d+ +io_getevents\(.*\bres=0, .* = 1$")
"""The kernel's own asynchronous I/O: only the log uses it, and only for fdatasync."""
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
    waiting: dict[str, str] = {}
    return [kind for line in text.splitlines() if (kind := parse_line(line, port, waiting))]


def parse_line(line, port, waiting):
    """Return what has happened with ``line``; ``waiting`` has what each thread has begun."""
    if KERNEL_SYNCED.match(line):
        return "synced"
    resumed = RESUMED.match(line)
    if resumed is not None:
        kind = waiting.pop(resumed["thread"], "")
        return kind if int(resumed["result"]) >= 0 else ""
    found = LINE.match(line)
    kind = kind_of(found["call"], found["file"], found["rest"], port) if found else ""
    if kind and kind != "reply" and line.endswith("<unfinished ...>"):
        waiting[line.split(" ", 1)[0]] = kind
        return ""
    failed = kind != "reply" and " = -1 " in line
    return "" if failed else kind


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


def test_the_parser_sees_the_kernels_own_syncs():
    event = "[{data=0, obj=0x7f26e4c3a2f0, res=%s, res2=0}]"
    for result, happened in (("0", ["synced"]), ("-5", [])):
        line = f"6 io_getevents(0x7f26f0a3d000, 1, 1, {event % result}, NULL) = 1"
        assert parse(line, "4540") == happened
