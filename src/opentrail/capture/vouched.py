# SPDX-License-Identifier: Apache-2.0
"""Who a caller is by other means than an AWS signature.

A token that is proven, the word of a proxy that is trusted, the certificate of a TLS connection.
They count for calls that carry no AWS credential: a signature is never overruled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from opentrail.access.keys import AccessKey, identity_of_arn, is_account
from opentrail.access.tokens import NAME_CHARS_MAX, Tokens, web_identity
from opentrail.capture.arrival import Arrival, Network, within
from opentrail.errors import ClientError

_BEARER = "bearer "


@dataclass(frozen=True, slots=True)
class ProxyRules:
    """Which proxies are believed, and in which headers they say who calls."""

    networks: Sequence[Network] = ()
    """Addresses of the proxies themselves: what X-Forwarded-For says does not count."""
    user_header: str = ""
    """Names in lower case; empty: there is none."""
    account_header: str = ""
    console_header: str = ""
    provider: str = "proxy"
    """What identities of names that are no ARN give as their provider."""


@dataclass(frozen=True, slots=True)
class VouchedRules:
    """By what means callers may be known."""

    account: str
    """Of identities that name none."""
    proxy: ProxyRules = ProxyRules()
    bearer_header: str = "authorization"
    certificates: Mapping[str, AccessKey] | None = None
    """A name in a certificate, as ``Tls.client_names`` has it -> whose it is."""


class Vouched:
    """Knows callers without AWS credentials. Not safe from several threads."""

    def __init__(self, rules: VouchedRules, tokens: Tokens | None) -> None:
        self._rules = rules
        self._tokens = tokens

    def identity(self, arrival: Arrival, now_ms: int) -> AccessKey | None:
        """Return who made a call that has no AWS credential; None when nobody says.

        Raises: ClientError: what it carries instead is not good.
        """
        found = self._by_token(arrival, now_ms) or self._by_proxy(arrival)
        found = found or self._by_certificate(arrival)
        if found is not None and self.from_console(arrival):
            return replace(found, from_console=True)
        return found

    def from_console(self, arrival: Arrival) -> bool:
        """Return whether a trusted proxy says that the call comes from a console's session."""
        return self._said(arrival, self._rules.proxy.console_header).lower() == "true"

    def _by_token(self, arrival: Arrival, now_ms: int) -> AccessKey | None:
        name = self._rules.bearer_header
        text = arrival.head.headers.get(name, "") if self._tokens else ""
        if not text or self._tokens is None:
            return None
        if text[: len(_BEARER)].lower() == _BEARER:
            text = text[len(_BEARER) :].strip()
        elif name == "authorization":
            return None
        _check_once(arrival, name)
        return self._tokens.identity(text, now_ms)

    def _by_proxy(self, arrival: Arrival) -> AccessKey | None:
        rules = self._rules.proxy
        name = self._said(arrival, rules.user_header)
        if not name:
            return None
        identity = identity_of_arn(name)
        if identity is not None:
            return identity
        if len(name) > NAME_CHARS_MAX or not name.isprintable():
            raise _bad_header(rules.user_header, "must be a name or an ARN")
        account = self._said(arrival, rules.account_header)
        if account and not is_account(account):
            raise _bad_header(rules.account_header, "must be twelve digits")
        return web_identity(
            f"{rules.provider}:{name}", name, rules.provider, account or self._rules.account
        )

    def _by_certificate(self, arrival: Arrival) -> AccessKey | None:
        """Return whose certificate the client showed; nobody's, where its names mean several."""
        owners = self._rules.certificates or {}
        names = arrival.tls.client_names if arrival.tls else ()
        found = [owners[name] for name in names if name in owners]
        return found[0] if found and all(owner == found[0] for owner in found) else None

    def _said(self, arrival: Arrival, header: str) -> str:
        """Return what a header says that only a trusted proxy may set; "" from anybody else."""
        if not header or header not in arrival.head.headers:
            return ""
        if not within(arrival.peer, self._rules.proxy.networks):
            return ""
        _check_once(arrival, header)
        raw = arrival.head.headers[header].strip()
        return raw if raw.isascii() else raw.encode("latin-1").decode("utf-8", "replace")


def _check_once(arrival: Arrival, header: str) -> None:
    """Refuse a header that stands twice. Raises: ClientError: of two values one may be the client's own."""
    name = header.encode()
    if sum(each == name for each, _ in arrival.raw_headers) > 1:
        raise _bad_header(header, "must not stand twice")


def _bad_header(header: str, what: str) -> ClientError:
    return ClientError("InvalidRequest", f"The header '{header}' {what}.")
