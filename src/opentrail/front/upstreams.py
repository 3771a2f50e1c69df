# SPDX-License-Identifier: Apache-2.0
"""The upstreams as the settings have them."""

from opentrail.capture.upstream import Upstreams, UpstreamSettings
from opentrail.config import Settings


def made_upstreams(settings: Settings) -> Upstreams:
    """Return them. Raises: UsageError: the certificates of one cannot be used."""
    forward = settings.forward
    return Upstreams(
        {
            service: UpstreamSettings(
                upstream.url,
                upstream.trusted_identity,
                upstream.verifies_signatures,
                (upstream.on_log_failure or forward.on_log_failure) == "forward",
                upstream.ca,
                upstream.client_cert,
                upstream.client_key,
                upstream.proxy,
                upstream.credentials_profile,
                upstream.checks_bucket_owner,
                tuple(upstream.principals.items()),
            )
            for service, upstream in settings.upstream.items()
        },
        connect_timeout_s=forward.connect_timeout_s,
        timeout_s=forward.timeout_s,
    )
