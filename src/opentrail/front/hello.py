# SPDX-License-Identifier: Apache-2.0
"""What back is told first, made of the settings."""

from msgspec.structs import replace

from opentrail.access.credentials import read_credentials
from opentrail.config import Settings
from opentrail.config.hello import Hello
from opentrail.front.keys import credentials_file
from opentrail.trails.backlog import Patience
from opentrail.trails.organization import Organization

DAY_S = 86_400
TARGET_SERVICES = ("sns", "logs", "events", "kms", "sts", "organizations")
"""What trails use beside S3; botocore's names."""


def endpoint_of(settings: Settings, service: str) -> str:
    """Return the URL of the upstream of ``service``; "" when there is none."""
    upstream = settings.upstream.get(service) or settings.upstream.get("default")
    return upstream.url if upstream is not None else ""


def hello_of(settings: Settings, token_key: bytes, log_format: str) -> Hello:
    """Return what back is told first."""
    key = read_credentials(credentials_file(settings), settings.account)
    return Hello(
        data=str(settings.data_dir),
        log_format=log_format,
        train_dictionary=settings.log.train_dictionary,
        account=settings.account,
        region=settings.region,
        regions=(settings.region, *settings.regions),
        lookup_requests_s=settings.history.lookup_requests_s,
        lookup_window_s=settings.history.lookup_window_days * DAY_S,
        token_key=token_key,
        file_interval_s=settings.delivery.file_interval_s,
        digest_interval_s=settings.delivery.digest_interval_s,
        backlog=Patience(
            bytes_max=settings.delivery.backlog_bytes_max,
            retry_ms=int(settings.delivery.retry_days * DAY_S * 1000),
            give_up=settings.delivery.give_up,
        ),
        digest=replace(settings.digest, region=settings.digest.region or settings.region),
        trails_max=settings.delivery.trails_max,
        organization=_organization(settings),
        buckets=settings.buckets,
        s3_endpoint=endpoint_of(settings, "s3"),
        endpoints={service: endpoint_of(settings, service) for service in TARGET_SERVICES},
        targets=settings.targets,
        webhooks=settings.webhooks,
        s3_key=(key.access_key_id, key.secret_access_key),
        sagemaker_endpoint=endpoint_of(settings, "sagemaker"),
        tuning_profiles=_tuning_profiles(settings),
        tuning_poll_interval_s=settings.tuning.poll_interval_s,
    )


def _organization(settings: Settings) -> Organization | None:
    of = settings.organization
    if of.from_upstream:
        return None
    return Organization(
        id=of.id,
        management_account=of.management_account or settings.account,
        members=tuple(sorted(of.members)),
        delegated=of.delegated_admins,
        trusted=of.service_access,
    )


def _tuning_profiles(settings: Settings) -> dict[str, str]:
    tuning = settings.tuning
    default = {"": tuning.credentials_profile} if tuning.credentials_profile else {}
    return default | dict(each.split("=", 1) for each in tuning.profiles)
