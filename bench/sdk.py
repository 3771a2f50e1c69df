# SPDX-License-Identifier: Apache-2.0
"""What the SDK costs a call: a service with and without its middleware, botocore with the plugin.

Everything runs in this process, without a network: what is left is the work itself.
"""

import asyncio
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from fastapi import FastAPI
from flask import Flask, request
from werkzeug.test import create_environ, run_wsgi_app

from bench.machine import spread_percent
from opentrail.sdk import Recorder
from opentrail.sdk.asgi import AuditMiddleware
from opentrail.sdk.botocore import instrument
from opentrail.sdk.posting import Delivered
from opentrail.sdk.spool import Batch
from opentrail.sdk.wsgi import init_app

BODY = json.dumps(
    {"orderId": "o-1", "items": [{"sku": "a", "count": 2}], "note": "x" * 40}
).encode()
CALLS_AT_ONCE = 200
"""Calls between two looks at the clock."""


class Sink:
    """A way to no server."""

    def __call__(self, batch: Batch) -> Delivered:
        """Take everything."""
        return Delivered(len(batch), 0, ())

    def close(self) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Subject:
    """Something that is called again and again, and what it is held against."""

    name: str
    call: Callable[[], object]
    against: str
    goal_us: float = 0.0


def _recorder() -> Recorder:
    return Recorder("orders.example.com", post=Sink())


def _fastapi(*, audited: bool) -> Callable[[], object]:
    app = FastAPI()

    @app.post("/orders/{tenant}", operation_id="CreateOrder")
    async def create_order(tenant: str, order: dict[str, Any]) -> dict[str, Any]:
        return {"orderId": order["orderId"], "tenant": tenant}

    wrapped: Any = AuditMiddleware(app, _recorder()) if audited else app
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(BODY)),
        (b"user-agent", b"bench"),
    ]
    loop = asyncio.new_event_loop()

    async def one() -> None:
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": "/orders/acme",
            "raw_path": b"/orders/acme",
            "query_string": b"dry=1",
            "headers": headers,
            "client": ("192.0.2.1", 1),
            "server": ("localhost", 80),
            "scheme": "http",
        }
        await wrapped(scope, _receive, _send)

    async def many() -> None:
        for _ in range(CALLS_AT_ONCE):
            await one()

    return lambda: loop.run_until_complete(many())


async def _receive() -> dict[str, object]:
    return {"type": "http.request", "body": BODY, "more_body": False}


async def _send(message: object) -> None:
    del message


def _flask(*, audited: bool) -> Callable[[], object]:
    app = Flask("orders")

    @app.post("/orders/<tenant>")
    def create_order(tenant: str) -> dict[str, str]:
        return {"orderId": request.get_json()["orderId"], "tenant": tenant}

    if audited:
        init_app(app, _recorder())

    def many() -> None:
        for _ in range(CALLS_AT_ONCE):
            environ = create_environ(
                "/orders/acme",
                query_string="dry=1",
                method="POST",
                data=BODY,
                content_type="application/json",
            )
            run_wsgi_app(app.wsgi_app, environ, buffered=True)

    return many


def _botocore(*, audited: bool) -> Callable[[], object]:
    session = botocore.session.Session()
    session.set_credentials("AKIAQAAAAAAAAAAAAAAA", "not-a-secret")
    client: Any = session.create_client(
        "sagemaker",
        region_name="us-east-1",
        endpoint_url="http://127.0.0.1:1",
        config=Config(retries={"mode": "standard"}),
    )
    answer = b'{"ModelArn":"arn:aws:sagemaker:us-east-1:123456789012:model/m"}'

    def answered(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        headers: Any = {"x-amzn-RequestId": "1"}
        response = AWSResponse(request.url, 200, headers, None)
        vars(response)["_content"] = answer
        return response

    client.meta.events.register("before-send", answered)
    if audited:
        instrument(client, recorder=_recorder())

    def many() -> None:
        for _ in range(CALLS_AT_ONCE):
            client.create_model(
                ModelName="m",
                ExecutionRoleArn="arn:aws:iam::123456789012:role/r",
                PrimaryContainer={"Image": "kmeans:latest", "Environment": {"A": "b"}},
            )

    return many


def _subjects() -> tuple[Subject, ...]:
    return (
        Subject("FastAPI", _fastapi(audited=False), "FastAPI"),
        Subject("FastAPI, audited", _fastapi(audited=True), "FastAPI", 30.0),
        Subject("Flask", _flask(audited=False), "Flask"),
        Subject("Flask, audited", _flask(audited=True), "Flask", 30.0),
        Subject("botocore", _botocore(audited=False), "botocore"),
        Subject("botocore, audited", _botocore(audited=True), "botocore", 60.0),
    )


@dataclass(frozen=True)
class Figures:
    """Processor time of a call, in microseconds."""

    call_us: float
    """Of the thread that makes it."""
    sender_us: float
    """Of the thread that sends records, for one."""


def _measured(subject: Subject, seconds: float) -> Figures:
    calls = 0
    until = time.perf_counter() + seconds
    began, began_all = time.thread_time(), time.process_time()
    while calls == 0 or time.perf_counter() < until:
        subject.call()
        calls += CALLS_AT_ONCE
    took, took_all = time.thread_time() - began, time.process_time() - began_all
    return Figures(took / calls * 1e6, max(took_all - took, 0.0) / calls * 1e6)


def run(directory: Path, rounds: int, seconds: float) -> None:
    """Measure and print."""
    del directory
    subjects = _subjects()
    figures: dict[str, list[Figures]] = {subject.name: [] for subject in subjects}
    for _ in range(rounds):
        for subject in subjects:
            figures[subject.name].append(_measured(subject, seconds))
    print("\nsdk: processor time of a call")
    print(f"  {'':24}{'us':>9}{'spread':>8}{'added us':>10}{'goal':>7}{'sender us':>11}")
    for subject in subjects:
        took = [each.call_us for each in figures[subject.name]]
        line = f"  {subject.name:24}{statistics.median(took):9.1f}{spread_percent(took):7.0f}%"
        if subject.goal_us:
            plain = [each.call_us for each in figures[subject.against]]
            added = statistics.median(mine - other for mine, other in zip(took, plain, strict=True))
            sender = statistics.median(each.sender_us for each in figures[subject.name])
            line += f"{added:10.1f}{subject.goal_us:7.0f}{sender:11.1f}"
        print(line)
