# SPDX-License-Identifier: Apache-2.0
"""The CloudTrail record as OpenTrail reads it: typed fields for indexing, raw JSON for the rest.

Source: CloudTrail User Guide, "CloudTrail record contents" and "CloudTrail userIdentity element";
the field order is that of delivered log files.
"""

import msgspec

ABSENT = msgspec.Raw(b"")
"""The value of a raw field that the record does not have (JSON null is ``b"null"``)."""

FIELD_ORDER: tuple[str, ...] = (
    "eventVersion",
    "userIdentity",
    "eventTime",
    "eventSource",
    "eventName",
    "awsRegion",
    "sourceIPAddress",
    "userAgent",
    "errorCode",
    "errorMessage",
    "requestParameters",
    "responseElements",
    "additionalEventData",
    "requestID",
    "eventID",
    "readOnly",
    "resources",
    "eventType",
    "apiVersion",
    "managementEvent",
    "recipientAccountId",
    "sharedEventID",
    "vpcEndpointId",
    "vpcEndpointAccountId",
    "serviceEventDetails",
    "eventCategory",
    "tlsDetails",
    "sessionCredentialFromConsole",
    "eventContext",
)
"""Top-level fields as delivered records order them; fields that a record lacks are skipped."""

HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"
"""What CloudTrail writes in place of a value that must not be kept."""


class SessionIssuer(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """``userIdentity.sessionContext.sessionIssuer``: whose credentials made the session."""

    type: str = ""
    """"Role", "IAMUser", "Root"."""
    principal_id: str = ""
    arn: str = ""
    account_id: str = ""
    user_name: str = ""


class SessionContext(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """``userIdentity.sessionContext``: present for temporary credentials."""

    session_issuer: SessionIssuer = SessionIssuer()
    """All empty when absent or ``{}``: the two mean the same."""
    source_identity: str = ""


class UserIdentity(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """``userIdentity``: who made the call. A field that the record lacks is the empty string."""

    type: str = ""
    """"IAMUser", "AssumedRole", "Root", …; empty in service events."""
    principal_id: str = ""
    arn: str = ""
    account_id: str = ""
    access_key_id: str = ""
    user_name: str = ""
    invoked_by: str = ""
    """A service's DNS name, when a service made the call."""
    session_context: SessionContext = SessionContext()


class Record(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """One record. Absent text is "", an absent boolean None, an absent subtree ``ABSENT``."""

    event_version: str = ""
    user_identity: UserIdentity = UserIdentity()
    event_time: str = ""
    """UTC, whole seconds: ``2023-07-10T12:27:45Z``."""
    event_source: str = ""
    """"sagemaker.amazonaws.com"."""
    event_name: str = ""
    aws_region: str = ""
    error_code: str = ""
    request_parameters: msgspec.Raw = ABSENT
    response_elements: msgspec.Raw = ABSENT
    request_id: str = msgspec.field(default="", name="requestID")
    """Not unique, and not always a UUID."""
    event_id: str = msgspec.field(default="", name="eventID")
    read_only: bool | None = None
    """None before eventVersion 1.01 and in network activity and Insights records."""
    resources: msgspec.Raw = ABSENT
    event_type: str = ""
    """"AwsApiCall", "AwsServiceEvent", "AwsConsoleSignIn", …"""
    management_event: bool | None = None
    """None before eventVersion 1.06."""
    recipient_account_id: str = ""
    event_category: str = ""
    """"Management", "Data", "NetworkActivity", "Insight"; empty before eventVersion 1.07."""
    vpc_endpoint_id: str = ""
    session_credential_from_console: str = ""
    """"true" (text) when a console session's credentials made the call, else absent."""
