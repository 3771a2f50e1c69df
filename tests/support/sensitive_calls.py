# SPDX-License-Identifier: Apache-2.0
"""Calls of every operation that has a sensitive shape, with planted values that no record may show."""

import base64
import datetime as dt
import random
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.model import (
    ListShape,
    MapShape,
    OperationModel,
    ServiceModel,
    Shape,
    StructureShape,
)
from support import aws_answers, aws_requests
from support.calls import body, caller
from support.secret_values import SECRET, Filled

from opentrail.aws import catalog, tables
from opentrail.capture.call import Call, Outcome

NUMBER = 918273645
REAL = 91827.36455
MOMENT = dt.datetime(1998, 11, 30, 23, 58, 57, tzinfo=dt.UTC)
PLANTED = (
    SECRET.encode(),
    base64.b64encode(SECRET.encode()).rstrip(b"="),
    str(NUMBER).encode(),
    str(REAL).encode(),
    b"1998-11-30",
    b"Nov 30, 1998",
    str(int(MOMENT.timestamp())).encode(),
)
"""Every form in which a planted value could show."""


class Planted(Filled):
    """Fills shapes so that sensitive numbers and times are recognisable too."""

    def _scalar(self, shape: Shape, *, secret: bool) -> Any:
        if not secret:
            return super()._scalar(shape, secret=False)
        plain: dict[str, Any] = {
            "timestamp": MOMENT,
            "integer": NUMBER,
            "long": NUMBER,
            "float": REAL,
            "double": REAL,
        }
        return plain.get(shape.type_name) or super()._scalar(shape, secret=True)


def services_with_secrets() -> Iterator[ServiceModel]:
    """Yield the models, one after another, that mark anything as sensitive."""
    for name in aws_requests.service_names():
        model = aws_requests.load_model(name)
        if any(model.shape_for(shape).metadata.get("sensitive") for shape in model.shape_names):
            yield model


def operations_with_secrets(model: ServiceModel) -> Iterator[OperationModel]:
    """Yield the operations from which a sensitive shape can be reached."""
    met: dict[str, bool] = {}
    for operation in aws_requests.operations(model):
        shapes = (operation.input_shape, operation.output_shape, *operation.error_shapes)
        if any(shape is not None and _reaches(shape, met, ()) for shape in shapes):
            yield operation


def _reaches(shape: Shape, met: dict[str, bool], above: tuple[str, ...]) -> bool:
    if shape.metadata.get("sensitive"):
        return True
    if shape.name in met or shape.name in above:
        return met.get(shape.name, False)
    inner: list[Shape] = []
    if isinstance(shape, StructureShape):
        inner = list(shape.members.values())
    elif isinstance(shape, ListShape):
        inner = [shape.member]
    elif isinstance(shape, MapShape):
        inner = [shape.key, shape.value]
    found = any(_reaches(each, met, (*above, shape.name)) for each in inner)
    if found or not above:  # what a loop cut short is not known yet
        met[shape.name] = found
    return found


def calls(operation: OperationModel, rng: random.Random) -> Iterator[Call]:
    """Yield the operation's calls in each protocol that its service lists: answered, and failed."""
    model = operation.service_model
    row = tables.services()[model.service_name]
    fill = Planted(rng, full=True)
    for protocol in row.protocols:
        params = fill.params(operation)
        head, sent = aws_requests.request(operation, params, protocol, **_credentials())
        for status, headers, answer in _answers(operation, fill, protocol):
            yield Call(
                event_id="e",
                target=catalog.target(row, operation.name, protocol),
                head=head,
                caller=caller(),
                source_ip="192.0.2.0",
                user_agent="agent",
                finished_ms=0,
                outcome=Outcome.ANSWERED,
                request=body(sent),
                status=status,
                response_headers=headers,
                response=body(answer),
            )


def _credentials() -> Mapping[str, str]:
    return {"authorization": f"AWS4-HMAC-SHA256 Signature={SECRET}", "x-amz-security-token": SECRET}


def _answers(
    operation: OperationModel, fill: Planted, protocol: str
) -> Iterator[aws_answers.Answer]:
    if operation.output_shape is None:
        yield 200, {}, b""
    else:
        yield aws_answers.answer(operation, fill.value(operation.output_shape), protocol)
    for error in operation.error_shapes:
        assert isinstance(error, StructureShape)
        yield _error(error, {**fill.value(error)}, protocol)


def _error(shape: StructureShape, members: dict[str, Any], protocol: str) -> aws_answers.Answer:
    """An error answer with all its members; XML protocols know code and message alone."""
    code = shape.metadata.get("error", {}).get("code", shape.name)
    if protocol in {"query", "ec2", "rest-xml"}:
        said = next((str(v) for n, v in members.items() if n.lower() == "message"), "")
        text = f"<Error><Code>{code}</Code><Message>{said}</Message></Error>"
        return 400, {"content-type": "text/xml"}, f"<ErrorResponse>{text}</ErrorResponse>".encode()
    _, headers, data = aws_answers.rest(shape, members, is_xml=False)
    return 400, {**headers, "x-amzn-errortype": code}, data
