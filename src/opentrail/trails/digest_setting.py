# SPDX-License-Identifier: Apache-2.0
"""What signs digests, as the operator says it. Without the driver, so that it loads at once."""

import msgspec

from opentrail.errors import UsageError

PREFIX = "kms:"


class DigestSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What signs digests."""

    key: str = ""
    """"kms:" and a key's id, ARN or alias; empty: keys of our own, in files, which rotate."""
    endpoint: str = ""
    """URL of KMS; empty: AWS's own for the region."""
    region: str = ""
    """Empty: OpenTrail's own region."""
    credentials_profile: str = ""
    """A profile of the AWS shared files; empty: botocore's usual search."""

    @property
    def kms_key_id(self) -> str:
        """What KMS is to call the key; "" when it is not KMS's."""
        return self.key.removeprefix(PREFIX)


def check_digest(setting: DigestSetting) -> None:
    """Refuse what cannot be meant. Raises: UsageError."""
    if setting.key and not (setting.key.startswith(PREFIX) and setting.kms_key_id):
        raise UsageError(
            f"digest.key: {setting.key!r} is not known: write kms: and a key's id, ARN or alias"
        )
    if setting.endpoint and not setting.endpoint.startswith(("http://", "https://")):
        raise UsageError(f"digest.endpoint: {setting.endpoint!r} is not an http(s) URL")
    if not setting.key and (setting.endpoint or setting.region or setting.credentials_profile):
        raise UsageError("digest.key is empty: then nobody is asked at digest.endpoint")
