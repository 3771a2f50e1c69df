# SPDX-License-Identifier: Apache-2.0
"""Requests and answers with a recognisable secret wherever the models (or we) say there is one."""

import datetime as dt
import json
import random
from collections.abc import Mapping
from typing import Any

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape
from support import aws_requests

from opentrail.aws.request import RequestHead

SECRET = "S3CRET"
NESTING_MAX = 6
FAMILIES = (
    "sagemaker",
    "sagemaker-a2i-runtime",
    "sagemaker-edge",
    "sagemaker-featurestore-runtime",
    "sagemaker-gateway-runtime",
    "sagemaker-inference-router-runtime",
    "sagemaker-metrics",
    "sagemaker-runtime",
    "sagemakerjobruntime",
    "sagemakertrainingsessionruntime",
    "personalize",
    "personalize-events",
    "personalize-runtime",
    "devops-guru",
)
BEARER = frozenset(
    (
        "AuthToken",
        "AuthorizedUrl",
        "MasterUserPassword",
        "Password",
        "PreSignedUrl",
        "SessionToken",
        "StreamUrl",
        "TokenValue",
    )
)
"""Members, some without a trait, that let in whoever has them."""
FEATURE_VALUES = frozenset(("ValueAsString", "ValueAsStringList"))
WHEN = dt.datetime(2023, 7, 10, 12, 27, 45, tzinfo=dt.UTC)


class Filled:
    """Fills shapes; what must never be recorded contains SECRET."""

    def __init__(self, rng: random.Random, *, full: bool) -> None:
        self._rng = rng
        self._full = full

    def params(self, operation: OperationModel) -> dict[str, Any]:
        shape = operation.input_shape
        value = self.value(shape) if shape is not None else {}
        assert isinstance(value, dict)
        return value

    def answer(self, operation: OperationModel) -> bytes:
        """A JSON body of the operation's output (blobs as base64 text)."""
        shape = operation.output_shape
        if shape is None:
            return b""
        return json.dumps(self.value(shape), default=_json).encode()

    def value(self, shape: Shape, depth: int = 0, *, secret: bool = False) -> Any:
        secret = secret or bool(shape.metadata.get("sensitive"))
        if isinstance(shape, StructureShape):
            return self._structure(shape, depth, secret=secret)
        if isinstance(shape, ListShape):
            count = 0 if depth >= NESTING_MAX else 1
            return [self.value(shape.member, depth + 1, secret=secret) for _ in range(count)]
        if isinstance(shape, MapShape):
            key = secret or bool(shape.key.metadata.get("sensitive"))
            text = SECRET if key else "key"
            return {text: self.value(shape.value, depth + 1, secret=secret)}
        return self._scalar(shape, secret=secret)

    def _structure(self, shape: StructureShape, depth: int, *, secret: bool) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, member in shape.members.items():
            if member.serialization.get("eventstream") or depth >= NESTING_MAX:
                continue
            required = name in shape.required_members
            if required or self._full or self._rng.random() < 0.4:
                bearer = name in BEARER or name in FEATURE_VALUES
                found[name] = self.value(member, depth + 1, secret=secret or bearer)
        return found

    def _scalar(self, shape: Shape, *, secret: bool) -> Any:
        plain: dict[str, Any] = {
            "blob": SECRET.encode(),
            "timestamp": WHEN,
            "integer": 7,
            "long": 7,
            "float": 0.5,
            "double": 0.5,
            "boolean": self._rng.random() < 0.5,
        }
        return plain.get(shape.type_name, SECRET if secret else "plain")


def _json(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode()
    assert isinstance(value, dt.datetime)
    return value.timestamp()


def sent(operation: OperationModel, params: Mapping[str, Any]) -> tuple[RequestHead, bytes]:
    """The request as a client sends it, its credentials secret too."""
    protocol = str(operation.service_model.metadata["protocol"])
    return aws_requests.request(
        operation,
        params,
        protocol,
        authorization=f"AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE, Signature={SECRET}",
        **{"x-amz-security-token": SECRET},
    )


def all_operations() -> list[tuple[str, str]]:
    return [
        (service, name)
        for service in FAMILIES
        for name in aws_requests.service_model(service).operation_names
    ]
