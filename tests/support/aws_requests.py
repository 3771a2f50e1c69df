# SPDX-License-Identifier: Apache-2.0
"""Requests and answers as botocore makes them, for every operation of its models: the oracle."""

import datetime
import functools
import random
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.awsrequest import AWSRequest
from botocore.loaders import Loader
from botocore.model import (
    ListShape,
    MapShape,
    OperationModel,
    ServiceModel,
    Shape,
    StringShape,
    StructureShape,
)
from botocore.serialize import create_serializer

from opentrail.aws.request import RequestHead

NESTING_MAX = 4
"""Structures inside structures that are filled; some models never end."""
TEXT = "abcXYZ019 -_/äé+%&=:"
WHEN = datetime.datetime(2023, 7, 10, 12, 27, 45, tzinfo=datetime.UTC)


@functools.cache
def service_names() -> list[str]:
    return sorted(Loader().list_available_services("service-2"))


@functools.cache
def service_model(name: str) -> ServiceModel:
    return load_model(name)


def load_model(name: str) -> ServiceModel:
    """Load without keeping: all models together take 500 MB."""
    return ServiceModel(Loader().load_service_model(name, "service-2"), name)


def operations(model: ServiceModel) -> Iterator[OperationModel]:
    for name in model.operation_names:
        yield model.operation_model(name)


def sample(shape: Shape | None, rng: random.Random, *, full: bool, depth: int = 0) -> Any:
    """Make a value for ``shape``: all members (``full``) or the required ones alone."""
    if shape is None:
        return {}
    if isinstance(shape, StructureShape):
        return _structure(shape, rng, full=full, depth=depth)
    if isinstance(shape, ListShape):
        if depth >= NESTING_MAX:
            return []
        if shape.serialization.get("location") == "header":
            return ["one", "two"]
        return [sample(shape.member, rng, full=full, depth=depth + 1) for _ in range(2)]
    if isinstance(shape, MapShape):
        if depth >= NESTING_MAX:
            return {}
        return {f"key{n}": sample(shape.value, rng, full=full, depth=depth + 1) for n in range(2)}
    return _scalar(shape, rng)


def _structure(shape: StructureShape, rng: random.Random, *, full: bool, depth: int) -> Any:
    if shape.is_document_type:
        return {"Any": [1, 2.5, None, {"deep": "value"}]}
    found = {}
    names = shape.members if full and depth < NESTING_MAX else shape.required_members
    if shape.is_tagged_union:
        # One must be set, however deep; a scalar, if it can be, so that it ends.
        names = sorted(shape.members, key=lambda n: isinstance(shape.members[n], StructureShape))[
            :1
        ]
    for name in names:
        member = shape.members[name]
        if member.serialization.get("eventstream"):
            continue
        if (
            depth >= NESTING_MAX
            and isinstance(member, StructureShape)
            and not shape.is_tagged_union
        ):
            continue
        found[name] = sample(member, rng, full=full, depth=depth + 1)
    return found


def _scalar(shape: Shape, rng: random.Random) -> Any:
    kind = shape.type_name
    if kind == "string":
        assert isinstance(shape, StringShape)
        if shape.serialization.get("location") in {"header", "headers"}:
            return "plain" + str(rng.randrange(1000))
        return "".join(rng.choices(TEXT, k=rng.randrange(2, 9))) + "x"
    if kind in {"integer", "long"}:
        return rng.randrange(-5, 2**31)
    if kind in {"float", "double"}:
        return rng.randrange(-5, 10**6) / 8
    if kind == "boolean":
        return rng.random() < 0.5
    if kind == "timestamp":
        return WHEN
    return b"bytes"


def request(
    operation: OperationModel, params: Mapping[str, Any], protocol: str, **headers: str
) -> tuple[RequestHead, bytes]:
    """Serialise a call with botocore and take it apart as the gateway sees it."""
    serializer = create_serializer(protocol, include_validation=False)
    made = serializer.serialize_to_request(dict(params), operation)
    prepared = AWSRequest(
        method=made["method"],
        url="http://127.0.0.1:4540" + made["url_path"],
        params=made["query_string"],
        data=made["body"],
        headers=made["headers"],
    ).prepare()
    path, _, query = prepared.url.removeprefix("http://127.0.0.1:4540").partition("?")
    sent = {str(k).lower(): _text(v) for k, v in prepared.headers.items()}
    head = RequestHead(made["method"], path or "/", query, sent | headers)
    body = prepared.body
    return head, body.encode() if isinstance(body, str) else bytes(body or b"")


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def scope(signing_name: str) -> str:
    """Return an Authorization header for ``signing_name``, with made-up parts."""
    return (
        f"AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260101/us-east-1/{signing_name}/"
        "aws4_request, SignedHeaders=host;x-amz-date, Signature=00"
    )
