# SPDX-License-Identifier: Apache-2.0
"""The table of CloudTrail's operations: each is answered by a function or openly refused.

To add one: write a typed function in ``op_*.py``, name it in scripts/generate_wire_shapes.py and
here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from opentrail.errors import ClientError
from opentrail.wire import shapes
from opentrail.wire.op_delegated_admins import (
    deregister_organization_delegated_admin,
    register_organization_delegated_admin,
)
from opentrail.wire.op_describe import describe_trails, get_trail, get_trail_status, list_trails
from opentrail.wire.op_event_configuration import get_event_configuration, put_event_configuration
from opentrail.wire.op_insights import get_insight_selectors, put_insight_selectors
from opentrail.wire.op_lookup import lookup_events
from opentrail.wire.op_public_keys import list_public_keys
from opentrail.wire.op_resource_policy import (
    delete_resource_policy,
    get_resource_policy,
    put_resource_policy,
)
from opentrail.wire.op_selectors import get_event_selectors, put_event_selectors
from opentrail.wire.op_tags import add_tags, list_tags, remove_tags
from opentrail.wire.op_trails import (
    create_trail,
    delete_trail,
    start_logging,
    stop_logging,
    update_trail,
)
from opentrail.wire.rooms import Rooms, Scope
from opentrail.wire.shapes import DATA_OPERATIONS, OPERATIONS
from opentrail.wire.which_trail import policy_resource

Permit = Callable[[str], None]
"""(ARN, or "*") -> None. Raises: ClientError: the caller's policies do not allow it on that."""

Handler = Callable[[Rooms, Scope, bytes, Permit], bytes]
"""(rooms, scope, request body, permit) -> response body. Raises: ClientError, Corrupt, Unavailable."""

