# SPDX-License-Identifier: Apache-2.0
"""Read from an STS answer whose the session is that it made.

Follows the AWS Security Token Service API Reference (the answers of the operations below) and the
CloudTrail User Guide, "CloudTrail userIdentity element". Pure: what is learned goes to the caller.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import parse_qsl

import msgspec

from opentrail.access.key_table import KeyTable
from opentrail.access.keys import (
    AccessKey,
    IdentityType,
    Session,
    SessionIssuer,
    identity_of_arn,
)
from opentrail.aws.model import operation
from opentrail.aws.protocol import parse_identity
from opentrail.aws.request import Target
from opentrail.aws.route import parse_credential
from opentrail.capture.call import Call, plain

SESSION_MS_MAX = 36 * 3600 * 1000
"""No session outlives 36 hours, GetSessionToken's longest: an answer that says more is cut."""

PARAMETERS_MAX = 1000
"""Parameters of a request that are read; AssumeRole with 50 tags has about 120."""

_ROLE_OPERATIONS = frozenset({"AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity"})
_TOKEN_OPERATIONS = frozenset({"AssumeRoleWithSAML", "AssumeRoleWithWebIdentity"})
_CALLER_OPERATIONS = frozenset({"GetSessionToken", "GetFederationToken"})


class _Credentials(msgspec.Struct, frozen=True, rename="pascal"):
    access_key_id: str
    secret_access_key: str
    session_token: str
    expiration: str

    def __repr__(self) -> str:
        return "_Credentials()"


class _AssumedRoleUser(msgspec.Struct, frozen=True, rename="pascal"):
    assumed_role_id: str
    arn: str


class _FederatedUser(msgspec.Struct, frozen=True, rename="pascal"):
    federated_user_id: str
    arn: str


class _Answer(msgspec.Struct, frozen=True, rename="pascal"):
    """What the answers of all five operations have, as far as it is used."""

    credentials: _Credentials
    assumed_role_user: _AssumedRoleUser | None = None
    federated_user: _FederatedUser | None = None
    source_identity: str = ""
    provider: str = ""
    subject_from_web_identity_token: str = ""
    audience: str = ""
    subject: str = ""
    name_qualifier: str = ""


def teaches(target: Target) -> bool:
    """Return whether the answers of this operation make sessions: their bodies are needed."""
    return target.event_source == "sts.amazonaws.com" and (
        target.operation in _ROLE_OPERATIONS or target.operation in _CALLER_OPERATIONS
    )


def session_of(call: Call, keys: KeyTable, now_ms: int) -> AccessKey | None:
    """Return the session that the answer to ``call`` made at ``now_ms``, or None.

    ``keys`` tells who called. A session that a caller got for itself (GetSessionToken,
    GetFederationToken) is no better proven than that caller: when its signature was not verified,
    the session comes without its secret, so that it cannot be verified either.
    """
    answer = _answer(call)
    if answer is None:
        return None
    expires_ms = _expiry(answer.credentials.expiration, now_ms)
    caller = _caller(call, keys, now_ms)
    identity = _identity(call, answer, caller, now_ms)
    if identity is None or expires_ms is None:
        return None
    proven = call.target.operation in _ROLE_OPERATIONS or call.caller.verified
    return replace(
        identity,
        access_key_id=answer.credentials.access_key_id,
        secret_access_key=answer.credentials.secret_access_key if proven else "",
        session_token=answer.credentials.session_token,
        expires_ms=expires_ms,
        configured=False,
    )


def asker_of(call: Call) -> AccessKey | None:
    """Return who asked for a role with a token instead of a key, as STS read the token; or None."""
    answer = _answer(call) if call.target.operation in _TOKEN_OPERATIONS else None
    role_user = answer.assumed_role_user if answer else None
    role = identity_of_arn(role_user.arn) if role_user else None
    if answer is None or role is None:
        return None
    if call.target.operation == "AssumeRoleWithSAML":
        type_, provider, user = IdentityType.SAML_USER, answer.name_qualifier, answer.subject
        principal_id = f"{provider}:{user}"
    else:
        user = answer.subject_from_web_identity_token
        type_, provider = IdentityType.WEB_IDENTITY_USER, answer.provider
        principal_id = f"{provider}:{answer.audience}:{user}"
    if not user:
        return None
    return AccessKey(
        access_key_id="",
        secret_access_key="",
        type=type_,
        account=role.account,
        principal_id=principal_id,
        user_name=user,
        identity_provider=provider,
    )


