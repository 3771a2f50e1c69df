# SPDX-License-Identifier: Apache-2.0
"""Where a request is addressed to: under a service's path prefix, at a bucket's own host name.

Amazon S3 User Guide, "Virtual hosting of general purpose buckets".
"""

import re

import msgspec

from opentrail.aws import catalog, tables
from opentrail.aws.post_form import is_form
from opentrail.aws.request import Credential, RequestHead
from opentrail.errors import ClientError

__all__ = ["PREFIX", "TWO_KEYS", "Addressed", "addressed", "upstream_target"]

PREFIX = "/_svc/"
"""Before a service's name in a path: says for which of the services that sign alike a call is."""

TWO_KEYS = "Only one auth mechanism allowed: the Authorization header, the query string or a form's policy."
"""Why a request that names two keys is refused: servers differ in whose signature they check."""
_AWS_DOMAIN = "amazonaws.com"
_OF_S3 = re.compile(r"(?:(.+)\.)?s3(?:express-[a-z0-9-]+|-[a-z]{2}-[a-z]+-\d)?(?:\.[a-z0-9-]+)*\Z")
"""What stands before the domain in S3's host names: ``bucket.s3.us-west-2``, ``s3``."""
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{0,254}\Z")
_S3 = frozenset(("s3", "s3express"))
_CONTROL_PATH = "/v20180820/"
"""S3 Control's paths begin so; its clients put an account before the host's name, not a bucket."""


class Addressed(msgspec.Struct, frozen=True, gc=False):
    """A request without what addressed it."""

    head: RequestHead
    """Its path without prefix, and with the bucket that the host name began with."""
    service: str = ""
    """The service that the prefix names; empty without one."""
    refusal: ClientError | None = None
    """Why it cannot be told what is meant."""


def addressed(head: RequestHead, credential: Credential | None, domain: str) -> Addressed:
    """Take from ``head`` what says where it is addressed to.

    ``domain`` is the one under which services and buckets have host names besides AWS's; empty
    for none. Never raises.
    """
    service, refusal = "", None
    if head.path.startswith(PREFIX):
        service, _, rest = head.path[len(PREFIX) :].partition("/")
        refusal = _contradiction(service, credential)
        service = "" if refusal else service
        head = msgspec.structs.replace(head, path=f"/{rest}")
    bucket = _bucket(head, credential, domain)
    if bucket:
        head = msgspec.structs.replace(head, path=f"/{bucket}{head.path}")
    if credential is not None and is_form(head):
        refusal = ClientError("InvalidRequest", TWO_KEYS)
    return Addressed(head, service, refusal)


def upstream_target(head: RequestHead) -> str:
    """Return path and query as an upstream is to get them: as they came, but for the prefix."""
    path = head.path
    if path.startswith(PREFIX):
        path = "/" + path[len(PREFIX) :].partition("/")[2]
    return f"{path}?{head.query}" if head.query else path


def _contradiction(service: str, credential: Credential | None) -> ClientError | None:
    """Return why the prefix cannot stand before this request.

    An upstream does not see it: it must not make a call another one than what was signed.
    """
    row = tables.services().get(service)
    if row is None:
        return ClientError(
            "InvalidRequest",
            f"There is no service {service[:64]!r}: after {PREFIX} a path has a service as"
            " botocore calls it, such as 'lexv2-models'.",
        )
    if credential is None or catalog.signs_for(credential.signing_name, row):
        return None
    return ClientError(
        "InvalidRequest",
        f"The path begins with {PREFIX}{service}, but the call is signed for"
        f" {credential.signing_name[:64]!r}, not for {row.signing_name!r}.",
    )


def _bucket(head: RequestHead, credential: Credential | None, domain: str) -> str:
    """Return the bucket that the host name begins with; empty when there is none."""
    host = head.headers.get("host", "")
    if not domain and _AWS_DOMAIN not in host:
        return ""
    name = host.partition(":")[0].lower()
    for known in (_AWS_DOMAIN, domain):
        if known and name.endswith(f".{known}"):
            labels = name[: -len(known) - 1]
            of_s3 = _OF_S3.match(labels)
            found = of_s3[1] or "" if of_s3 else labels
            if of_s3 or (known == domain and _means_bucket(head, labels, credential)):
                return found if _BUCKET.match(found) else ""
    return ""


def _means_bucket(head: RequestHead, labels: str, credential: Credential | None) -> bool:
    """Whether ``labels`` before a domain of ours, without "s3" among them, are a bucket."""
    if head.path.startswith(_CONTROL_PATH):
        return False
    if credential is not None:
        return credential.signing_name in _S3
    return catalog.by_labels(labels) is None
