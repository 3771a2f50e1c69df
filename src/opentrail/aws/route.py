# SPDX-License-Identifier: Apache-2.0
"""Which credential, service and operation a request names, from its head and body alone.

"Signature Version 4 request elements" (AWS IAM User Guide) for the credential; for the operation
the awsJson, awsQuery, restJson, restXml and rpcv2Cbor protocols of Smithy 2.0.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

import msgspec

from opentrail.aws import catalog, tables
from opentrail.aws.catalog import Group
from opentrail.aws.form import has_form
from opentrail.aws.request import Credential, RequestHead, Target
from opentrail.aws.rest import plain_path
from opentrail.aws.tables import ServiceRow

__all__ = ["form_credential", "identify", "parse_credential"]

TARGET_CHARS_MAX = 256
"""Of an X-Amz-Target that is remembered: names of prefix and operation have some 100."""
TARGETS_CACHED = 1024
"""Such headers that are remembered: a busy installation calls some hundred operations, and what hostile
clients make up takes a megabyte at most."""
FORM_FIELDS_MAX = 10_000
"""Form fields that are searched for an Action: EC2's longest requests have about a thousand."""

CBOR = "smithy-rpc-v2-cbor"

_ALGORITHMS = ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256")
_PARAMETERS = ("Credential", "SignedHeaders", "Signature")
_IDENTIFIER = re.compile(r"[A-Za-z0-9_]{1,128}\Z")
"""What an operation's name can be: a name as sent goes into the record only if it fits."""
_SIGNING_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}\Z")
_ACTION = re.compile(rb"(?:\A|&)Action=([A-Za-z0-9_]{1,128})(?=&|\Z)")
_VERSION = re.compile(rb"(?:\A|&)Version=([0-9-]{1,20})(?=&|\Z)")
_CBOR_PATH = re.compile(r"/service/([^/]+)/operation/([^/]+)\Z")
_S3_HEADERS = frozenset(
    f"x-amz-{name}"
    for name in (
        "acl",
        "checksum-mode",
        "copy-source",
        "expected-bucket-owner",
        "request-payer",
        "sdk-checksum-algorithm",
    )
)
_S3_QUERY = re.compile(r"(?:\A|&)list-type=2(?:&|\Z)")
"""What only S3's clients send, signed or not."""


def parse_credential(head: RequestHead) -> Credential | None:
    """Return what the request claims to be signed with, unverified.

    Reads the Authorization header (SigV4 and SigV4a), a presigned query (X-Amz-*), and the SigV2
    forms that S3 still takes. None when there is no credential or nothing can be made of it;
    parts that are missing are empty. Never raises.
    """
    authorization = head.headers.get("authorization", "")
    if authorization:
        return _from_header(head, authorization)
    if "X-Amz-Credential=" in head.query:
        return _from_query(dict(_fields(head.query)))
    if "AWSAccessKeyId=" in head.query and "SignatureVersion=" not in head.query:
        fields = dict(_fields(head.query))
        key = fields.get("AWSAccessKeyId", "")
        token = fields.get("x-amz-security-token", "")
        return _sigv2(key, fields.get("Signature", ""), token, presigned=True)
    return None


_USUAL = re.compile(
    rf"(?:{'|'.join(_ALGORITHMS)}) Credential=([^/,\s]+)/([^/,\s]*)/([^/,\s]*)/([^/,\s]*)/aws4_request,"
    r" ?SignedHeaders=([a-z0-9-]+(?:;[a-z0-9-]+)*), ?"
)
"""What nearly all clients send before the signature; ``_from_header`` reads every other form, more
slowly."""
USUAL_CACHED = 1024
"""Such beginnings that are remembered: a client's are the same all day, for each kind of call."""
USUAL_CHARS_MAX = 512
"""Of one that is remembered."""


def _usual(text: str) -> tuple[str, str, str, str, tuple[str, ...]] | None:
    """Return key, date, region, signing name and signed headers; None: it is of another form."""
    found = _USUAL.fullmatch(text)
    if found is None:
        return None
    key, date, region, name, names = found.groups()
    return key, date, region, name, tuple(names.split(";"))