def _answer(call: Call) -> _Answer | None:
    model = operation(call.target) if teaches(call.target) and is_plain_success(call) else None
    if model is None:
        return None
    data = plain(call.response, call.response_headers).data
    try:
        return msgspec.convert(parse_identity(model, data), _Answer)
    except msgspec.ValidationError:
        return None


def is_plain_success(call: Call) -> bool:
    """Return whether this is a whole answer of STS or IAM itself, to one clear question.

    They have one path. Elsewhere another service may have answered with bytes of a caller's own.
    Nor may parameters stand in the query string: which of two the upstream took is not known.
    """
    return (
        call.status == HTTPStatus.OK
        and (call.head.method, call.head.path, call.head.query) == ("POST", "/", "")
        and call.request.complete
        and call.response.complete
    )


def _caller(call: Call, keys: KeyTable, now_ms: int) -> AccessKey | None:
    credential = parse_credential(call.head)
    key = keys.find(credential.access_key_id) if credential else None
    return None if key is None or key.expired(now_ms) else key


def _identity(
    call: Call, answer: _Answer, caller: AccessKey | None, now_ms: int
) -> AccessKey | None:
    """Return whose the session is; the session's own key is filled in by the caller of this."""
    parameters = _parameters(call.request.data)
    session = Session(
        created_ms=now_ms,
        mfa=bool(parameters.get("SerialNumber") and parameters.get("TokenCode")),
    )
    if call.target.operation in _ROLE_OPERATIONS:
        inherited = caller.session if caller and call.caller.verified else None
        session = replace(
            session,
            source_identity=answer.source_identity
            or parameters.get("SourceIdentity", "")
            or (inherited.source_identity if inherited else ""),
            federated_provider=answer.provider or parameters.get("PrincipalArn", ""),
        )
        return _role_session(answer.assumed_role_user, parameters.get("RoleArn", ""), session)
    if call.target.operation == "GetFederationToken":
        return _federation(answer.federated_user, caller, session)
    if caller is None or caller.session is not None:
        return None
    return replace(caller, session=session)


def _parameters(body: bytes) -> Mapping[str, str]:
    """Return the parameters; none where one stands twice: the upstream may have taken either."""
    text = body.decode("utf-8", "replace")
    try:
        pairs = parse_qsl(text, max_num_fields=PARAMETERS_MAX)
    except ValueError:
        return {}
    found = dict(pairs)
    return found if len(found) == len(pairs) else {}


def _role_session(
    user: _AssumedRoleUser | None, role_arn: str, session: Session
) -> AccessKey | None:
    """Return the identity, or None when the answer is about another role than was asked for."""
    identity = identity_of_arn(user.arn) if user else None
    if not user or not identity or not identity.session or not identity.session.issuer:
        return None
    name = identity.session.issuer.user_name
    head, _, path = role_arn.partition(":role/")
    if head != identity.session.issuer.arn.partition(":role/")[0] or path.split("/")[-1] != name:
        return None
    role_id = user.assumed_role_id.partition(":")[0]
    issuer = SessionIssuer("Role", role_id, role_arn, identity.account, name)
    return replace(
        identity, principal_id=user.assumed_role_id, session=replace(session, issuer=issuer)
    )


def _federation(
    user: _FederatedUser | None, caller: AccessKey | None, session: Session
) -> AccessKey | None:
    """Return the identity; it has no policies: what its session policy grants is not evaluated."""
    identity = identity_of_arn(user.arn) if user else None
    if not user or not identity or identity.type is not IdentityType.FEDERATED_USER:
        return None
    issuer = None
    if caller is not None:
        issuer = SessionIssuer(
            caller.type.value, caller.principal_id, caller.arn, caller.account, caller.user_name
        )
    return replace(
        identity, principal_id=user.federated_user_id, session=replace(session, issuer=issuer)
    )


def _expiry(text: str, now_ms: int) -> int | None:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return min(int(aware.timestamp() * 1000), now_ms + SESSION_MS_MAX)
