# SPDX-License-Identifier: Apache-2.0
"""Requests that servers read differently: their records could tell of other calls than were made.

Amazon S3 API Reference: a sub-resource in the query string names the operation, one alone.
"""

import functools
import re
from urllib.parse import parse_qsl, unquote

from opentrail.aws import catalog
from opentrail.aws.form import has_form
from opentrail.aws.model import operation
from opentrail.aws.request import RequestHead, Target
from opentrail.aws.rest import QUERY_FIELDS_MAX
from opentrail.errors import ClientError

__all__ = ["ambiguous"]

_ANY_ACTION = re.compile(
    rb"(?:\A|&)(?:A|%41)(?:c|%63)(?:t|%74)(?:i|%69)(?:o|%6[fF])(?:n|%6[eE])(?==|&|\Z)"
)
"""The same parameter, whatever its value, and however its name is encoded."""
_FORMS = frozenset({"query", "ec2"})


def ambiguous(head: RequestHead, target: Target, body: bytes) -> ClientError | None:
    """Return why it cannot be told what a call asks for.

    Servers differ in which of two names they take (the first, the last, the query's, the body's),
    and in how many fields of a query string they read. ``body`` is what was kept of it.
    """
    if target.protocol in _FORMS:
        return _two_actions(head, body)
    fields = head.query.count("&")
    if fields >= QUERY_FIELDS_MAX:
        return ClientError(
            "InvalidRequest", f"A query string must not have more than {QUERY_FIELDS_MAX} fields."
        )
    if target.service != "s3" and _named_elsewhere(head, target, body):
        named = target.operation or "what its path says"
        return ClientError("InvalidRequest", f"Besides {named} the call names another operation.")
    return _two_operations(head, target) if fields and target.protocol.startswith("rest-") else None


def _two_actions(head: RequestHead, body: bytes) -> ClientError | None:
    named = len(_ANY_ACTION.findall(body)) if head.method == "POST" else 0
    if head.query:
        named += len(_ANY_ACTION.findall(head.query.encode("latin-1", "replace")))
    if named <= 1:
        return None
    return ClientError("MalformedQueryString", "The parameter 'Action' must not stand twice.")


def _named_elsewhere(head: RequestHead, target: Target, body: bytes) -> bool:
    """Return whether a call that is no form has what names an operation for other protocols.

    Some servers look there first. S3 and its work-alikes do not: a link to an object may have any
    parameter.
    """
    if "x-amz-target" in head.headers and target.protocol != "json":
        return True
    query = head.query.encode("latin-1", "replace")
    return _ANY_ACTION.search(query) is not None or (
        has_form(head) and _ANY_ACTION.search(body) is not None
    )


def _two_operations(head: RequestHead, target: Target) -> ClientError | None:
    model = operation(target)
    if model is None:
        return None
    sent = [field.partition("=")[0] for field in head.query.split("&")]
    sent = [unquote(name) for name in sent] if "%" in head.query else sent
    for name in _literals(model.uri):
        if sent.count(name) > 1:
            return ClientError("InvalidRequest", f"The parameter {name!r} must not stand twice.")
    router = catalog.alone("s3").router if target.service == "s3" else None
    if router is None or len(router.telling.intersection(sent)) <= 1:
        return None
    rival = router.rival(head, target)
    if not rival:
        return None
    return ClientError(
        "InvalidRequest",
        f"Conflicting query string parameters: they name {target.operation} and {rival}.",
    )


@functools.cache  # of path templates of the models, so those bound it
def _literals(uri: str) -> tuple[str, ...]:
    """Return the names of the query parameters that belong to a template."""
    return tuple(name for name, _ in parse_qsl(uri.partition("?")[2], keep_blank_values=True))
