# SPDX-License-Identifier: Apache-2.0
"""Write the ``userIdentity`` element of a record.

Follows the CloudTrail User Guide, "CloudTrail userIdentity element"; the fields stand in the order
of real records, and what is not known is left out.
"""

import msgspec

from opentrail.access.keys import AccessKey, IdentityType, Session
from opentrail.clock import iso_seconds


class _Part(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A part of the element; its fields carry AWS's names."""


class _SessionIssuer(_Part, frozen=True):
    type: str
    principal_id: str = ""
    arn: str = ""
    account_id: str = ""
    user_name: str = ""


class _WebIdFederationData(_Part, frozen=True):
    federated_provider: str
    attributes: dict[str, str]


class _Attributes(_Part, frozen=True):
    creation_date: str
    mfa_authenticated: str
    """``"true"`` or ``"false"``: a string, as AWS has it."""


class _SessionContext(_Part, frozen=True):
    session_issuer: _SessionIssuer | None = None
    web_id_federation_data: _WebIdFederationData | None = None
    attributes: _Attributes | None = None
    source_identity: str = ""


class _OnBehalfOf(_Part, frozen=True):
    user_id: str
    identity_store_arn: str


class _UserIdentity(_Part, frozen=True):
    type: str
    principal_id: str = ""
    arn: str = ""
    account_id: str = ""
    access_key_id: str = ""
    user_name: str = ""
    session_context: _SessionContext | None = None
    on_behalf_of: _OnBehalfOf | None = None
    credential_id: str = ""
    identity_provider: str = ""
    invoked_by: str = ""


_SHOWN = {
    IdentityType.AWS_SERVICE: frozenset({"invoked_by"}),
    IdentityType.AWS_ACCOUNT: frozenset({"principal_id", "account_id"}),
    IdentityType.IDENTITY_CENTER_USER: frozenset({"account_id", "on_behalf_of", "credential_id"}),
    IdentityType.SAML_USER: frozenset({"principal_id", "user_name", "identity_provider"}),
    IdentityType.WEB_IDENTITY_USER: frozenset({"principal_id", "user_name", "identity_provider"}),
}
"""What the types show that do not show all that is known."""
_ISSUED = frozenset({IdentityType.ASSUMED_ROLE, IdentityType.FEDERATED_USER})
"""Types whose sessions name their issuer instead of a user."""


def encode_identity(key: AccessKey) -> msgspec.Raw:
    """Return the element's JSON for the owner of ``key``."""
    principal_id = key.principal_id
    if key.type is IdentityType.ROOT:
        principal_id = principal_id or key.account
    for_whom = key.on_behalf_of
    identity = _UserIdentity(
        type=key.type.value,
        principal_id=principal_id,
        arn=key.arn,
        account_id=key.account,
        access_key_id=key.access_key_id,
        user_name="" if key.type in _ISSUED else key.user_name,
        session_context=_session_context(key.session) if key.session else None,
        on_behalf_of=_OnBehalfOf(for_whom.user_id, for_whom.identity_store_arn)
        if for_whom
        else None,
        credential_id=key.credential_id,
        identity_provider=key.identity_provider,
        invoked_by=key.invoked_by,
    )
    return msgspec.Raw(msgspec.json.encode(_as_shown(identity, key.type)))


def _as_shown(identity: _UserIdentity, type_: IdentityType) -> _UserIdentity:
    shown = _SHOWN.get(type_)
    if shown is None:
        return identity
    kept = {name: getattr(identity, name) for name in sorted(shown)}
    return _UserIdentity(type=identity.type, **kept)


def _session_context(session: Session) -> _SessionContext:
    issuer = session.issuer
    provider = session.federated_provider
    return _SessionContext(
        session_issuer=_SessionIssuer(
            issuer.type, issuer.principal_id, issuer.arn, issuer.account, issuer.user_name
        )
        if issuer
        else None,
        web_id_federation_data=_WebIdFederationData(provider, {}) if provider else None,
        attributes=_Attributes(iso_seconds(session.created_ms), "true" if session.mfa else "false")
        if session.created_ms
        else None,
        source_identity=session.source_identity,
    )
