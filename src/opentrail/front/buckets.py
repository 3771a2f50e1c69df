# SPDX-License-Identifier: Apache-2.0
"""Which buckets are OpenTrail's own, and what back is told of them and of everything else."""

from pathlib import PurePosixPath
from urllib.parse import unquote

import msgspec

from opentrail.access.credentials import read_credentials
from opentrail.config import Settings
from opentrail.eventlog.link import Hello
from opentrail.front.keys import credentials_file

DAY_S = 86_400
TARGET_SERVICES = ("sns", "logs", "events", "kms", "sts", "organizations")
"""What trails use beside S3; botocore's names."""


def endpoint_of(settings: Settings, service: str) -> str:
    """Return the URL of the upstream of ``service``; "" when there is none."""
    upstream = settings.upstream.get(service) or settings.upstream.get("default")
    return upstream.url if upstream is not None else ""


def s3_endpoint(settings: Settings) -> str:
    """Return the URL of the upstream's S3; "" when there is none."""
    return endpoint_of(settings, "s3")


class OwnBuckets:
    """Tells the S3 calls for directory buckets, which OpenTrail answers, from all others."""

    def __init__(self, settings: Settings) -> None:
        self._buckets = settings.buckets
        self._has_upstream = bool(s3_endpoint(settings))

    def __call__(self, path: str) -> bool:
        """Return whether the bucket of a raw S3 path ("/bucket/key") is OpenTrail's own."""
        if not self._buckets and self._has_upstream:
            return False
        parts = PurePosixPath(unquote(path)).parts[1:2]
        setting = self._buckets.get(parts[0]) if parts else None
        return not self._has_upstream if setting is None else bool(setting.directory)


def hello_of(settings: Settings, token_key: bytes) -> Hello:
    """Return what back is told first."""
    key = read_credentials(credentials_file(settings), settings.account)
    return Hello(
        data=str(settings.data_dir),
        train_dictionary=settings.log.train_dictionary,
        account=settings.account,
        region=settings.region,
        regions=(settings.region, *settings.regions),
        lookup_requests_s=settings.history.lookup_requests_s,
        lookup_window_s=settings.history.lookup_window_days * DAY_S,
        token_key=token_key,
        file_interval_s=settings.delivery.file_interval_s,
        digest_interval_s=settings.delivery.digest_interval_s,
        backlog={
            "bytes_max": settings.delivery.backlog_bytes_max,
            "retry_ms": int(settings.delivery.retry_days * DAY_S * 1000),
            "give_up": settings.delivery.give_up,
        },
        digest={
            **msgspec.structs.asdict(settings.digest),
            "region": settings.digest.region or settings.region,
        },
        trails_max=settings.delivery.trails_max,
        organization=_organization(settings),
        buckets={
            name: msgspec.structs.asdict(setting) for name, setting in settings.buckets.items()
        },
        s3_endpoint=s3_endpoint(settings),
        endpoints={service: endpoint_of(settings, service) for service in TARGET_SERVICES},
        targets=msgspec.structs.asdict(settings.targets),
        webhooks={
            name: msgspec.structs.asdict(setting) for name, setting in settings.webhooks.items()
        },
        s3_key=(key.access_key_id, key.secret_access_key),
        sagemaker_endpoint=endpoint_of(settings, "sagemaker"),
        tuning_profiles=_tuning_profiles(settings),
        tuning_poll_interval_s=settings.tuning.poll_interval_s,
    )


def _organization(settings: Settings) -> dict[str, object]:
    of = settings.organization
    return {
        "from_upstream": of.from_upstream,
        "id": of.id,
        "management_account": of.management_account or settings.account,
        "members": sorted(of.members),
        "delegated": of.delegated_admins,
        "trusted": of.service_access,
    }


def _tuning_profiles(settings: Settings) -> dict[str, str]:
    tuning = settings.tuning
    default = {"": tuning.credentials_profile} if tuning.credentials_profile else {}
    return default | dict(each.split("=", 1) for each in tuning.profiles)
