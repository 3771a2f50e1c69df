# SPDX-License-Identifier: Apache-2.0
"""What recording adds to a call, alone and hot: all of the gateway between the parsed request and the answer.

The signature checked, service, operation and caller named, a slot claimed, the record built; no HTTP, no
log, an upstream that answers at once. In a busy process the same work costs about twice that: caches.
"""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from bench.gateway import BODY, admin_key
from bench.machine import spread_percent
from opentrail.aws.request import Credential
from opentrail.capture.arrival import Arrival, RequestBody, arrive
from opentrail.capture.call import Call
from opentrail.capture.channel import Answer
from opentrail.capture.gateway import Gateway
from opentrail.capture.headers import Headers
from opentrail.capture.reply import Client
from opentrail.capture.stream import Stream
from opentrail.capture.upstream import Upstreams, UpstreamSettings
from opentrail.clock import SystemClock, SystemIds
from opentrail.config import load
from opentrail.eventlog.base import Draft
from opentrail.front.process import Front
from opentrail.memory import settle

URL = "http://127.0.0.1:4540/"
CALLS = 3000
WARM_UP = 1000
FORM = b"Action=CreateUser&Version=2010-05-08&UserName=bench&Path=%2Fteam%2F"
CREATED = (
    b'<CreateUserResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><CreateUserResult>'
    b"<User><Path>/team/</Path><UserName>bench</UserName><UserId>AIDACKCEVSQ6C2EXAMPLE</UserId>"
    b"<Arn>arn:aws:iam::123456789012:user/team/bench</Arn><CreateDate>2026-01-01T00:00:00Z"
    b"</CreateDate></User></CreateUserResult><ResponseMetadata><RequestId>6b1b42b9-0c5a-4c5e-9d0e"
    b"-1f2e3d4c5b6a</RequestId></ResponseMetadata></CreateUserResponse>"
)
JSON = (
    "sagemaker",
    BODY,
    {"X-Amz-Target": "SageMaker.CreateModel", "Content-Type": "application/x-amz-json-1.1"},
    b'{"ModelArn":"arn:aws:sagemaker:us-east-1:123456789012:model/bench"}',
)
XML = (
    "iam",
    FORM,
    {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
    CREATED,
)
CASES = {"JSON: CreateModel": JSON, "query and XML: CreateUser": XML}


class AtOnce(Upstreams):
    """An upstream that has answered already."""

    def __init__(self, answer: bytes) -> None:
        super().__init__({"default": UpstreamSettings(URL)}, connect_timeout_s=1, timeout_s=1)
        self._answer = answer
        self._head: Headers = [(b"content-length", b"%d" % len(answer))]

    async def send(
        self,
        upstream: UpstreamSettings,
        method: str,
        raw_target: str,
        headers: Headers,
        body: bytes | AsyncIterator[bytes] | None,
    ) -> Answer:
        """Answer."""
        del upstream, method, raw_target, headers, body
        return Answer(200, self._head, self._answer)


class NoApi:
    """CloudTrail's own API, which nobody calls here."""

    async def answer(self, call: Call, credential: Credential | None, body: bytes) -> Answer:
        """Fail."""
        raise AssertionError(call, credential, body)


class Nobody:
    """A client that does not look."""

    def answer(self, status: int, headers: Headers, body: bytes, *, last: bool = False) -> None:
        """Take the answer."""


async def appended(drafts: Sequence[Draft]) -> Sequence[int]:
    """Take records."""
    return [len(draft.data) for draft in drafts]


def signed(case: tuple[str, bytes, dict[str, str], bytes], key: tuple[str, str]) -> Headers:
    """Return the headers of one call, as botocore signs it."""
    service, body, headers, _ = case
    request = AWSRequest("POST", URL, data=body, headers=headers)
    SigV4Auth(Credentials(*key), service, "us-east-1").add_auth(request)
    sent = [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]
    sent += [(b"host", b"127.0.0.1:4540"), (b"content-length", b"%d" % len(body))]
    return [*sent, (b"user-agent", b"Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux")]


async def once(gateway: Gateway, headers: Headers, body: bytes) -> None:
    """Handle one call."""
    stream = Stream(asyncio.ReadTransport())
    stream.feed(body)
    stream.end()
    request = RequestBody(stream, len(body))
    request.begin()
    arrival: Arrival = arrive(("POST", "/", ""), headers, "127.0.0.1", ())
    await gateway.handle(arrival, request, cast(Client, Nobody()))


def drive(work: Coroutine[Any, Any, None]) -> None:
    """Run what never waits, without a loop."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("it waited")


def measure(work: Callable[[], Coroutine[Any, Any, None]], calls: int) -> float:
    """Return the microseconds of processor time of one call."""
    begin = time.process_time()
    for _ in range(calls):
        drive(work())
    return (time.process_time() - begin) / calls * 1e6


def run(directory: Path, rounds: int, seconds: float) -> None:
    """Measure and print."""
    data = directory / "audit"
    settings = load(None, {}, {"data": str(data), "upstream.default.url": URL})
    front = Front(settings, "127.0.0.1:4540", SystemClock(), SystemIds())
    key = admin_key(data)
    settle()  # as the process does before it takes calls
    calls = max(10, int(CALLS * min(1.0, seconds)))
    print(f"\naudit: hot, without HTTP and log\n  {'':28}{'CPU us':>9}{'best':>9}{'spread':>8}")
    for name, case in CASES.items():
        handled = partial(
            once,
            front.gateway(AtOnce(case[3]), appended, NoApi()),
            signed(case, key),
            case[1],
        )
        measure(handled, min(calls, WARM_UP))
        took = [measure(handled, calls) for _ in range(rounds)]
        spread = spread_percent(took)
        print(f"  {name:28}{statistics.median(took):9.1f}{min(took):9.1f}{spread:7.0f}%")
    front.close()
