# SPDX-License-Identifier: Apache-2.0
"""PutResourcePolicy, GetResourcePolicy, DeleteResourcePolicy: nothing here has a resource policy.

Follows the CloudTrail API Reference, operations of these names: trails cannot have one; event data
stores, channels and dashboards can, of which OpenTrail has none yet.
"""

from typing import Never

from opentrail.errors import ClientError
from opentrail.trails.names import parse_arn
from opentrail.wire.rooms import Rooms, Scope
from opentrail.wire.shapes import (
    DeleteResourcePolicyRequest,
    DeleteResourcePolicyResponse,
    GetResourcePolicyRequest,
    GetResourcePolicyResponse,
    PutResourcePolicyRequest,
    PutResourcePolicyResponse,
)

WITH_POLICY = ("eventdatastore", "channel", "dashboard")
"""Kinds of ARNs that CloudTrail has resource policies for."""


def put_resource_policy(
    _rooms: Rooms, _scope: Scope, request: PutResourcePolicyRequest
) -> PutResourcePolicyResponse:
    """Raise ClientError: there is nothing that could have one."""
    _refuse(request.resource_arn)


def get_resource_policy(
    _rooms: Rooms, _scope: Scope, request: GetResourcePolicyRequest
) -> GetResourcePolicyResponse:
    """Raise ClientError: there is nothing that could have one."""
    _refuse(request.resource_arn)


def delete_resource_policy(
    _rooms: Rooms, _scope: Scope, request: DeleteResourcePolicyRequest
) -> DeleteResourcePolicyResponse:
    """Raise ClientError: there is nothing that could have one."""
    _refuse(request.resource_arn)


def _refuse(arn: str | None) -> Never:
    try:
        kind = parse_arn(arn or "").kind
    except ClientError as error:
        text = f"{arn!r} is not the ARN of something of CloudTrail's."
        raise ClientError("ResourceARNNotValidException", text) from error
    if kind in WITH_POLICY:
        raise ClientError("ResourceNotFoundException", f"There is no {arn}.")
    text = f"Resource policies are not for resources of type {kind}."
    raise ClientError("ResourceTypeNotSupportedException", text)