RequestT = TypeVar("RequestT", bound=msgspec.Struct)
ResponseT = TypeVar("ResponseT", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer of an operation that OpenTrail does not have: it never pretends."""

    code: str
    message: str


def _typed(
    shape: type[RequestT],
    function: Callable[[Rooms, Scope, RequestT], ResponseT],
    about: Callable[[RequestT], Sequence[str | None]] | None = None,
) -> Handler:
    """Return the handler; ``about`` says on which trails it works, by name or ARN.

    Without it policies must allow the operation on every resource.
    """
    decoder = msgspec.json.Decoder(shape)

    def handler(rooms: Rooms, scope: Scope, body: bytes, permit: Permit) -> bytes:
        request = _decode(decoder, body)
        if about is None:
            permit("*")
        else:
            for given in about(request):
                permit(policy_resource(scope, given))
        return msgspec.json.encode(function(rooms, scope, request))

    return handler


def _decode(decoder: msgspec.json.Decoder[RequestT], body: bytes) -> RequestT:
    try:
        return decoder.decode(body or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError) as wrong:
        raise ClientError("SerializationException", str(wrong)) from None
    except RecursionError:
        raise ClientError("SerializationException", "The JSON is nested too deeply.") from None


ANSWERED: Final[Mapping[str, Handler]] = {
    "AddTags": _typed(shapes.AddTagsRequest, add_tags, lambda asked: [asked.resource_id]),
    "CreateTrail": _typed(shapes.CreateTrailRequest, create_trail, lambda asked: [asked.name]),
    "DeleteResourcePolicy": _typed(
        shapes.DeleteResourcePolicyRequest,
        delete_resource_policy,
        lambda asked: [asked.resource_arn],
    ),
    "DeleteTrail": _typed(shapes.DeleteTrailRequest, delete_trail, lambda asked: [asked.name]),
    "DeregisterOrganizationDelegatedAdmin": _typed(
        shapes.DeregisterOrganizationDelegatedAdminRequest, deregister_organization_delegated_admin
    ),
    "DescribeTrails": _typed(shapes.DescribeTrailsRequest, describe_trails),
    "GetEventConfiguration": _typed(
        shapes.GetEventConfigurationRequest,
        get_event_configuration,
        lambda asked: [asked.trail_name],
    ),
    "GetEventSelectors": _typed(
        shapes.GetEventSelectorsRequest, get_event_selectors, lambda asked: [asked.trail_name]
    ),
    "GetInsightSelectors": _typed(
        shapes.GetInsightSelectorsRequest, get_insight_selectors, lambda asked: [asked.trail_name]
    ),
    "GetResourcePolicy": _typed(
        shapes.GetResourcePolicyRequest, get_resource_policy, lambda asked: [asked.resource_arn]
    ),
    "GetTrail": _typed(shapes.GetTrailRequest, get_trail, lambda asked: [asked.name]),
    "GetTrailStatus": _typed(
        shapes.GetTrailStatusRequest, get_trail_status, lambda asked: [asked.name]
    ),
    "ListPublicKeys": _typed(shapes.ListPublicKeysRequest, list_public_keys),
    "ListTags": _typed(
        shapes.ListTagsRequest, list_tags, lambda asked: asked.resource_id_list or ()
    ),
    "ListTrails": _typed(shapes.ListTrailsRequest, list_trails),
    "LookupEvents": _typed(shapes.LookupEventsRequest, lookup_events),
    "PutEventConfiguration": _typed(
        shapes.PutEventConfigurationRequest,
        put_event_configuration,
        lambda asked: [asked.trail_name],
    ),
    "PutEventSelectors": _typed(
        shapes.PutEventSelectorsRequest, put_event_selectors, lambda asked: [asked.trail_name]
    ),
    "PutInsightSelectors": _typed(
        shapes.PutInsightSelectorsRequest, put_insight_selectors, lambda asked: [asked.trail_name]
    ),
    "PutResourcePolicy": _typed(
        shapes.PutResourcePolicyRequest, put_resource_policy, lambda asked: [asked.resource_arn]
    ),
    "RegisterOrganizationDelegatedAdmin": _typed(
        shapes.RegisterOrganizationDelegatedAdminRequest, register_organization_delegated_admin
    ),
    "RemoveTags": _typed(shapes.RemoveTagsRequest, remove_tags, lambda asked: [asked.resource_id]),
    "StartLogging": _typed(shapes.StartLoggingRequest, start_logging, lambda asked: [asked.name]),
    "StopLogging": _typed(shapes.StopLoggingRequest, stop_logging, lambda asked: [asked.name]),
    "UpdateTrail": _typed(shapes.UpdateTrailRequest, update_trail, lambda asked: [asked.name]),
}
"""Operation of ``cloudtrail`` -> what answers it. Those on a trail: Service Authorization Reference,
"Actions defined by AWS CloudTrail"."""

WAITING: Final = frozenset(
    {
        "AddTags",
        "CreateTrail",
        "DeleteTrail",
        "DeregisterOrganizationDelegatedAdmin",
        "ListTags",  # asks an organization, as the changes of its trails do
        "PutEventConfiguration",
        "PutEventSelectors",
        "PutInsightSelectors",
        "RegisterOrganizationDelegatedAdmin",
        "RemoveTags",
        "StartLogging",
        "StopLogging",
        "UpdateTrail",
    }
)
"""Those of them that may wait long: for a bucket, a target, an organization's API, or each other."""


def _refusal(operation: str) -> Refusal:
    return Refusal(
        "UnsupportedOperationException",
        f"OpenTrail does not offer {operation} yet. It offers {', '.join(ANSWERED)}.",
    )


REFUSED: Final[Mapping[str, Refusal]] = {
    name: _refusal(name) for name in (*OPERATIONS, *DATA_OPERATIONS) if name not in ANSWERED
}
"""Operation of ``cloudtrail`` or ``cloudtrail-data`` -> the error that it gets. The model lets every
one of them answer UnsupportedOperationException, so clients know it as a type."""
