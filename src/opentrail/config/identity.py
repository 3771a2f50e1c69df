# SPDX-License-Identifier: Apache-2.0
"""Settings of callers that do not sign as AWS clients do: tokens, proxies, certificates."""

import ipaddress
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from opentrail.access.keys import identity_of_arn
from opentrail.access.token_bounds import ALGORITHMS, SKEW_S_MAX
from opentrail.errors import UsageError

Header = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(?:[a-z0-9-]{1,64})?\Z", description="the name of a header in lower case"
    ),
]


class Jwt(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """JSON Web Tokens that say who calls."""

    issuer: str = ""
    """The claim iss; empty: tokens say nothing."""
    audience: str = ""
    jwks: str = ""
    """A file, or an https URL, with the issuer's key set."""
    algorithms: tuple[str, ...] = ("RS256", "ES256")
    header: Header = "authorization"
    skew_s: Annotated[int, msgspec.Meta(ge=0, le=SKEW_S_MAX)] = 60
    refresh_s: Annotated[float, msgspec.Meta(ge=10, le=86_400)] = 3600.0
    name_claim: str = "sub"
    arn_claim: str = ""
    account_claim: str = ""


class Proxy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Proxies that say who calls, in headers of theirs."""

    networks: tuple[str, ...] = ()
    user_header: Header = ""
    account_header: Header = ""
    console_header: Header = ""
    provider: str = "proxy"


class ClientCertificate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whose a client certificate is."""

    arn: str = ""
    service: str = ""
    """The service that calls with it, instead of an ARN."""


def check_jwt(jwt: Jwt) -> None:
    """Check what no type can say. Raises: UsageError."""
    if not jwt.issuer:
        if jwt.jwks or jwt.audience:
            raise UsageError("jwt.issuer is needed for tokens to say who calls")
        return
    for name in ("audience", "jwks", "name_claim", "header"):
        if not getattr(jwt, name):
            raise UsageError(f"jwt.{name} must be set together with jwt.issuer")
    unknown = set(jwt.algorithms) - ALGORITHMS
    if unknown or not jwt.algorithms:
        raise UsageError(f"jwt.algorithms may be {', '.join(sorted(ALGORITHMS))}")
    url = urlsplit(jwt.jwks)
    if url.scheme == "http" and url.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise UsageError(
            "jwt.jwks must be an https URL: keys that anybody can change prove nothing"
        )


def check_proxy(proxy: Proxy) -> None:
    """Check what no type can say. Raises: UsageError."""
    said = proxy.user_header or proxy.account_header or proxy.console_header
    if said and not proxy.networks:
        raise UsageError("proxy.networks must say whose headers are believed, such as 10.0.0.7/32")
    for network in proxy.networks:
        try:
            found = ipaddress.ip_network(network)
        except ValueError as error:
            raise UsageError(f"proxy.networks: {error}") from error
        if found.prefixlen == 0:
            raise UsageError("proxy.networks must not be everybody")


def check_certificates(certificates: Mapping[str, ClientCertificate], client_ca: str) -> None:
    """Check what no type can say. Raises: UsageError."""
    if certificates and not client_ca:
        raise UsageError("client_certificates need listen.tls_client_ca, which vouches for them")
    for subject, certificate in certificates.items():
        name = f"client_certificates.{subject!r}"
        if bool(certificate.arn) == bool(certificate.service):
            raise UsageError(f"{name} needs either arn or service")
        if certificate.arn and identity_of_arn(certificate.arn) is None:
            raise UsageError(f"{name}: arn is not a caller's ARN")