_usual_cached = functools.lru_cache(maxsize=USUAL_CACHED)(_usual)


def _from_header(head: RequestHead, authorization: str) -> Credential | None:
    token = head.headers.get("x-amz-security-token", "")
    before, _, signature = authorization.partition("Signature=")
    usual = (_usual_cached if len(before) <= USUAL_CHARS_MAX else _usual)(before)
    if usual is not None and signature.isalnum():
        return Credential(*usual, signature, token)
    scheme, _, rest = authorization.partition(" ")
    if scheme == "AWS":
        key, _, signature = rest.strip().partition(":")
        return _sigv2(key, signature, token, presigned=False)
    if scheme not in _ALGORITHMS:
        return None
    pairs = [part.strip().partition("=")[::2] for part in rest.split(",")]
    parts = dict(pairs)
    names = [name for name, _ in pairs]
    if any(names.count(name) > 1 for name in _PARAMETERS):
        parts = {}  # servers differ in which of the two they take
    scope = _scope(parts.get("Credential", ""), head.headers.get("x-amz-region-set", ""))
    if scope is None:
        return None
    return Credential(
        *scope,
        signed_headers=tuple(filter(None, parts.get("SignedHeaders", "").split(";"))),
        signature=parts.get("Signature", ""),
        session_token=token,
    )


def _from_query(fields: dict[str, str]) -> Credential | None:
    if fields.get("X-Amz-Algorithm", _ALGORITHMS[0]) not in _ALGORITHMS:
        return None
    scope = _scope(fields.get("X-Amz-Credential", ""), fields.get("X-Amz-Region-Set", ""))
    if scope is None:
        return None
    return Credential(
        *scope,
        signed_headers=tuple(filter(None, fields.get("X-Amz-SignedHeaders", "").split(";"))),
        signature=fields.get("X-Amz-Signature", ""),
        session_token=fields.get("X-Amz-Security-Token", ""),
        presigned=True,
    )


def form_credential(fields: Mapping[str, str]) -> Credential | None:
    """Return what a form for S3 claims that its policy is signed with, unverified.

    ``fields`` have names in lower case. None when there is no credential, or none for S3.
    """
    if "x-amz-credential" in fields:
        found = _from_query(
            {
                "X-Amz-Algorithm": fields.get("x-amz-algorithm", ""),
                "X-Amz-Credential": fields["x-amz-credential"],
                "X-Amz-Signature": fields.get("x-amz-signature", ""),
                "X-Amz-Security-Token": fields.get("x-amz-security-token", ""),
            }
        )
        return found if found is not None and found.signing_name == "s3" else None
    token = fields.get("x-amz-security-token", "")
    key, signature = fields.get("awsaccesskeyid", ""), fields.get("signature", "")
    return _sigv2(key, signature, token, presigned=True)


def _scope(text: str, region_set: str) -> tuple[str, str, str, str] | None:
    """Return key, date, region and signing name of ``key/date/region/name/aws4_request``.

    SigV4a's scope has no region; the regions stand in a header of their own.
    """
    match text.split("/"):
        case [key, date, region, name, "aws4_request"] if key:
            return key, date, region, name
        case [key, date, name, "aws4_request"] if key:
            return key, date, region_set.partition(",")[0].strip("* "), name
    return None


def _sigv2(key: str, signature: str, token: str, *, presigned: bool) -> Credential | None:
    """Return a SigV2 credential: it has no scope, and only S3 still takes it."""
    if not key:
        return None
    return Credential(key, "", "", "s3", (), signature, token, presigned=presigned)


def _fields(text: str) -> list[tuple[str, str]]:
    return parse_qsl("&".join(text.split("&", FORM_FIELDS_MAX)[:FORM_FIELDS_MAX]))


@dataclass(frozen=True, slots=True)
class _Sent:
    """What a request says it is for, before any model is asked."""

    prefix: str
    """Of X-Amz-Target, or the service in a Smithy RPC path; empty for a form."""
    operation: str
    protocol: str
    json_version: str = ""
    version: str = ""
    """A form's API version."""


