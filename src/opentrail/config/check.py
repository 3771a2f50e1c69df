# SPDX-License-Identifier: Apache-2.0
"""What of the settings no type can say: addresses, URLs, and settings that need or exclude each other."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from opentrail.config.identity import check_certificates, check_jwt, check_proxy
from opentrail.config.settings import (
    LISTEN_DEFAULT,
    PORT_MAX,
    Exclude,
    Listen,
    Settings,
    Upstream,
)
from opentrail.errors import UsageError
from opentrail.objects.setting import check as check_bucket
from opentrail.trails.digest_setting import check_digest
from opentrail.trails.organization_setting import check_organization
from opentrail.trails.target_setting import check_targets, check_webhook


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of "HOST:PORT" (IPv6 in brackets). Raises: UsageError."""
    found = _ADDRESS.fullmatch(address)
    if found is None or int(found[3]) > PORT_MAX:
        raise UsageError(
            f"listen address {address!r} is not HOST:PORT (for example {LISTEN_DEFAULT})"
        )
    return found[1] or found[2], int(found[3])


_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:\s\0]+)):([0-9]{1,5})")


def is_loopback(host: str) -> bool:
    """Return whether ``host`` reaches this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_settings(settings: Settings) -> None:
    """Check what no type can say. Raises: UsageError."""
    _check_listen(settings.listen)
    check_digest(settings.digest)
    check_organization(settings.organization, settings.account)
    for name, bucket in settings.buckets.items():
        check_bucket(name, bucket)
    check_targets(settings.targets)
    for name, webhook in settings.webhooks.items():
        check_webhook(name, webhook)
    for service, upstream in settings.upstream.items():
        _check_url(service, upstream.url)
        _check_way(service, upstream)
        if (settings.forward.mode == "resign") != bool(
            upstream.credentials_profile or upstream.principals
        ):
            raise UsageError(
                f"upstream.{service}: credentials_profile or principals say by whose key calls are"
                ' signed anew: they belong to forward.mode = "resign", which needs one of them'
            )
    check_jwt(settings.jwt)
    check_proxy(settings.proxy)
    check_certificates(settings.client_certificates, settings.listen.tls_client_ca)
    _check_networks("listen.trusted_proxies", settings.listen.trusted_proxies)
    for name, exclude in settings.exclude.items():
        _check_exclude(name, exclude)


def _check_networks(setting: str, networks: tuple[str, ...]) -> None:
    for network in networks:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise UsageError(f"{setting}: {error}") from error


def _check_exclude(name: str, exclude: Exclude) -> None:
    """Refuse what would exclude everything, or seem to exclude what is always recorded."""
    if exclude == Exclude(read_only=exclude.read_only):
        raise UsageError(
            f"exclude.{name} would leave nothing recorded; say which calls:"
            " event_source, event_names, paths, user_agent or source_networks"
        )
    if exclude.event_source.startswith("cloudtrail"):
        raise UsageError(f"exclude.{name}: calls of CloudTrail itself are always recorded")
    if exclude.event_source and "." not in exclude.event_source:
        raise UsageError(
            f"exclude.{name}: event_source is the record's, such as"
            f" {exclude.event_source}.amazonaws.com"
        )
    _check_networks(f"exclude.{name}.source_networks", exclude.source_networks)


def _check_listen(listen: Listen) -> None:
    host, _ = split_address(listen.address)
    if bool(listen.tls_cert) != bool(listen.tls_key):
        raise UsageError("listen.tls_cert and listen.tls_key must be set together")
    for name in ("tls_ca", "tls_client_ca"):
        if getattr(listen, name) and not listen.tls_cert:
            raise UsageError(f"listen.{name} needs listen.tls_cert and listen.tls_key")
    if not (is_loopback(host) or listen.allow_insecure or listen.tls_cert):
        raise UsageError(
            f"listening on {host} without TLS lets others on the network read and forge calls;"
            " set listen.tls_cert and listen.tls_key, use a loopback address, or --allow-insecure"
            " if something else protects it"
        )


def _check_way(service: str, upstream: Upstream) -> None:
    """Check how an upstream is reached. Raises: UsageError."""
    tls = upstream.ca or upstream.client_cert or upstream.client_key
    if tls and not upstream.url.startswith("https:"):
        raise UsageError(f"upstream {service}: ca and client_cert need an https URL")
    if upstream.client_key and not upstream.client_cert:
        raise UsageError(f"upstream {service}: client_key needs client_cert")
    parts = _split_url(upstream.proxy)
    if upstream.proxy and (
        parts is None or parts.scheme != "http" or not parts.hostname or "@" in upstream.proxy
    ):
        raise UsageError(f"upstream {service}: the proxy must be http://HOST:PORT")


def _check_url(service: str, url: str) -> None:
    if "@" in url:  # and is not shown: it may have a password
        raise UsageError(f"upstream {service}: the URL must not have a user name or password")
    parts = _split_url(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(
            f"upstream {service}: {url!r} is not an http(s) URL, such as http://HOST:PORT"
        )
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise UsageError(f"upstream {service}: {url!r} must not have a path or query")


def _split_url(url: str) -> SplitResult | None:
    """Return the parts of ``url``; None when its port or IPv6 address is none."""
    try:
        parts = urlsplit(url)
        known = parts.port != 0
    except ValueError:
        return None
    return parts if known else None
