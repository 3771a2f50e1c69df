# SPDX-License-Identifier: Apache-2.0
"""How callers without AWS credentials are known, as the settings have it, and the issuer's keys."""

import asyncio
import http.client
import ipaddress
import logging
import ssl
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from opentrail.access.keys import AccessKey, IdentityType, identity_of_arn
from opentrail.access.tokens import (
    KEY_SET_BYTES_MAX,
    KeySet,
    TokenRules,
    Tokens,
    read_key_set,
)
from opentrail.capture.vouched import ProxyRules, Vouched, VouchedRules
from opentrail.clock import Clock
from opentrail.config import Settings
from opentrail.config.identity import ClientCertificate, Jwt
from opentrail.errors import UsageError

FETCH_S_MAX = 5.0
"""An issuer that takes longer is asked again: its keys change a few times a year."""
RETRY_S = 10.0
"""How soon keys are fetched again after a failure, or for a token that names an unknown one."""
STALE_S_MAX = 24 * 3600.0
"""How long keys are believed that could not be fetched anew: one may have been revoked."""

_log = logging.getLogger("opentrail.front")


def make_vouched(settings: Settings, tokens: Tokens | None) -> Vouched:
    """Return what knows callers without AWS credentials."""
    proxy = settings.proxy
    return Vouched(
        VouchedRules(
            settings.account,
            ProxyRules(
                [ipaddress.ip_network(network) for network in proxy.networks],
                proxy.user_header,
                proxy.account_header,
                proxy.console_header,
                proxy.provider,
            ),
            settings.jwt.header,
            {
                subject: _owner(certificate, settings.account)
                for subject, certificate in settings.client_certificates.items()
            },
        ),
        tokens,
    )


def _owner(certificate: ClientCertificate, account: str) -> AccessKey:
    found = identity_of_arn(certificate.arn)
    if found is not None:
        return replace(found, configured=True)
    return AccessKey(
        "",
        "",
        IdentityType.AWS_SERVICE,
        account,
        invoked_by=certificate.service,
        configured=True,
    )


class IssuerKeys:
    """The issuer's key set, fetched anew when it is due."""

    def __init__(self, jwt: Jwt, account: str, clock: Clock) -> None:
        """Read the set if it is a file. Raises: UsageError: it cannot be used."""
        self._jwt = jwt
        self._clock = clock
        self._due_s = 0.0
        self._since_s = clock.monotonic()
        self.tokens = Tokens(_rules(jwt), account)
        if "://" not in jwt.jwks:
            self._take(_read(jwt.jwks))

    def _take(self, keys: KeySet) -> None:
        self.tokens.use(keys)
        self._since_s = self._clock.monotonic()
        self._due_s = self._since_s + self._jwt.refresh_s

    async def step(self) -> None:
        """Fetch the keys if that is due; a failure is logged, and the old ones go on for a day."""
        now_s = self._clock.monotonic()
        wanted = self.tokens.wants_keys and now_s - self._since_s >= RETRY_S
        if now_s < self._due_s and not wanted:
            return
        self._due_s = now_s + RETRY_S
        try:
            self._take(await asyncio.to_thread(_read, self._jwt.jwks))
        except UsageError as error:
            self.tokens.wants_keys = False
            _log.error("jwt.jwks: %s; tried again in %s s", error, RETRY_S)
            if now_s - self._since_s > STALE_S_MAX:
                self.tokens.use({})


def _rules(jwt: Jwt) -> TokenRules:
    return TokenRules(
        jwt.issuer,
        jwt.audience,
        jwt.algorithms,
        jwt.skew_s,
        jwt.name_claim,
        jwt.arn_claim,
        jwt.account_claim,
    )


def _read(where: str) -> KeySet:
    """Return the key set of a file or URL. Raises: UsageError."""
    try:
        if "://" in where:
            return read_key_set(_fetch(where))
        with Path(where).open("rb") as file:
            return read_key_set(file.read(KEY_SET_BYTES_MAX + 1))
    except (OSError, http.client.HTTPException) as error:
        raise UsageError(f"{where} cannot be read: {type(error).__name__}") from error


def _fetch(url: str) -> bytes:
    """Return what a URL gives: no redirects, no proxy, no more than a key set may have."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https":
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, parts.port, timeout=FETCH_S_MAX, context=ssl.create_default_context()
        )
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=FETCH_S_MAX)
    try:
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        connection.request("GET", target, headers={"accept": "application/json"})
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            raise UsageError(f"{url} answers {answer.status}")
        return answer.read(KEY_SET_BYTES_MAX + 1)
    finally:
        connection.close()