def identify(
    head: RequestHead, credential: Credential | None, body: bytes, service: str = ""
) -> Target:
    """Return the service and operation that a request is for.

        1. ``service``, a known one that the address named, is the only candidate; else the
           credential scope's signing name gives the candidate services; without one that a
           model knows, a host name of AWS, the target prefix or the API version does
        2. at a Smithy RPC path, the path names the operation; at the path ``/``, X-Amz-Target
           does, else Action and Version
        3. else method, path, query and headers fit one of the REST routes
        4. else X-Amz-Target or Action name it after all

    The path comes before the header: a header that REST services ignore must not rename a call.
    ``head`` is as ``aws.address`` leaves it. ``body`` is what was kept of it; only forms are looked into. An operation that the models do
    not have is returned with ``known`` False. Never raises.
    """
    usual = None if service or credential is None else _usual_call(head, credential)
    if usual is not None:
        return usual
    group = catalog.alone(service) if service else _group(head, credential)
    sent = _sent(head, group, body)
    if sent is None or (head.path != "/" and sent.protocol != CBOR):
        routes = catalog.unsigned() if group is None and credential is None else group
        found = _by_path(routes, head) if routes else None
        if found is not None:
            return _as_signed(found, credential)
    source = _scope_source(credential)
    if sent is not None:
        return _named(sent, group, source)
    return _unknown(_Sent("", "", _guessed_protocol(head, group)), group, source)


def _by_path(routes: Group, head: RequestHead) -> Target | None:
    """Return the operation at a path; else at the one that servers may read it as, but for S3's."""
    found = routes.router.find(head)
    if found is not None or "s3" in {row.signing_name for row in routes.services}:
        return found
    plain = plain_path(head.path)
    if plain == head.path:
        return None
    return routes.router.find(msgspec.structs.replace(head, path=plain))


def _usual_call(head: RequestHead, credential: Credential) -> Target | None:
    """Return what most JSON calls are for; None where more than these two have to be looked at."""
    header = head.headers.get("x-amz-target", "")
    if not header or head.path != "/" or "smithy-protocol" in head.headers:
        return None
    if len(header) > TARGET_CHARS_MAX or len(credential.signing_name) > TARGET_CHARS_MAX:
        return None
    return _by_header(credential.signing_name, header, _json_version(head))


@functools.lru_cache(maxsize=TARGETS_CACHED)
def _by_header(signing_name: str, header: str, json_version: str) -> Target | None:
    """Return what X-Amz-Target names; None where that is not what counts."""
    group = catalog.by_signing_name(signing_name)
    if group is not None and "json" not in group.protocols:
        return None
    return _named(_by_target(header, json_version), group, _source_of(signing_name))


def _by_target(header: str, json_version: str) -> _Sent:
    prefix, _, name = header.rpartition(".")
    return _Sent(prefix, _plausible(name), "json", json_version)


def _group(head: RequestHead, credential: Credential | None) -> Group | None:
    if credential is None:
        group = catalog.by_host(head.headers.get("host", ""))
        return catalog.by_signing_name("s3") if group is None and _is_of_s3(head) else group
    return catalog.by_signing_name(credential.signing_name)


def _is_of_s3(head: RequestHead) -> bool:
    """Return whether an unsigned call has what only S3's clients send: anybody may read a public bucket."""
    return not _S3_HEADERS.isdisjoint(head.headers) or _S3_QUERY.search(head.query) is not None


def _sent(head: RequestHead, group: Group | None, body: bytes) -> _Sent | None:
    """Return what a header, a path or a form names, for the protocols that the group may speak."""
    if "smithy-protocol" in head.headers and (group is None or CBOR in group.protocols):
        path = _CBOR_PATH.search(head.path)
        if path is not None and head.headers["smithy-protocol"] == "rpc-v2-cbor":
            return _Sent(path[1], _plausible(path[2]), CBOR)
    header = head.headers.get("x-amz-target", "")
    if header and (group is None or "json" in group.protocols):
        return _by_target(header, _json_version(head))
    # A json service may have spoken query once, and old SDKs still do (SQS).
    if group is None or not group.protocols.isdisjoint(("query", "ec2", "json")):
        return _form(head, group, body)
    return None


