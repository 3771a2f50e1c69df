# SPDX-License-Identifier: Apache-2.0
"""botocore clients that ask nothing else than they were told: for buckets, and for other services."""

from dataclasses import dataclass, field
from functools import cache
from typing import Literal

import botocore.session
import msgspec
from botocore import exceptions as driver
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials
from botocore.loaders import Loader, create_loader
from botocore.model import OperationModel
from botocore.parsers import ResponseParserError

from opentrail.errors import Unavailable, UsageError
from opentrail.objects.exchange import bound

CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 25
"""Of silence: a server that still answers then is not one to wait for. Both attempts end before
``front.backend.ANSWER_TIMEOUT_S``, so that whoever waits hears why."""
ATTEMPTS_MAX = 2
"""Of one call; who called tries again later, so a dead endpoint must not hold it up for long."""
POOL_CONNECTIONS = 32
"""Kept: as many threads as ``opentrail verify`` lets ask at once. urllib3 warns of each one more."""
KEY_REFUSED = frozenset(
    {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidSignatureException", "ExpiredToken"}
    | {"ExpiredTokenException", "InvalidToken", "TokenRefreshRequired", "RequestExpired"}
    | {"InvalidTokenId"}  # MinIO's
    | {"UnrecognizedClientException", "InvalidClientTokenId"}
)
"""Answers to a key that was rotated: a client that is made anew reads the shared files again."""
LET_THROUGH = (OSError, LookupError, ValueError, TypeError, AttributeError)
"""What botocore does not catch: a credential process that cannot be run or prints no JSON object, an
answer that is of no AWS service."""
_ERROR_MIN = 300
_HINT = "check the settings and the AWS shared files, then restart"


@dataclass(frozen=True, slots=True)
class ClientSpec:
    """Which client is wanted."""

    service: str
    region: str
    endpoint: str = ""
    """URL; empty: AWS's own for the region."""
    credentials_profile: str = ""
    """A profile of the AWS shared files; empty: botocore's usual search."""
    ca: str = ""
    addressing: Literal["auto", "path", "virtual"] = "auto"
    key: tuple[str, str, str] = field(default=("", "", ""), repr=False)
    """Access key id, secret and session token to sign with; empty: those of the profile."""


def make_client(spec: ClientSpec) -> object:
    """Return a client. It takes some hundredths of a second and memory: keep it.

    Raises: Unavailable: the shared files or the endpoint cannot be used.
    """
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        max_pool_connections=POOL_CONNECTIONS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS_MAX},
        # Servers other than AWS's do not all know the newer checksums; Content-MD5 is sent.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": spec.addressing},
    )
    key_id, secret, token = spec.key
    session = botocore.session.Session(profile=spec.credentials_profile or None)
    session.register_component("data_loader", _loader())
    try:
        client = session.create_client(
            spec.service,
            region_name=spec.region,
            endpoint_url=spec.endpoint or None,
            verify=spec.ca or None,
            config=config,
            aws_access_key_id=key_id or None,
            aws_secret_access_key=secret or None,
            aws_session_token=token or None,
        )
    except (driver.BotoCoreError, *LET_THROUGH) as error:
        raise Unavailable(
            f"no {spec.service} client for {spec.endpoint or spec.region}: {error}", _HINT
        ) from error
    client.meta.events.register("after-call", _refuse_pages)
    bound(client)
    return client


@cache
def known_regions() -> frozenset[str]:
    """Return AWS's regions, of all partitions, as far as botocore knows them."""
    data = _loader().load_data("partitions")
    return frozenset(region for each in data["partitions"] for region in each["regions"])


@cache
def _loader() -> Loader:
    """Return what reads service models: one for all clients, of which each has 8 MB otherwise."""
    return create_loader()


def _refuse_pages(http_response: AWSResponse, model: OperationModel, **_more: object) -> None:
    """Raise ResponseParserError for what is no answer of a JSON protocol, or half of one.

    botocore takes both, and a proxy's page, for an answer that says nothing: for a success.
    """
    is_json = model.service_model.protocol == "json" and model.output_shape is not None
    if not is_json or http_response.status_code >= _ERROR_MIN:
        return
    try:
        msgspec.json.decode(http_response.content, type=dict[str, msgspec.Raw])
    except msgspec.MsgspecError as error:
        raise ResponseParserError("an answer that is no JSON object") from error


def has_credentials(profile: str) -> bool:
    """Return whether botocore's usual search finds something to sign with. Raises: Unavailable."""
    return credentials_of(profile) is not None


def credentials_of(profile: str) -> ReadOnlyCredentials | None:
    """Return what botocore's usual search finds to sign with, as it is now. Raises: Unavailable."""
    try:
        found = botocore.session.Session(profile=profile or None).get_credentials()
        return None if found is None else found.get_frozen_credentials()
    except (driver.BotoCoreError, *LET_THROUGH) as error:
        raise Unavailable(f"no credentials: {type(error).__name__}", _HINT) from error


def check_profile(profile: str) -> None:
    """Raise UsageError for a profile that is not there."""
    try:
        botocore.session.Session(profile=profile).get_scoped_config()
    except driver.BotoCoreError as error:
        raise UsageError(f"credentials profile {profile}: {error}") from error
