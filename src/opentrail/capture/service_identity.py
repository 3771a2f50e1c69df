# SPDX-License-Identifier: Apache-2.0
"""STS, IAM, KMS, Organizations, Secrets Manager and Systems Manager: what their models do not say.

Cognito's identity pools, too: they give out sessions; and Verified Permissions. Source: delivered records;
CloudTrail User Guide, "CloudTrail events"; Verified Permissions User Guide; KMS Developer Guide, "Logging AWS KMS API calls with AWS CloudTrail".
"""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from opentrail.capture.rules import Named, OperationRules, Redaction, ServiceRules, Times


def _rows(*rows: tuple[str, OperationRules]) -> Mapping[str, OperationRules]:
    """Return the table of ``rows``: operation names with spaces between them, and their rules."""
    return MappingProxyType({name: rules for names, rules in rows for name in names.split()})


_DENIED = frozenset({"AccessDenied"})

# The three AssumeRole operations are recorded as reads, and with their response all the same.
_ROLE = (Named("AWS::IAM::Role", ("RoleArn",)),)
_ASSUME = OperationRules(read_only=True, response=True, named=_ROLE)
_SESSION = OperationRules(read_only=False)
STS = ServiceRules(
    times=Times.JAVA_COMMA,
    # What proves who calls is in no delivered record, not even as hidden.
    drop=frozenset({"SAMLAssertion", "TokenCode", "WebIdentityToken"}),
    unparsed_errors=_DENIED,
    operations=_rows(
        ("AssumeRole AssumeRoleWithSAML AssumeRoleWithWebIdentity", _ASSUME),
        ("GetFederationToken GetSessionToken", _SESSION),
    ),
)

# Whoever asks gets a session: a write, and its record says which.
COGNITO_IDENTITY = ServiceRules(
    operations=_rows(
        (
            "GetCredentialsForIdentity",
            OperationRules(
                data=Named("AWS::Cognito::IdentityPool"),
                drop=frozenset({"SecretKey"}),
                read_only=False,
            ),
        ),
    ),
)

# Passwords and one-time codes are not even shown as hidden.
IAM = ServiceRules(
    event_version="1.11",
    redaction=Redaction.OMITTED,
    drop=frozenset({"AuthenticationCode1", "AuthenticationCode2"}),
)
ORGANIZATIONS = ServiceRules(
    event_version="1.09", redaction=Redaction.MASKED, unparsed_errors=_DENIED
)

_KEY = Named(
    "AWS::KMS::Key",
    ("KeyId",),
    "arn:{partition}:kms:{region}:{account}:{name}",
    kind="key/",
    answer=("KeyId",),
)
_ALIAS = Named("AWS::KMS::Key", ("AliasName",), _KEY.arn, kind="alias/")
_TARGET = Named("AWS::KMS::Key", ("TargetKeyId",), _KEY.arn, kind="key/")
_NEW_KEY = Named("AWS::KMS::Key", answer=("KeyMetadata", "Arn"))
_USES = "DeriveSharedSecret Encrypt GenerateMac GenerateRandom Sign Verify VerifyMac"
_USES_MATERIAL = (
    "Decrypt GenerateDataKey GenerateDataKeyPair GenerateDataKeyPairWithoutPlaintext"
    " GenerateDataKeyWithoutPlaintext"
)
_RE_ENCRYPTED = (
    Named("AWS::KMS::Key", ("SourceKeyId",), _KEY.arn, kind="key/", answer=("SourceKeyId",)),
    Named("AWS::KMS::Key", ("DestinationKeyId",), _KEY.arn, kind="key/", answer=("KeyId",)),
)
KMS = ServiceRules(
    event_version="1.11",
    times=Times.JAVA_COMMA,
    redaction=Redaction.OMITTED,
    named=(_KEY,),
    operations=_rows(
        (_USES, OperationRules(read_only=True)),
        (_USES_MATERIAL, OperationRules(read_only=True, beside=("KeyMaterialId",))),
        (
            "ReEncrypt",
            OperationRules(
                read_only=True,
                named=_RE_ENCRYPTED,
                beside=("DestinationKeyMaterialId", "SourceKeyMaterialId"),
            ),
        ),
        ("CreateKey ReplicateKey", OperationRules(named=(_NEW_KEY,))),
        ("CreateAlias UpdateAlias", OperationRules(named=(_TARGET, _ALIAS))),
        ("DeleteAlias", OperationRules(named=(_ALIAS,))),
        (
            "CreateCustomKeyStore UpdateCustomKeyStore",
            OperationRules(spelling=MappingProxyType({"CloudHsmClusterId": "clusterId"})),
        ),
        # Of what was answered in full to whoever asked, records show only which key it was.
        ("CreateGrant", OperationRules(answer_keep=frozenset({"GrantId", "KeyId"}))),
    ),
)

_ARN = MappingProxyType({"ARN": "aRN"})
_WRITTEN = OperationRules(answer_keep=frozenset({"ARN"}))
SECRETS_MANAGER = ServiceRules(
    event_version="1.11",
    times=Times.JAVA_COMMA,
    redaction=Redaction.OMITTED,
    spelling=MappingProxyType({"ARN": "arn"}),
    operations=_rows(
        ("CreateSecret PutSecretValue UpdateSecret", _WRITTEN),
        # Two spellings live side by side in delivered records.
        (
            "DeleteResourcePolicy DeleteSecret PutResourcePolicy RestoreSecret",
            OperationRules(spelling=_ARN),
        ),
    ),
)

_PARAMETER = "arn:{partition}:ssm:{region}:{account}:{name}"
_SSM_INSTANCE = Named("", ("InstanceId",), "arn:{partition}:ec2:{region}:{account}:instance/{name}")


def _parameter(member: str) -> OperationRules:
    return OperationRules(named=(Named("", (member,), _PARAMETER, kind="parameter/"),))


SSM = ServiceRules(
    times=Times.JAVA_COMMA,
    unparsed_errors=frozenset({"ThrottlingException"}),
    operations=_rows(
        ("DeleteParameter GetParameter GetParameterHistory PutParameter", _parameter("Name")),
        ("DeleteParameters GetParameters", _parameter("Names")),
        ("PutInventory", OperationRules(named=(_SSM_INSTANCE,))),
    ),
)

_STORE = Named(
    "AWS::VerifiedPermissions::PolicyStore",
    ("policyStoreId",),
    "arn:{partition}:verifiedpermissions::{account}:policy-store/{name}",
)
_DECISIONS = OperationRules(
    keep=frozenset({"action", "policyStoreId", "principal", "requests", "resource"}),
    drop=frozenset({"context"}),
    data=_STORE,
    response=False,
)
_DECISION = dataclasses.replace(_DECISIONS, beside=("decision",))
VERIFIED_PERMISSIONS = ServiceRules(
    times=Times.AS_SENT,
    drop=frozenset({"definition", "statement"}),
    named=(_STORE,),
    operations=_rows(
        ("BatchIsAuthorized BatchIsAuthorizedWithToken", _DECISIONS),
        ("IsAuthorized IsAuthorizedWithToken", _DECISION),
    ),
)
