# SPDX-License-Identifier: Apache-2.0
"""Where a bucket is, as the operator says it. Without the driver, so that it loads at once."""

from typing import Literal

import msgspec


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
    encryption: Literal["", "AES256"] = ""
    """Asked for with each object that has no KMS key; empty: the bucket's own default."""
