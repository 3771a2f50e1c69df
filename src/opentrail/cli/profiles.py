# SPDX-License-Identifier: Apache-2.0
"""Profiles of the AWS shared files that settings name, and that are not there."""

from collections.abc import Iterator

from opentrail.config import Settings
from opentrail.errors import UsageError
from opentrail.objects.table import check_profile


def missing(settings: Settings) -> Iterator[str]:
    """Yield a sentence for each setting whose profile is not there.

    That ends nothing: what needs the profile waits, and it may come while the server runs.
    """
    for where, profile in _named(settings):
        try:
            check_profile(profile)
        except UsageError:
            yield f"{where}: the AWS shared files have no profile {profile}: what needs it waits"


def _named(settings: Settings) -> Iterator[tuple[str, str]]:
    for name, bucket in settings.buckets.items():
        yield f"buckets.{name}.credentials_profile", bucket.credentials_profile
    for name, upstream in settings.upstream.items():
        yield f"upstream.{name}.credentials_profile", upstream.credentials_profile
    yield "targets.credentials_profile", settings.targets.credentials_profile
    yield "digest.credentials_profile", settings.digest.credentials_profile
    yield "tuning.credentials_profile", settings.tuning.credentials_profile
    for each in settings.tuning.profiles:
        yield "tuning.profiles", each.partition("=")[2]
