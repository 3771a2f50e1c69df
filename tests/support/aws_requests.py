# SPDX-License-Identifier: Apache-2.0
"""Requests and answers as botocore makes them, for every operation of its models: the oracle."""

import datetime as dt
import functools
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore.awsrequest import AWSRequest
from botocore.loaders import Loader
from botocore.model import (
    ListShape,
    MapShape,
    OperationModel,
    ServiceModel,
    Shape,
    StructureShape,
)
from botocore.serialize import create_serializer

from opentrail.aws.request import RequestHead

NESTING_MAX = 4
"""Structures inside structures that are filled; some models never end."""
TEXT = "abcXYZ019 -_/äé+%&=:"
WHEN = dt.datetime(2023, 7, 10, 12, 27, 45, tzinfo=dt.UTC)


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
    if isinstance(shape, StructureShape):
        return _structure(shape, rng, full=full, depth=depth)
    count = 2 if depth < NESTING_MAX else 0
    if isinstance(shape, ListShape):
        if shape.serialization.get("location") == "header":
            return ["one", "two"]
        return [sample(shape.member, rng, full=full, depth=depth + 1) for _ in range(count)]
    if isinstance(shape, MapShape):
        values = [sample(shape.value, rng, full=full, depth=depth + 1) for _ in range(count)]
        return {f"key{n}": value for n, value in enumerate(values)}
    return {} if shape is None else _scalar(shape, rng)


def _structure(shape: StructureShape, rng: random.Random, *, full: bool, depth: int) -> Any:
    if shape.is_document_type:
        return {"Any": [1, 2.5, None, {"deep": "value"}]}
    return {
        name: sample(shape.members[name], rng, full=full, depth=depth + 1)
        for name in _filled(shape, full=full, depth=depth)
    }


def _filled(shape: StructureShape, *, full: bool, depth: int) -> list[str]:
    """Return the members to fill; what is deep must end."""
    nested = {name for name, member in shape.members.items() if isinstance(member, StructureShape)}
    if shape.is_tagged_union:  # one must be set, however deep
        return sorted(shape.members, key=nested.__contains__)[:1]
    names = shape.members if full and depth < NESTING_MAX else shape.required_members
    return [
        name
        for name in names
        if "eventstream" not in shape.members[name].serialization
        and (depth < NESTING_MAX or name not in nested)
    ]


def _scalar(shape: Shape, rng: random.Random) -> Any:
    kind = shape.type_name
    if shape.serialization.get("location") == "statusCode":
        return 200
    if shape.serialization.get("location") in {"header", "headers"} and kind == "string":
        return f"plain{rng.randrange(1000)}"
    makers: dict[str, Callable[[], Any]] = {
        "string": lambda: "".join(rng.choices(TEXT, k=rng.randrange(2, 9))) + "x",
        "integer": lambda: rng.randrange(-5, 2**31),
        "long": lambda: rng.randrange(-5, 2**53),
        "float": lambda: rng.randrange(-5, 10**6) / 8,
        "double": lambda: rng.randrange(-5, 10**6) / 8,
        "boolean": lambda: rng.random() < 0.5,
        "timestamp": lambda: WHEN,
        "blob": lambda: b"bytes",
    }
    return makers[kind]()


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
    body = prepared.body or b""
    assert isinstance(body, str | bytes | bytearray)
    return head, body.encode() if isinstance(body, str) else bytes(body)


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def scope(signing_name: str) -> str:
    """Return an Authorization header for ``signing_name``, with made-up parts."""
    return (
        f"AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260101/us-east-1/{signing_name}/"
        "aws4_request, SignedHeaders=host;x-amz-date, Signature=00"
    )