def _form(head: RequestHead, group: Group | None, body: bytes) -> _Sent | None:
    """Return the Action of the body, if that is a form, else of the query string."""
    protocol = "ec2" if group is not None and "ec2" in group.protocols else "query"
    sent = _action(body, protocol) if has_form(head) else None
    return sent or _action(head.query.encode("latin-1", "replace"), protocol)


def _action(text: bytes, protocol: str) -> _Sent | None:
    action, version = _ACTION.search(text), _VERSION.search(text)
    if action is not None:
        number = version[1].decode() if version else ""
        return _Sent("", action[1].decode(), protocol, version=number)
    fields = dict(_fields(text.decode("latin-1"))) if b"%" in text else {}
    if "Action" not in fields:
        return None
    return _Sent("", _plausible(fields["Action"]), protocol, version=fields.get("Version", ""))


def _named(sent: _Sent, group: Group | None, source: str) -> Target:
    row = _service_of(sent, group)
    if row is None:
        return _unknown(sent, group, source)
    if name := catalog.operation_named(row, sent.operation):
        return _known(row.service, name, sent.protocol, sent.json_version)
    return catalog.target(row, sent.operation, sent.protocol, sent.json_version, known=False)


@functools.cache  # of operations that the models have, so the models bound it
def _known(service: str, operation: str, protocol: str, json_version: str) -> Target:
    return catalog.target(tables.services()[service], operation, protocol, json_version)


def _service_of(sent: _Sent, group: Group | None) -> ServiceRow | None:
    rows: Sequence[ServiceRow]
    if sent.prefix and group is not None:
        rows = group.targeted(sent.prefix, sent.operation, sent.protocol)
    elif sent.prefix:
        rows = catalog.by_target_prefix(sent.prefix)
    else:
        rows = group.services if group else catalog.by_version(sent.version)
    having = [row for row in rows if catalog.operation_named(row, sent.operation)]
    for row in having:
        if row.api_version == sent.version:
            return row
    if having:
        return having[0]
    return rows[0] if sent.prefix and rows else None


def _unknown(sent: _Sent, group: Group | None, source: str) -> Target:
    if group is not None:
        return group.unknown(sent.operation, sent.protocol, sent.json_version)
    return Target(
        "", source, sent.operation, sent.protocol, sent.json_version or "1.1", known=False
    )


def _as_signed(found: Target, credential: Credential | None) -> Target:
    """Return ``found`` under the name it was signed with: S3 Express is a source of its own."""
    if credential is None or not catalog.is_alias(credential.signing_name):
        return found
    operation = catalog.as_signed(credential.signing_name, found.operation)
    source = _scope_source(credential)
    return msgspec.structs.replace(found, event_source=source, operation=operation)


def _scope_source(credential: Credential | None) -> str:
    """Return the eventSource that the scope claims; empty when it cannot be a host name."""
    return "" if credential is None else _source_of(credential.signing_name)


def _source_of(signing_name: str) -> str:
    return f"{signing_name}.amazonaws.com" if _SIGNING_NAME.match(signing_name) else ""


def _plausible(name: str) -> str:
    return name if _IDENTIFIER.match(name) else ""


def _json_version(head: RequestHead) -> str:
    kind = head.headers.get("content-type", "").lower()
    return "1.0" if kind.startswith("application/x-amz-json-1.0") else "1.1"


def _guessed_protocol(head: RequestHead, group: Group | None) -> str:
    """Return the protocol in which a client that asks for something unknown expects its error."""
    if group is not None:
        return group.default().protocol
    kind = head.headers.get("content-type", "").lower()
    for start, protocol in _CONTENT_TYPES:
        if kind.startswith(start):
            return protocol
    return ""


_CONTENT_TYPES = (
    ("application/x-amz-json", "json"),
    ("application/json", "rest-json"),
    ("application/cbor", CBOR),
    ("application/x-www-form-urlencoded", "query"),
    ("application/xml", "rest-xml"),
)
