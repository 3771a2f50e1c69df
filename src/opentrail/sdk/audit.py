# SPDX-License-Identifier: Apache-2.0
"""What a service's author says about one of its operations: ``@audit_event``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from opentrail.sdk.given import names

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
    """Say how calls of the decorated endpoint are recorded; see ``AuditEvent``.

    Raises: TypeError: ``redact`` is one text.
    """
    event = AuditEvent(name, resources, read_only, names(redact, "redact"), record)

    def decorate(function: Function) -> Function:
        setattr(function, ATTRIBUTE, event)
        return function

    return decorate


def event_of(endpoint: object, method: str) -> AuditEvent:
    """Return what was said about an endpoint; ``PLAIN`` when nothing was.

    Of a class of methods (Starlette's, Flask's and Django's views, the view sets of Django REST
    framework) the word on the method that answers ``method`` comes before that on the class.
    """
    if isinstance(endpoint, type):
        views: object = endpoint
    else:
        views = getattr(endpoint, "view_class", None) or getattr(endpoint, "cls", None)
    places = (
        (endpoint,) if views is None else (_answering(endpoint, views, method), endpoint, views)
    )
    for place in places:
        found = getattr(place, ATTRIBUTE, None)
        if isinstance(found, AuditEvent):
            return found
    return PLAIN


def _answering(endpoint: object, views: object, method: str) -> object:
    """Return the function of ``views`` that answers calls of ``method``."""
    name = method.lower()
    actions = getattr(endpoint, "actions", None)
    if isinstance(actions, Mapping):
        name = actions.get(name, name)
    found = getattr(views, name, None)
    return getattr(views, "get", None) if found is None and name == "head" else found
