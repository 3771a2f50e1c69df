# SPDX-License-Identifier: Apache-2.0
"""The upstreams as the settings have them."""

from opentrail.capture.upstream import Upstreams, UpstreamSettings
from opentrail.config import Settings


def made_upstreams(settings: Settings) -> Upstreams:
    """Return them. Raises: UsageError: the certificates of one cannot be used."""
    return Upstreams(
        stated_upstreams(settings),
        connect_timeout_s=settings.forward.connect_timeout_s,
        timeout_s=settings.forward.timeout_s,
    )


def stated_upstreams(settings: Settings) -> dict[str, UpstreamSettings]:
    """Return what is said of them, by service."""
    return {
        service: UpstreamSettings(
            upstream.url,
            upstream.trusted_identity,
            upstream.verifies_signatures,
            (upstream.on_log_failure or settings.forward.on_log_failure) == "forward",
            upstream.ca,
            upstream.client_cert,
            upstream.client_key,
            upstream.proxy,
            upstream.credentials_profile,
            upstream.checks_bucket_owner,
            tuple(upstream.principals.items()),
        )
        for service, upstream in settings.upstream.items()
    }
