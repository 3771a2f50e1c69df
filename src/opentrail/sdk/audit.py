# SPDX-License-Identifier: Apache-2.0
"""What a service's author says about one of its operations: ``@audit_event``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

Untyped = Any
"""What frameworks and botocore hand over: their objects have no types of their own."""
ATTRIBUTE = "__opentrail_event__"
Function = TypeVar("Function", bound=Callable[..., Any])

Resources = Sequence[str | Mapping[str, str]]
"""ARNs, or CloudTrail's own entries: ``{"ARN": …, "type": …, "accountId": …}``."""


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """How calls of one operation are recorded. What is None is decided by the call itself."""

    name: str | None = None
    """eventName."""
    resources: Resources | Callable[[Mapping[str, Any]], Resources] | None = None
    """What the call is about; a callable is given requestParameters, before anything is hidden."""
    read_only: bool | None = None
    redact: Sequence[str] = ()
    """More names whose values are hidden in this operation."""
    record: bool = True
    """False: calls of this operation are not recorded at all."""


PLAIN = AuditEvent()


def audit_event(
    name: str | None = None,
    *,
    resources: Resources | Callable[[Mapping[str, Any]], Resources] | None = None,
    read_only: bool | None = None,
    redact: Sequence[str] = (),
    record: bool = True,
) -> Callable[[Function], Function]:
    """Say how calls of the decorated endpoint are recorded; see ``AuditEvent``."""
    event = AuditEvent(name, resources, read_only, redact, record)

    def decorate(function: Function) -> Function:
        setattr(function, ATTRIBUTE, event)
        return function

    return decorate


def event_of(endpoint: object) -> AuditEvent:
    """Return what was said about an endpoint; ``PLAIN`` when nothing was."""
    found = getattr(endpoint, ATTRIBUTE, None)
    return found if isinstance(found, AuditEvent) else PLAIN
