# SPDX-License-Identifier: Apache-2.0
"""Calls as the gateway would hand them over: a request, its answer, a caller."""

import json
from dataclasses import dataclass, field
from typing import Any

import msgspec
from support import aws_requests

from opentrail.aws.request import RequestHead, Target
from opentrail.capture.build import BuildSettings, Built, build
from opentrail.capture.call import EMPTY, Body, Call, Caller, Outcome
from opentrail.event.caps import BODY_KEPT_MAX

ACCOUNT = "123456789012"
REGION = "us-east-1"
EVENT_ID = "0f2b3e81-0000-4000-8000-000000000001"
FINISHED_MS = 1_672_534_800_999
"""2023-01-01T01:00:00.999Z."""

USER = {
    "type": "IAMUser",
    "principalId": "AIDACKCEVSQ6C2EXAMPLE",
    "arn": f"arn:aws:iam::{ACCOUNT}:user/intern",
    "accountId": ACCOUNT,
    "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
    "userName": "intern",
}

PROTOCOLS = {
    "sagemaker": "json",
    "personalize": "json",
    "sts": "query",
    "kms": "json",
    "ec2": "ec2",
    "sns": "query",
    "s3": "rest-xml",
}


def caller(**changes: Any) -> Caller:
    identity = msgspec.Raw(msgspec.json.encode(changes.pop("identity", USER)))
    return Caller(
        **{
            "user_identity": identity,
            "account": ACCOUNT,
            "region": REGION,
            "verified": True,
            **changes,
        }
    )


def body(data: bytes) -> Body:
    """A body as the gateway keeps it: the first BODY_KEPT_MAX bytes."""
    return Body(data[:BODY_KEPT_MAX], len(data))


@dataclass
class Made:
    """What a test says about a call; the rest has plain values."""

    service: str
    operation: str
    params: Any = None
    answer: Any = None
    status: int = 200
    path: str = "/"
    method: str = "POST"
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    source: str = ""
    protocol: str = ""
    more: dict[str, Any] = field(default_factory=dict)

    def call(self) -> Call:
        source = self.source or event_source(self.service)
        protocol = self.protocol or PROTOCOLS.get(self.service, "rest-json")
        return Call(
            **{
                "event_id": EVENT_ID,
                "target": Target(self.service, source, self.operation, protocol),
                "head": RequestHead(self.method, self.path, self.query, self.headers),
                "caller": caller(),
                "source_ip": "192.0.2.0",
                "user_agent": "Boto3/1.42",
                "finished_ms": FINISHED_MS,
                "outcome": Outcome.ANSWERED,
                "request": encoded(self.params),
                "status": self.status,
                "response": encoded(self.answer),
                "response_headers": {"x-amzn-requestid": "request-id"},
                **self.more,
            }
        )

    def record(self, settings: BuildSettings | None = None) -> dict[str, Any]:
        """The record of the call, parsed."""
        return record_of(self.call(), settings)


def called(
    service: str,
    operation: str,
    params: dict[str, Any],
    answer: bytes | None = None,
    **more: Any,
) -> dict[str, Any]:
    """The record of a call as botocore sends it; ``more`` is Call's fields, and
    ``request_headers``."""
    model = aws_requests.service_model(service)
    protocol = str(model.resolved_protocol)
    headers = {"host": "h.example", **more.pop("request_headers", {})}
    of = model.operation_model(operation)
    head, request = aws_requests.request(of, params, protocol, **headers)
    made = Made(service, operation, request, answer, protocol=protocol, more={"head": head, **more})
    return made.record()


def encoded(value: Any) -> Body:
    if value is None:
        return EMPTY
    return body(value if isinstance(value, bytes) else json.dumps(value).encode())


def event_source(service: str) -> str:
    if service == "sagemaker-metrics":
        return "metrics-sagemaker.amazonaws.com"
    return (
        service.partition("-")[0] + ".amazonaws.com"
        if service.startswith(("sagemaker", "personalize"))
        else f"{service}.amazonaws.com"
    )


def record_of(call: Call, settings: BuildSettings | None = None) -> dict[str, Any]:
    built = build(call, settings or BuildSettings())
    assert isinstance(built, Built)
    assert b"\n" not in built.data
    assert built.event_id == call.event_id
    record = json.loads(built.data)
    assert isinstance(record, dict)
    assert built.category == record["eventCategory"]
    return record
