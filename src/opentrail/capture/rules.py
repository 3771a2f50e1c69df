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


@dataclass(frozen=True, slots=True)
class DataEvent:
    """A data-plane operation: which resource it acts on."""

    type: str
    """CloudTrail's resource type: "AWS::SageMaker::Endpoint"."""
    members: tuple[str, ...] = ()
    """Path of request members to the resource's name, URL or ARN; through lists to each
    element's. Empty: the record names no resource."""
    arn: str = ""
    """ARN with ``{partition}``, ``{region}``, ``{account}`` and ``{name}``; unused where the
    request itself has an ARN."""
    lower: bool = False
    """Whether the ARN has the name in lower case."""


@dataclass(frozen=True, slots=True)
class OperationRules:
    """What differs from the rule for one operation."""

    keep: frozenset[str] | None = None
    """Top-level request members that are recorded, by model name; None: all."""
    drop: frozenset[str] = frozenset()
    """Members, by model name at any depth, that are left out."""
    data: DataEvent | None = None
    """Set for data events; None: a management event."""
    read_only: bool | None = None
    """Overrides the trait and the name's prefix."""
    response: bool | None = None
    """Whether responseElements are recorded: overrides "unless it is a read"."""
    hide: frozenset[str] = frozenset()
    """Members, by model name at any depth, whose value is a capability and is hidden."""
    event_name: str = ""
    """The name in the record, where it is not the operation's."""
    in_2023: bool = True
    """Whether service_profile "2023" records it."""


@dataclass(frozen=True, slots=True)
class ServiceRules:
    """What differs from the rule for one service (botocore's service directory)."""

    event_version: str = EVENT_VERSION_DEFAULT
    tls: bool = True
    """Whether its records show tlsDetails; every version that is written has the field."""
    casing: Casing = Casing.LOWER_FIRST
    times: Times | None = None
    """None: by protocol (JSON and query services log Java's format, REST-JSON ones as sent)."""
    logged: bool = True
    """False: CloudTrail does not record this service; its calls are counted, and recorded as
    data events only if ``record_unlogged`` says so."""
    hide: frozenset[str] = frozenset()
    """Members, by model name at any depth, whose value is a capability and is hidden."""
    operations: Mapping[str, OperationRules] = field(default_factory=lambda: MappingProxyType({}))
    """By operation name; the rest follow the rules."""


PLAIN = OperationRules()
