# SPDX-License-Identifier: Apache-2.0
"""Where a bucket is, as the operator says it. Without the driver, so that it loads at once."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from opentrail.errors import ClientError, UsageError
from opentrail.objects.names import check_name

OBJECT_LOCK_DAYS_MAX = 36_500
"""S3's own: a century."""


class BucketSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where one bucket is: a directory or an S3 endpoint."""

    directory: str = ""
    """The bucket is this directory; it must be there. Empty: an S3 endpoint."""
    endpoint: str = ""
    """URL of the S3 endpoint; empty: AWS's own for the region."""
    region: str = ""
    """Empty: OpenTrail's own region."""
    credentials_profile: str = ""
    """A profile of the AWS shared files; empty: botocore's usual search."""
    addressing: Literal["auto", "path", "virtual"] = "path"
    ca: str = ""
    """A file with the certificates that the endpoint is trusted by; empty: the usual ones."""
    object_lock_days: Annotated[int, msgspec.Meta(ge=0, le=OBJECT_LOCK_DAYS_MAX)] = 0
    """Nobody may delete or overwrite an object for so long; 0: nothing is asked for."""
    object_lock_mode: Literal["GOVERNANCE", "COMPLIANCE"] = "GOVERNANCE"
    """Whether some permission can lift that. Needs a bucket made with Object Lock."""
    encryption: Literal["", "AES256"] = ""
    """Asked for with each object that has no KMS key; empty: the bucket's own default."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """The S3 behind OpenTrail, for buckets that are not configured."""

    endpoint: str
    """URL; empty: AWS's own."""
    credentials_profile: str = ""
    access_key_id: str = ""
    """Used when botocore's usual search finds no credentials: an emulator takes any."""
    secret_access_key: str = field(default="", repr=False)


def check(name: str, setting: BucketSetting) -> None:
    """Refuse what cannot be meant, at start rather than at the first delivery. Raises: UsageError."""
    try:
        check_name(name)
    except ClientError as error:
        raise UsageError(
            f"buckets.{name}: no bucket has that name: 3 to 63 lower-case letters, digits, dots and"
            " hyphens"
        ) from error
    others = (setting.endpoint, setting.region, setting.credentials_profile, setting.ca)
    if setting.directory and any(others):
        raise UsageError(f"buckets.{name}: a directory has no endpoint, region, credentials or ca")
    if setting.directory and setting.object_lock_days:
        raise UsageError(f"buckets.{name}: a directory has no Object Lock")
    if setting.directory and not Path(setting.directory).is_absolute():
        raise UsageError(f"buckets.{name}.directory: {setting.directory!r} is not an absolute path")
    if setting.ca and not Path(setting.ca).is_file():
        raise UsageError(f"buckets.{name}.ca: there is no file {setting.ca!r}")
    if setting.endpoint and not setting.endpoint.startswith(("http://", "https://")):
        raise UsageError(f"buckets.{name}.endpoint: {setting.endpoint!r} is not an http(s) URL")
