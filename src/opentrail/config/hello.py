# SPDX-License-Identifier: Apache-2.0
"""What back is told first: what its rooms need of the settings, and of what front found or made."""

import msgspec

from opentrail.objects.setting import BucketSetting
from opentrail.trails.backlog import Patience
from opentrail.trails.digest_setting import DigestSetting
from opentrail.trails.organization import Organization
from opentrail.trails.target_setting import TargetSetting, WebhookSetting


class Hello(msgspec.Struct, frozen=True):
    """What back is told first. It holds a secret, so it goes over the socket, not argv."""

    data: str
    """The data directory."""
    log_format: str
    """Of the server's own log: ``config.ownlog``'s TEXT or JSON."""
    train_dictionary: bool
    """Whether new segments are to be compressed by what the log's own records have in common."""
    account: str
    region: str
    regions: tuple[str, ...]
    """All that calls may be of, as far as the settings say."""
    lookup_window_s: float
    lookup_requests_s: float
    """LookupEvents a second for each account and region; 0: no limit."""
    token_key: bytes
    file_interval_s: float
    digest_interval_s: int
    digest: DigestSetting
    backlog: Patience
    trails_max: int
    """Trails of an account that a region shows."""
    organization: Organization | None
    """Its id is empty when there is none; None: the upstream's Organizations API is asked."""
    buckets: dict[str, BucketSetting]
    s3_endpoint: str
    """The upstream's S3; "" when there is none."""
    s3_key: tuple[str, str]
    """Access key id and secret for it, where nothing else is configured."""
    endpoints: dict[str, str]
    """The upstreams of services that trails use beside S3, by botocore's name; "": there is none."""
    targets: TargetSetting
    webhooks: dict[str, WebhookSetting]
    sagemaker_endpoint: str
    """The upstream's SageMaker; "" when there is none."""
    tuning_profiles: dict[str, str]
    """Who asks it about tuning jobs: AWS profiles by account; "" is every other account's."""
    tuning_poll_interval_s: float

    def __repr__(self) -> str:
        return f"Hello({self.data!r})"
