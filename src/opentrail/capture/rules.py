# SPDX-License-Identifier: Apache-2.0
"""What a service's model does not say about its records: the words that the service tables use.

Source: CloudTrail User Guide, "CloudTrail record contents" and "Logging data events"; what
delivered records show.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

EVENT_VERSION_DEFAULT = "1.08"
"""The oldest version that has every field a record of ours may have: eventCategory came with 1.07,
tlsDetails and sessionCredentialFromConsole with 1.08. Services whose records are known to carry a
newer version say so in their own table; none may go below this."""


class Casing(Enum):
    """How member names are spelt in requestParameters and responseElements."""

    LOWER_FIRST = "lower-first"
    """Exactly the first character in lower case, at every depth; map keys untouched."""
    RAW = "raw"
    """As on the wire: what newer REST-JSON services log."""


class Form(Enum):
    """Which writer makes requestParameters and responseElements."""

    MEMBERS = "members"
    """The model's members, in the service's casing."""
    API_GATEWAY = "apigateway"
    """The model's members, those of the body under one key: ``createStageInput``."""
    DYNAMODB = "dynamodb"
    """The model's members; of items the keys, and names without values."""
    EC2 = "ec2"
    """The names of EC2's SOAP messages, lists under ``items``; newer operations in an envelope."""
    UNWRAPPED = "unwrapped"
    """The model's members; what an answer, or a request's body, has in one structure stands in
    its place."""
    S3_CONTROL = "s3control"
    """The model's members, and Host."""
    S3 = "s3"
    """Bucket, key, Host, sub-resources and headers by their names on the wire."""


class Redaction(Enum):
    """What stands for a member that the model marks as sensitive."""

    HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"
    STARS = "***"
    """What newer services write."""
    REMOVED = "<sensitiveDataRemoved>"
    """What EC2 writes."""
    MASKED = "****"
    """What Organizations writes."""
    ASTERISKS = "**********"
    """What Polly writes."""
    WITHHELD = "***OMITTED***"
    """What Athena writes."""
    OMITTED = ""
    """The member is not there at all."""


class Times(Enum):
    """How timestamps inside requestParameters and responseElements are written."""

    AS_SENT = "as-sent"
    """The wire's value, untouched."""
    JAVA = "java"
    """``Nov 5, 2018 6:06:01 AM``: UTC, whole seconds, no zone, hour unpadded."""
    JAVA_COMMA = "java-comma"
    """``Oct 26, 2025, 11:50:52 PM``: the same from newer runtimes."""
    EPOCH_MS = "epoch-ms"
    """Integer milliseconds since 1970 UTC."""


KEYS = "*"
"""In a path of members: the keys of the map that it has led to."""


@dataclass(frozen=True, slots=True)
class Named:
    """A resource that a call acts on, and where the call names it."""

    type: str
    """CloudTrail's resource type: "AWS::SageMaker::Endpoint"; "" where records have none."""
    members: tuple[str, ...] = ()
    """Path of request members to the resource's name, URL or ARN; through lists to each
    element's. Empty: the request does not name it."""
    arn: str = ""
    """ARN with ``{partition}``, ``{region}``, ``{account}`` and ``{name}``; unused where there is
    an ARN already."""
    kind: str = ""
    """What goes before a name that does not say its kind itself ("key/" of KMS, not of
    "alias/a")."""
    url: bool = False
    """Whether ``members`` lead to a URL that ends in account and name (a queue's)."""
    answer: tuple[str, ...] = ()
    """Path of members of the answer to its ARN, which is preferred."""
    default: str = ""
    """The name of what is meant where none is given."""
    of_account: bool = False
    """Whether a name may have its account before it and a version behind it ("1:function:f:2")."""
    until: str = ""
    """What the name or ARN ends at, where something else follows it."""
    owner: str = ""
    """The request member that says whose it is, where it is not the caller's."""
    pattern: str = ""
    """What all of its ARN is, where the same member also names resources of other types."""


@dataclass(frozen=True, slots=True)
class OperationRules:
    """What differs from the rule for one operation."""

    keep: frozenset[str] | None = None
    """Top-level request members that are recorded, by model name; None: all."""
    identifiers_only: bool = False
    """Whether only members that can be names of resources are recorded: the rest is payload."""
    drop: frozenset[str] = frozenset()
    """Members, by model name at any depth, that are left out."""
    spelling: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Member, by model name at any depth, to the name in the record, where no casing gives it."""
    answer_keep: frozenset[str] | None = None
    """Top-level members of the answer that are recorded; None: all."""
    beside: tuple[str, ...] = ()
    """Top-level texts of the answer, by model name, that additionalEventData has."""
    named: tuple[Named, ...] = ()
    """The ``resources`` of a management event; of a data event where one path is not enough."""
    data: Named | None = None
    """What a data event acts on; None: a management event."""
    read_only: bool | None = None
    """Overrides the trait and the name's prefix."""
    response: bool | None = None
    """Whether responseElements are recorded: overrides "unless it is a read"."""
    hide: frozenset[str] = frozenset()
    """Members, by model name at any depth, whose value is a capability and is hidden."""
    quoting_errors: frozenset[str] = frozenset()
    """Error codes whose messages quote payload: it is hidden, from the quotation mark on."""
    event_name: str = ""
    """The name in the record, where it is not the operation's."""
    late_errors: bool = False
    """Whether an error may come after the status 200: in the body, once the work is done."""
    in_2023: bool = True
    """Whether service_profile "2023" records it."""


@dataclass(frozen=True, slots=True)
class ServiceRules:
    """What differs from the rule for one service (botocore's service directory)."""

    event_version: str = EVENT_VERSION_DEFAULT
    event_type: str = "AwsApiCall"
    tls: bool = True
    """Whether its records show tlsDetails; every version that is written has the field."""
    casing: Casing = Casing.LOWER_FIRST
    form: Form = Form.MEMBERS
    times: Times | None = None
    """None: by protocol (JSON, XML and query services log Java's format, REST-JSON ones as sent)."""
    redaction: Redaction = Redaction.HIDDEN
    """What stands for members that the model marks as sensitive."""
    drop: frozenset[str] = frozenset()
    """Members, by model name at any depth, that are left out."""
    spelling: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """As in ``OperationRules``, for every operation."""
    by_path: bool = False
    """Whether members in the path have the names that the path's template has."""
    by_query: bool = False
    """Whether members in the query have the names that they have there."""
    named: tuple[Named, ...] = ()
    """As in ``OperationRules``, for every operation that has the members."""
    api_version: str = ""
    """``apiVersion``, for services whose delivered records have it."""
    unparsed_errors: frozenset[str] = frozenset()
    """Error codes that are raised before the request is read: its parameters are null."""
    hide_messages: bool = False
    """Whether the model marks messages of its errors as sensitive."""
    data: Named | None = None
    """Set where every operation without a row is a data event that records identifiers only."""
    logged: bool = True
    """False: CloudTrail does not record this service; its calls are counted, and recorded as
    data events only if ``record_unlogged`` says so."""
    hide: frozenset[str] = frozenset()
    """Members, by model name at any depth, whose value is a capability and is hidden."""
    secret_keys: frozenset[str] = frozenset()
    """Keys of maps at any depth, in requests and answers, whose values are hidden."""
    operations: Mapping[str, OperationRules] = field(default_factory=lambda: MappingProxyType({}))
    """By operation name; the rest follow the rules."""


PLAIN = OperationRules()
