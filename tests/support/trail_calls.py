# SPDX-License-Identifier: Apache-2.0
"""Calls of trail operations that several tests make."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support.trail_rooms import BUCKET
from support.wire_server import ACCOUNT, REGION

from opentrail.wire.shapes import OPERATIONS

ARN = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/"


def create(trails: Any, name: str = "audit", **members: Any) -> dict[str, Any]:
    """Create a trail with boto3 client ``trails`` and return what it answers."""
    answer = trails.create_trail(**({"Name": name, "S3BucketName": BUCKET} | members))
    return plain(answer)


def plain(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the answer of a call without what boto3 adds."""
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def refused(call: Callable[..., object], **members: Any) -> tuple[str, str]:
    """Return (code, text) of the refusal, whose code the model knows."""
    with pytest.raises(ClientError) as raised:
        call(**members)
    error = raised.value.response["Error"]
    assert error["Code"] in OPERATIONS[raised.value.operation_name].errors
    return error["Code"], error["Message"]
